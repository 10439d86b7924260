"""HTTP over mutual TLS: the server, the one client, and TLS files that may be renewed."""

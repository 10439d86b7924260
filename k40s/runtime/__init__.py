"""The impure floor that all processes share: API server, HTTP, TLS, settings, log, store, loops."""

"""The certificate authority and certificates for mutual TLS: the only room with cryptography."""

"""The server's connections: one event loop before authentication, a thread pool after it."""

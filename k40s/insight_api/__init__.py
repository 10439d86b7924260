"""insight's HTTP API as its callers see it."""

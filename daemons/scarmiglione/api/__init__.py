"""The station's HTTP API: what a request does, its routes, its description."""

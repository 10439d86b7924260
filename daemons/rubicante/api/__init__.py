"""The node's HTTP API: routes, OpenAPI document, reservations and their upkeep."""

"""The node's HTTP API between extender and rubicante: messages and allocations."""

"""What rubicante reads from and writes to the API server: pods, node state, events, conditions."""

"""What scarmiglione reads from and writes to the API server: Networks, pods, node state, events."""

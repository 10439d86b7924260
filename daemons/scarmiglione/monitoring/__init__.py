"""Health of the node's stations: Sync, clock, drift, and the master's slot table."""

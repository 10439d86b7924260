"""The nodes' HTTP APIs between extender and daemons: messages, clients and allocations."""

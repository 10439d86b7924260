"""The gauge of harm: whether this node's critical pods suffer, from their own cgroups."""

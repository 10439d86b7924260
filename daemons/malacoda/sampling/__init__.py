"""Sampling: counters of the node and of its pods, from /proc and the cgroups of either version."""

"""Evicting culprits: a node's monitor asks, and this decides."""

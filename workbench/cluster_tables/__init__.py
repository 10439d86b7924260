"""Overviews as text for terminals: tables of nodes and pods, one node in full. Pure."""

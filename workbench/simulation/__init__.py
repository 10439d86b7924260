"""Exact simulation of a task set or a node, and its Gantt rows."""

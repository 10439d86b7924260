"""Analyses of task sets and nodes, as values for reports and plots."""

"""Schedulability tests that an operator installs: found by name, run in a process of their own."""

"""Measurements of a machine, and its speed against a reference."""

"""Exact simulation of what is scheduled on cores. Pure, and independent of every analysis."""

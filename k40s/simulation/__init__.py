"""Exact simulation of servers and of SCHED_DEADLINE. Pure, and independent of every analysis."""

"""Enforcement by SCHED_DEADLINE: one reservation for each thread, in its root domain."""

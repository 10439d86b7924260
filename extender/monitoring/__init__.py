"""Periodic checks: pods that bypassed the extender, keys that reach no pod, stale node labels."""

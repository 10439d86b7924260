"""Preemption: less critical pods are evicted where a more critical one could not run otherwise.

The pod gets a claim first, which the extender honours; only then are its victims asked to end.
"""

"""Bounds of tenants: criticalities, real-time bandwidth and HI pods of their namespaces. Pure.

``model`` says whether one more pod may be there, ``assignment`` whose bounds hold for a namespace,
``ledger`` what a bind writes, ``summary`` what the status says, ``at_apply`` what is refused before
a pod exists.
"""

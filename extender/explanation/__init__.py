"""Explanations: filter's verdict on each node, with figures and with changes that were tried.

The verdict is that of the same admission; nothing here is counted or kept, and time is bounded.
"""

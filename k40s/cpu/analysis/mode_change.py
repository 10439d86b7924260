"""Mode change: how long a real-time group can be without CPU when its budget changes while it runs.

Derived from how Linux replenishes a group, and measured (docs/theory.md). Sufficient; for a
single change of one group enforced by ticks δ. Integers of one unit.
"""

from k40s.cpu.analysis.response_time import ServerParameters


def longest_blackout(before: ServerParameters, after: ServerParameters, tick: int) -> int:
    """Longest time without the CPU after a change of (Q, P) to (Q', P'): P + ⌈(Q + δ)/Q'⌉·P'.

    The old timer is still pending for a period, and what was used of the old budget, overrun
    included, is debt that the new one pays off by Q' in each P'.
    """
    old_budget, old_period = before
    budget, period = after
    return old_period - -(old_budget + tick) // budget * period

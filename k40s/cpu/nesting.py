"""Real-time groups inside real-time groups: budgets of ancestors that never bind.

On Linux every level of the hierarchy throttles. An ancestor leaves its children alone if its
budget covers the most that they can use between two of its refills: the consumption bound of
``k40s.cpu.servers`` summed (docs/theory.md). Sufficient, for deferrable servers on one core
enforced by ticks δ. Integers of one unit.
"""

from collections.abc import Sequence

from k40s.cpu.hierarchy import ServerFigures
from k40s.cpu.servers import most_consumed


def least_ancestor_budget(children: Sequence[ServerFigures], period: int, tick: int) -> int:
    """Least budget with which a group of that period never throttles its children (Q, P).

    It cannot be given where it exceeds the period. The window is P + δ: what runs before a
    refill may be charged after it.
    """
    return sum(most_consumed(period + tick, *child, tick) for child in children)


def share_of_node(server: ServerFigures, ancestor_period: int | None, tick: int) -> ServerFigures:
    """What a group takes of the bandwidth that the kernel grants to all groups, as (Q, P).

    That is its own where it lies at the top of the hierarchy (None), else what its ancestors of
    that period need for it: the highest of them is the one that counts there.
    """
    if ancestor_period is None:
        return server
    return least_ancestor_budget((server,), ancestor_period, tick), ancestor_period

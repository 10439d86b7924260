"""Whether two slots ever meet: the exact test for strictly periodic intervals.

Source: Korst, Aarts, Lenstra: *Scheduling periodic tasks*, INFORMS Journal on Computing 8(4), 1996.
Two intervals of lengths c1 and c2 that return every t1 and t2 for ever are disjoint if and only if
``c1 <= (s2 - s1) mod g <= g - c2`` with ``g = gcd(t1, t2)``. No hyperperiod is unrolled.

The counter of cycles may wrap at any number: both slots read the same counter, and they only meet
in cycles where it has the same residue modulo the gcd of both ``every``.
"""

from collections.abc import Iterator
from math import gcd
from operator import attrgetter

from k40s.errors import K40sError
from k40s.tdma.model import Cycle, SlotGrant, SlotTable, Window


class CollisionError(K40sError):
    """The search has found a place that the independent test refuses: a defect of the search."""


def overlap(one: Window, other: Window, cycle: Cycle) -> bool:
    """Whether the two ever meet, both repeating for ever."""
    g = gcd(one.every, other.every) * cycle.period
    start = one.phase * cycle.period + one.offset
    distance = (other.phase * cycle.period + other.offset - start) % g
    return not one.length <= distance <= g - other.length


def outside(window: Window, cycle: Cycle) -> bool:
    """Whether it reaches into the next cycle; a station would delay the Sync for it."""
    return window.end > cycle.period


def first_conflict(
    windows: tuple[Window, ...], others: tuple[Window, ...], cycle: Cycle
) -> tuple[Window, Window] | None:
    """The first pair of ``windows`` and ``others``, or within ``windows``, that meets."""
    reserved = cycle.reserved
    for window in windows:
        if outside(window, cycle):
            return reserved[0], window
        for other in (*reserved, *others):
            if overlap(other, window, cycle):
                return other, window
    return next((pair for pair in neighbours(windows) if overlap(*pair, cycle)), None)


def neighbours(windows: tuple[Window, ...]) -> Iterator[tuple[Window, Window]]:
    """The pairs that share a part of the cycle; of windows that end in it, no others can meet.

    The second begins in the first. So a table of thousands costs no test of every pair.
    """
    open_ones: list[Window] = []
    for window in sorted(windows, key=attrgetter("offset")):
        open_ones = [one for one in open_ones if one.end > window.offset]
        yield from ((one, window) for one in open_ones)
        open_ones.append(window)


def prove(grant: SlotGrant, table: SlotTable) -> SlotGrant:
    """The grant itself, if it never meets itself or the table. ``CollisionError`` if it does."""
    collision = first_conflict(grant.windows, table.windows, table.cycle)
    if collision is not None:
        raise CollisionError(f"{collision[0]} meets {collision[1]}")
    return grant


def check_table(table: SlotTable) -> tuple[Window, Window] | None:
    """The first pair that meets, or None. A window outside the cycle meets the next Sync."""
    return first_conflict(table.windows, (), table.cycle)

"""What a slot takes from requests that may come later.

Measured are begins: the places at which a packet of ``REFERENCE_PAYLOAD`` bytes could begin, of
requests whose period is 1, 2, 3, … cycles (``BASES``). So a slot costs less where slots of other
cycles have already spoilt the place for frequent requests, and less beside another slot than with a
useless gap to it.
"""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from math import gcd

from k40s.tdma.model import Cycle, SlotGrant, SlotTable, Window
from k40s.tdma.occupancy import Occupancy, lost_begins, residues, spans_of
from k40s.tdma.wire import wire_time

BASES = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 20, 30)
"""Periods of later requests, in cycles. The search looks at the first ones first."""
REFERENCE_PAYLOAD = 256
"""Bytes. Of sizes tried between 46 and 1,500, this one accepts most; docs/tdma.md has figures."""

Pieces = Sequence[tuple[int, int]]
"""ns of a piece, and the cycles (bits, modulo a base) in which it is lost already."""


class LostBegins:
    """Where later packets cannot begin any more, because of the windows there are."""

    def __init__(self, cycle: Cycle, windows: Iterable[Window]) -> None:
        payload = min(REFERENCE_PAYLOAD, cycle.mtu)
        self._packet = wire_time(payload, cycle.bit_rate) + cycle.guard
        spans = lost_begins(spans_of(cycle, windows), cycle, self._packet)
        self._lost = Occupancy(spans, cycle.period)

    def pieces(self, intervals: Iterable[tuple[int, int]], base: int) -> Pieces:
        """What slots in these intervals would touch, each ns once."""
        found: list[tuple[int, int]] = []
        reached = 0
        for start, end in intervals:
            first = max(reached, start - self._packet)
            found += self._lost.shared(first, end, base)
            reached = end
        return found


def growth(pieces: Pieces, bits: int) -> int:
    """How many ns more are lost, if something is sent in these cycles as well."""
    return sum(length * (bits & ~lost).bit_count() for length, lost in pieces)


def damage(table: SlotTable, grant: SlotGrant) -> Fraction:
    """The share of begins that a grant takes from later requests, from 0 to 1.

    The mean over ``BASES``. ``table`` is without the grant.
    """
    cycle = table.cycle
    lost = LostBegins(cycle, table.windows)
    intervals = sorted((window.offset, window.end) for window in grant.windows)
    if not grant.windows:
        return Fraction(0)
    one = grant.windows[0]
    total = Fraction(0)
    for base in BASES:
        step = gcd(one.every, base)
        bits = residues(step, base) << (one.phase % step)
        taken = growth(lost.pieces(intervals, base), bits)
        total += Fraction(taken, base * cycle.period)
    return total / len(BASES)


def utilization(table: SlotTable) -> Fraction:
    """The share of the network's time that is reserved: Sync, those of backup masters, windows.

    Guards and jitters count, because nobody else can use them.
    """
    cycle = table.cycle
    windows = (*cycle.reserved, *table.windows)
    return sum(
        (Fraction(window.length, window.every * cycle.period) for window in windows), Fraction(0)
    )

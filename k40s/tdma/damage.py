"""What a slot takes from requests that may come later.

Measured are begins: the places at which a packet of ``REFERENCE_PAYLOAD`` bytes could begin, of
requests whose period is 1, 2, 3, … cycles (``BASES``). So a slot costs less where slots of other
cycles have already spoilt the place for frequent requests, and less beside another slot than with a
useless gap to it.
"""

from collections.abc import Callable, Iterable
from fractions import Fraction
from functools import lru_cache
from itertools import accumulate, pairwise
from math import gcd
from operator import mul

from k40s.tdma.model import Cycle, SlotGrant, SlotTable, Window
from k40s.tdma.occupancy import Occupancy, lost_begins, residues, spans_of
from k40s.tdma.wire import wire_time

BASES = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 20, 30)
"""Periods of later requests, in cycles. The search looks at the first ones first."""
REFERENCE_PAYLOAD = 256
"""Bytes. Of sizes tried between 46 and 1,500, this one accepts most; docs/tdma.md has figures."""

Place = tuple[tuple[int, int, int, int], ...]
"""Of each interval: piece and ns into it, where it begins and where it ends."""
Gain = tuple[list[int], list[int]]
"""Of each piece: what is gained before it, and per ns in it."""


_MOST_KEPT = 200_000
"""Figures of gains that are kept for one table, some 50 bytes each."""


class LostBegins:
    """Where later packets cannot begin any more, because of the windows there are.

    Any thread may ask; what is computed is kept.
    """

    def __init__(self, cycle: Cycle, windows: Iterable[Window]) -> None:
        payload = min(REFERENCE_PAYLOAD, cycle.mtu)
        self._packet = wire_time(payload, cycle.bit_rate) + cycle.guard
        spans = lost_begins(spans_of(cycle, windows), cycle, self._packet)
        self._lost = Occupancy(spans, cycle.period)
        self._lengths = [later - one for one, later in pairwise(self._lost.edges)]
        self._gains: dict[tuple[int, int, int], Gain] = {}

    def place(self, intervals: Iterable[tuple[int, int]]) -> Place:
        """The begins that slots in these intervals (ascending) touch, each once."""
        found = []
        reached = 0
        for start, end in intervals:
            first = max(reached, start - self._packet)
            found.append((*self._lost.locate(first), *self._lost.locate(end)))
            reached = end
        return tuple(found)

    def gain(self, base: int, step: int, residue: int) -> Gain:
        """What is lost besides in ``base`` cycles, by slots in every ``step``-th of them."""
        found = self._gains.get((base, step, residue))
        if found is None:
            bits = residues(step, base) << residue
            rate = [(bits & ~lost).bit_count() for lost in self._lost.taken(base)]
            found = [0, *accumulate(map(mul, self._lengths, rate))], rate
            if (len(self._gains) + 1) * len(rate) <= _MOST_KEPT:
                self._gains[base, step, residue] = found
        return found


@lru_cache(maxsize=2)
def lost_begins_of(cycle: Cycle, windows: tuple[Window, ...]) -> LostBegins:
    """Those of a table; kept, since requests with other jitters are searched in the same one."""
    return LostBegins(cycle, windows)


def growth(place: Place, gain: Gain) -> int:
    """By how many ns the lost begins grow, if something is sent in this place."""
    before, rate = gain
    total = 0
    for first, into_first, last, into_last in place:
        total += before[last] + into_last * rate[last]
        total -= before[first] + into_first * rate[first]
    return total


def never() -> bool:
    """A search that has all the time it needs."""
    return False


def damage(table: SlotTable, grant: SlotGrant, *, late: Callable[[], bool] = never) -> Fraction:
    """The share of begins that a grant takes from later requests, from 0 to 1.

    The mean over ``BASES``. ``table`` is without the grant. All slots of a grant are used in the
    same cycles. ``late`` may raise to give it up.
    """
    if not grant.windows:
        return Fraction(0)
    cycle = table.cycle
    lost = lost_begins_of(cycle, table.windows)
    place = lost.place(sorted((window.offset, window.end) for window in grant.windows))
    one = grant.windows[0]
    total = Fraction(0)
    for base in BASES:
        late()
        step = gcd(one.every, base)
        taken = growth(place, lost.gain(base, step, one.phase % step))
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

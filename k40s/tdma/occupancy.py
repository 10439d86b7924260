"""What is taken of a cycle, piece by piece.

A cycle is cut at every begin and end of what takes something of it. In each piece, what is taken is
a set of residue classes of the cycle's number. Sets of cycles are bits of one integer.

The *projection* on a base of b cycles says which (piece, cycle modulo b) anything touches. What it
leaves is what a later request with a period of b cycles can still get.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import gcd

from k40s.tdma.model import Cycle, Window
from k40s.units import Nanoseconds


@dataclass(frozen=True, slots=True)
class Span:
    """From ``start`` to ``end``, in ns, in every cycle whose number is ``phase`` mod ``every``."""

    start: int
    end: int
    phase: int = 0
    every: int = 1


def spans_of(cycle: Cycle, windows: Iterable[Window]) -> list[Span]:
    """The windows, and the Syncs."""
    return [Span(w.offset, w.end, w.phase, w.every) for w in (*cycle.reserved, *windows)]


def folded(spans: Iterable[Span], length: Nanoseconds) -> Iterator[Span]:
    """All parts of a cycle of so many ns laid on top of each other."""
    for span in spans:
        start = span.start % length
        end = start + span.end - span.start
        yield Span(start, min(end, length), span.phase, span.every)
        if end > length:
            yield Span(0, end - length, span.phase, span.every)


def lost_begins(spans: Iterable[Span], cycle: Cycle, packet: int) -> Iterator[Span]:
    """Where a packet that takes so many ns cannot begin."""
    for span in spans:
        yield Span(max(0, span.start - packet), span.end, span.phase, span.every)
    yield Span(max(0, cycle.period - packet), cycle.period)


@lru_cache(maxsize=4_096)
def residues(step: int, count: int) -> int:
    """Bits 0, ``step``, 2·``step``, … below ``count``, a multiple of ``step``."""
    return int(((1 << count) - 1) // ((1 << step) - 1))


class Occupancy:
    """The pieces of a cycle of ``length`` ns, and for each base what is taken in them.

    Any thread may ask.
    """

    def __init__(self, spans: Iterable[Span], length: int) -> None:
        taking = [span for span in spans if span.start < span.end]
        edges = {0, length}
        for span in taking:
            edges |= {span.start, span.end}
        self._edges = sorted(edges)
        place = {edge: piece for piece, edge in enumerate(self._edges)}
        self._spans = [
            (range(place[span.start], place[span.end]), span.phase, span.every) for span in taking
        ]
        self._taken: dict[int, list[int]] = {}

    @property
    def edges(self) -> Sequence[int]:
        """Where a piece begins or ends, ascending."""
        return self._edges

    def taken(self, base: int) -> list[int]:
        """For each piece, the cycles modulo ``base`` in which something takes it."""
        found = self._taken.get(base)
        if found is None:
            found = [0] * len(self._edges)
            for pieces, phase, every in self._spans:
                step = gcd(every, base)
                bits = residues(step, base) << (phase % step)
                for piece in pieces:
                    found[piece] |= bits
            self._taken[base] = found
        return found

    def blocked(self, start: int, end: int, base: int) -> int:
        """The cycles modulo ``base`` in which something takes a part of the interval."""
        taken, bits = self.taken(base), 0
        for piece in self._pieces(start, end):
            bits |= taken[piece]
        return bits

    def locate(self, time: int) -> tuple[int, int]:
        """The piece in which a time lies, and how many ns into it."""
        piece = bisect_right(self._edges, time) - 1
        return piece, time - self._edges[piece]

    def _pieces(self, start: int, end: int) -> range:
        return range(bisect_right(self._edges, start) - 1, bisect_left(self._edges, end))

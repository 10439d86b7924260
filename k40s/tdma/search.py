"""The online search for a request's place: the one that takes least from what may come later.

*Best projection*: of all places that are free, choose the one that takes least from requests of the
shortest period, of those the one that takes least from the next longer, and so on
(``k40s.tdma.damage``). Slots of long periods so share the places that slots like them have spoilt
already, and whole cycles stay free for the frequent ones.

Candidates are the ends of windows, and the last places before their begins. If any place is free,
one of these is: moved to earlier times, a free slot stops at the end of something.

Time bounds the choice, not the answer: a search that is late takes the earliest of the places that
were best so far.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import gcd

from k40s.reasons import Reason
from k40s.tdma.conflict import prove
from k40s.tdma.damage import BASES, LostBegins, Place, growth, lost_begins_of, never
from k40s.tdma.expression import Expression, Inexpressible, express
from k40s.tdma.model import Cycle, SlotGrant, SlotRequest, SlotTable, Window
from k40s.tdma.occupancy import Occupancy, folded, residues, spans_of
from k40s.tdma.wire import whole_us_down, whole_us_up
from k40s.units import Nanoseconds

Late = Callable[[], bool]
"""Whether to come to an end. It is asked every few ms, and may raise to give up the search."""


@dataclass(slots=True)
class _Candidate:
    """Where the first slot begins, and the cycles (bits) in which it is free and still best."""

    offset: int
    free: int
    place: Place


def find_grant(
    table: SlotTable, request: SlotRequest, *, jitter: int = 0, late: Late = never
) -> SlotGrant | Reason:
    """The slots for a request on a station whose packets leave up to ``jitter`` ns late.

    Raises ``CollisionError`` if the independent test refuses what was found, and what ``late``
    raises.
    """
    form = express(table.cycle, request, jitter=jitter)
    if isinstance(form, Inexpressible):
        return Reason.NETWORK_INEXPRESSIBLE
    free = list(_free_offsets(table, form, late))
    if not free:
        return Reason.NETWORK_NO_SLOT
    lost = lost_begins_of(table.cycle, table.windows)
    candidates = [_Candidate(at, cycles, lost.place(_intervals(form, at))) for at, cycles in free]
    best = _best(lost, form, candidates, late)
    earliest = (best.free & -best.free).bit_length() - 1
    return prove(_grant(form, best.offset, earliest), table)


def _free_offsets(table: SlotTable, form: Expression, late: Late) -> Iterator[tuple[int, int]]:
    """Offsets at which at least one cycle is free, ascending, and these cycles as bits.

    The parts of a cycle are laid on top of each other: where the first of several slots is free
    there, all of them are.
    """
    spans = folded(spans_of(table.cycle, table.windows), form.spacing)
    occupancy = Occupancy(spans, form.spacing)
    all_cycles = (1 << form.every) - 1
    for offset in _offsets(table.cycle, occupancy, form):
        late()
        free = all_cycles & ~occupancy.blocked(offset, offset + form.block, form.every)
        if free:
            yield offset, free


def _offsets(cycle: Cycle, occupancy: Occupancy, form: Expression) -> list[int]:
    """Where the first slot may begin, ascending."""
    lowest = whole_us_up(cycle.sync_time)
    highest = whole_us_down(form.spacing - form.block)
    found = {lowest}
    for edge in occupancy.edges:
        found |= {whole_us_up(edge), whole_us_down(edge - form.block)}
    return sorted(offset for offset in found if lowest <= offset <= highest)


def _best(
    lost: LostBegins, form: Expression, candidates: list[_Candidate], late: Late
) -> _Candidate:
    """The candidate that takes least from the first base, then from the next; the earliest."""
    for base in BASES:
        if late():
            break
        step = gcd(form.every, base)
        if len(candidates) == 1 and (step == 1 or candidates[0].free.bit_count() == 1):
            continue
        candidates = _least(lost, form, candidates, base, late)
    return candidates[0]


def _least(
    lost: LostBegins, form: Expression, candidates: list[_Candidate], base: int, late: Late
) -> list[_Candidate]:
    """The candidates that take least from one base, with the cycles in which they do."""
    least, kept, step = -1, dict[int, int](), gcd(form.every, base)
    classes = residues(step, form.every)
    for residue in range(step):
        if late() and kept:
            break
        these = classes << residue
        gain = None
        for number, candidate in enumerate(candidates):
            free = candidate.free & these
            if not free:
                continue
            if gain is None:
                gain = lost.gain(base, step, residue)
            taken = growth(candidate.place, gain)
            if taken < least:
                kept.clear()
            if taken <= least or not kept:
                kept[number] = kept.get(number, 0) | free
                least = taken
    return [
        _Candidate(candidates[number].offset, free, candidates[number].place)
        for number, free in sorted(kept.items())
    ]


def _intervals(form: Expression, offset: int) -> Iterator[tuple[int, int]]:
    for start in range(offset, offset + form.repeats * form.spacing, form.spacing):
        yield start, start + form.block


def _grant(form: Expression, offset: int, phase: int) -> SlotGrant:
    starts = (
        start + frame * form.stride
        for start, _ in _intervals(form, offset)
        for frame in range(form.frames)
    )
    return SlotGrant(
        windows=tuple(
            Window(
                offset=Nanoseconds(start),
                phase=phase,
                every=form.every,
                length=form.length,
                payload=form.payload,
            )
            for start in starts
        )
    )

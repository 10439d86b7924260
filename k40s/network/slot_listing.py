"""The slot table of a TDMA network as lines of text, for ``kubectl describe network``.

Offsets count from the scheduled Sync. A slot is written with its phasing as RTnet's tools do it:
``2/4`` is the second of every four cycles.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from k40s.ledger.conditions import shortened
from k40s.network.model import NetworkReservation
from k40s.tdma.model import Cycle, Window
from k40s.units import Nanoseconds, format_duration

MOST_LINES = 128
"""Lines of each table: the object of a large network stays small."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A part ``[begin, end)`` of the cycle, and the fraction of cycles in which it is in use."""

    begin: Nanoseconds
    end: Nanoseconds
    used: Fraction


def find_stretches(cycle: Cycle, used: Sequence[Window]) -> list[Stretch]:
    """The whole cycle in parts of equal use, in order.

    Sync frames are among what is in use. Windows of the same part are in use in different cycles,
    so their fractions add up; where they overlap by mistake the sum exceeds 1.
    """
    bounds = {0, int(cycle.period)}
    spans: list[tuple[int, int, Fraction]] = []
    for one in (*cycle.reserved, *used):
        begin, end = int(one.offset), int(min(one.end, cycle.period))
        if begin < end:
            bounds |= {begin, end}
            spans.append((begin, end, Fraction(1, one.every)))
    ordered = sorted(bounds)
    changes = dict.fromkeys(ordered, Fraction(0))
    for begin, end, share in spans:
        changes[begin] += share
        changes[end] -= share
    found: list[Stretch] = []
    share = Fraction(0)
    for start, stop in pairwise(ordered):
        share += changes[start]
        if found and found[-1].used == share:
            found[-1] = Stretch(begin=found[-1].begin, end=Nanoseconds(stop), used=share)
        else:
            found.append(Stretch(begin=Nanoseconds(start), end=Nanoseconds(stop), used=share))
    return found


def list_slots(reservations: Sequence[NetworkReservation]) -> list[str]:
    """One line for each slot in the order of offsets: when, how much, and whose it is."""
    rows = sorted(
        (one.offset, one.phase, _slot_line(one, reservation))
        for reservation in reservations
        for grant in reservation.slots
        for one in grant.windows
    )
    return _bounded([line for _, _, line in rows])


def list_free(stretches: Sequence[Stretch]) -> list[str]:
    """One line for each part of the cycle that is free, in every cycle or in some."""
    lines = []
    for one in stretches:
        if one.used >= 1:
            continue
        span = f"{format_duration(one.begin)} to {format_duration(one.end)}"
        length = format_duration(one.end - one.begin)
        free = 1 - one.used
        share = "every cycle" if free == 1 else f"{free.numerator} of {free.denominator} cycles"
        lines.append(f"{span} ({length}) in {share}")
    return _bounded(lines)


def list_paths(reservations: Sequence[NetworkReservation]) -> list[str]:
    """One line for each path with reserved bandwidth, in the order of its pods."""
    rows = sorted(
        f"{one.owner.namespace}/{one.owner.name}: {' - '.join(path.nodes)}, {path.bandwidth} bit/s"
        for one in reservations
        for path in one.paths
    )
    return _bounded(rows)


def _slot_line(window: Window, reservation: NetworkReservation) -> str:
    state = "" if reservation.until is None else ", not bound yet"
    return (
        f"{format_duration(window.offset)} to {format_duration(window.end)}, "
        f"cycle {window.phase + 1}/{window.every}, {window.payload}B: "
        f"{reservation.owner.namespace}/{reservation.owner.name} on {reservation.node}{state}"
    )


def _bounded(lines: list[str]) -> list[str]:
    rest = len(lines) - MOST_LINES
    shown = [shortened(one) for one in lines[:MOST_LINES]]
    return [*shown, f"and {rest} more"] if rest > 0 else shown

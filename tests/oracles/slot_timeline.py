"""All frames of a TDMA network over one hyperperiod, sent one by one, as late as they may be.

Shares no code with k40s.tdma. Times are exact: in units of ns / bit rate, so that no frame's time
is rounded.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import lcm


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """One slot: sends ``payload`` bytes at ``offset``, up to ``jitter`` late (ns)."""

    offset: int
    phase: int
    every: int
    payload: int
    jitter: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """A network: cycle, guard and lateness of Syncs in ns, rate in bit/s, offsets of all Syncs."""

    cycle: int
    bit_rate: int
    guard: int
    lateness: int = 0
    syncs: tuple[int, ...] = (0,)


Frame = tuple[int, int, str]


def frames(wire: Wire, senders: Sequence[Sender]) -> Iterator[Frame]:
    """(start, end with guard, who) of each frame from cycle 0 to the end of the hyperperiod."""
    cycles = lcm(1, *(sender.every for sender in senders))
    for offset in wire.syncs:
        span = _span(wire, 28, wire.lateness)
        for number in range(cycles):
            start = (number * wire.cycle + offset) * wire.bit_rate
            yield start, start + span, f"Sync at {offset}"
    for name, sender in enumerate(senders):
        span = _span(wire, sender.payload, sender.jitter)
        for number in range(sender.phase, cycles, sender.every):
            start = (number * wire.cycle + sender.offset) * wire.bit_rate
            yield start, start + span, f"slot {name} in cycle {number}"


def _span(wire: Wire, payload: int, late: int) -> int:
    on_wire = 8 + 14 + (payload if payload > 46 else 46) + 4 + 12
    return on_wire * 8 * 1_000_000_000 + (late + wire.guard) * wire.bit_rate


def first_meeting(wire: Wire, senders: Sequence[Sender]) -> str | None:
    """The first two frames that could meet, or come closer than the guard; None: never.

    What goes on beyond the end of its cycle counts as well: the next Sync is due there.
    """
    sent = sorted(frames(wire, senders))
    for (_, end, who), (start, _, later) in zip(sent, sent[1:], strict=False):
        if end > start:
            return f"{who} and {later}"
    last = max(end for _, end, _ in sent)
    cycles = lcm(1, *(sender.every for sender in senders))
    return "the last frame and the next Sync" if last > cycles * wire.cycle * wire.bit_rate else None


def gaps(wire: Wire, senders: Sequence[Sender], hyperperiods: int = 2) -> set[int]:
    """All distances, in ns, from one send of these to the next, over some hyperperiods."""
    cycles = lcm(1, *(sender.every for sender in senders)) * hyperperiods
    times = sorted(
        number * wire.cycle + sender.offset
        for sender in senders
        for number in range(sender.phase, cycles, sender.every)
    )
    return {later - one for one, later in zip(times, times[1:], strict=False)}

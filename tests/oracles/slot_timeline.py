"""All frames of a TDMA network over one hyperperiod, sent one by one, as late as they may be.

Shares no code with k40s.tdma. Times are ns; a frame's time on the wire is rounded up.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import lcm

import numpy as np
from numpy.typing import NDArray


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


Starts = NDArray[np.int64]


def _frames(wire: Wire, senders: Sequence[Sender], cycles: int) -> Iterator[tuple[Starts, int]]:
    """For each sender, Syncs first: the starts of its frames, and how long each takes."""
    for offset in wire.syncs:
        yield np.arange(cycles) * wire.cycle + offset, _span(wire, 28, wire.lateness)
    for sender in senders:
        numbers = np.arange(sender.phase, cycles, sender.every)
        yield numbers * wire.cycle + sender.offset, _span(wire, sender.payload, sender.jitter)


def _span(wire: Wire, payload: int, late: int) -> int:
    """From the planned start to the end of the guard behind a frame that leaves late."""
    on_wire = 8 + 14 + (max(46, payload)) + 4 + 12
    whole, rest = divmod(on_wire * 8 * 1_000_000_000, wire.bit_rate)
    return whole + (rest > 0) + late + wire.guard


def first_meeting(wire: Wire, senders: Sequence[Sender]) -> str | None:
    """The first two frames that could meet, or come closer than the guard; None: never.

    What goes on beyond the end of the hyperperiod counts as well: the next Sync is due there.
    """
    cycles = lcm(1, *(sender.every for sender in senders))
    sent = list(_frames(wire, senders, cycles))
    starts = np.concatenate([one for one, _ in sent])
    ends = np.concatenate([one + span for one, span in sent])
    order = np.argsort(starts, kind="stable")
    starts, ends = starts[order], np.maximum.accumulate(ends[order])
    (late,) = np.nonzero(ends > np.append(starts[1:], cycles * wire.cycle))
    if not len(late):
        return None
    who = np.repeat(np.arange(len(sent)), [len(one) for one, _ in sent])[order]
    first = int(late[0])
    later = "the next Sync" if first + 1 == len(who) else _name(wire, int(who[first + 1]))
    return f"{_name(wire, int(who[first]))} and {later} at {int(starts[first])} ns"


def _name(wire: Wire, number: int) -> str:
    syncs = len(wire.syncs)
    return f"Sync {number}" if number < syncs else f"slot {number - syncs}"


def gaps(senders: Sequence[Sender], cycle: int) -> set[int]:
    """All distances, in ns, from one send of these to the next, over two hyperperiods."""
    cycles = 2 * lcm(1, *(sender.every for sender in senders))
    times = sorted(
        number * cycle + sender.offset
        for sender in senders
        for number in range(sender.phase, cycles, sender.every)
    )
    return {later - one for one, later in pairwise(times)}

"""From one gate schedule to the next without loss of a window. Pure.

When a running schedule is to be replaced, Linux opens all gates until the end of the entry that it
is in (``setup_first_end_time`` of ``sch_taprio``). So classes are held meanwhile, and the next
schedule begins where both leave time for ordinary traffic: then nobody's window is lost.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import lcm

from daemons.scarmiglione.network.taprio.gate_schedule import (
    LONGEST,
    REST,
    Entry,
    GateSchedule,
    append_entry,
)
from k40s.units import NS_PER_MS, NS_PER_US, Nanoseconds

_HOLD = (NS_PER_MS, 20 * NS_PER_MS)
"""For how long before the next schedule begins its setting is tried, at least and at most."""
_SETTLE = (200 * NS_PER_US, 5 * NS_PER_MS)
"""For how long after that classes are held, at least and at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timetable:
    """A gate schedule and the time (``CLOCK_TAI``, ns) that it counts from."""

    base: int
    schedule: GateSchedule


@dataclass(frozen=True, slots=True, kw_only=True)
class Changeover:
    """When classes are held, when the next schedule begins, when classes go on. ``CLOCK_TAI``."""

    hold_at: int
    begin: int
    release_at: int


def find_changeover(
    old: GateSchedule, new: GateSchedule, *, earliest: int, shortest: int
) -> Changeover:
    """The first time from ``earliest`` on in the longest rest that both schedules have.

    Both are counted from 0. Without a common rest of three times the shortest entry it is a
    multiple of the new one's period, and windows meanwhile are lost.
    """
    period = lcm(old.period, new.period)
    rest = (0, 0)
    if period <= LONGEST:
        rest = max(_common_rests(old, new, period), key=lambda one: one[1] - one[0], default=rest)
    else:
        period = new.period
    if rest[1] - rest[0] < 3 * shortest:
        rest = (0, 0)
    length = rest[1] - rest[0]
    before = _clamp(length * 2 // 3, _HOLD)
    after = _clamp(length // 6, _SETTLE)
    place = rest[0] + length * 2 // 3
    begin = place + -(-(earliest + before - place) // period) * period
    return Changeover(hold_at=begin - before, begin=begin, release_at=begin + after)


def timetable(schedule: GateSchedule, begin: int) -> Timetable:
    """A schedule that is counted from 0, for a kernel that begins it at ``begin``."""
    return Timetable(base=begin, schedule=_rotated(schedule, begin % schedule.period))


def schedule_of(table: Timetable) -> GateSchedule:
    """What a kernel runs, as if it had been counted from 0."""
    period = table.schedule.period
    return _rotated(table.schedule, -table.base % period) if period else table.schedule


def _rotated(schedule: GateSchedule, offset: int) -> GateSchedule:
    head: list[Entry] = []
    tail: list[Entry] = []
    now = 0
    for entry in schedule.entries:
        end = now + entry.interval
        if now < offset:
            append_entry(head, entry.gates, min(end, offset) - now)
        if end > offset:
            append_entry(tail, entry.gates, end - max(now, offset))
        now = end
    for entry in head:
        append_entry(tail, entry.gates, entry.interval)
    return GateSchedule(entries=tuple(tail))


def _common_rests(old: GateSchedule, new: GateSchedule, period: int) -> Iterator[tuple[int, int]]:
    """Where both are open for class 0, over one and a half periods: a rest may cross the end."""
    later = _rests(new, period * 3 // 2)
    candidate = next(later, None)
    for begin, end in _rests(old, period * 3 // 2):
        while candidate is not None and candidate[0] < end:
            if max(begin, candidate[0]) < min(end, candidate[1]):
                yield max(begin, candidate[0]), min(end, candidate[1])
            if candidate[1] > end:
                break
            candidate = next(later, None)


def _rests(schedule: GateSchedule, until: int) -> Iterator[tuple[int, int]]:
    now, begin = 0, None
    while now < until:
        for entry in schedule.entries:
            if entry.gates & REST:
                begin = now if begin is None else begin
            elif begin is not None:
                yield begin, now
                begin = None
            now += entry.interval
    if begin is not None:
        yield begin, now


def _clamp(time: int, bounds: tuple[int, int]) -> Nanoseconds:
    return Nanoseconds(max(bounds[0], min(bounds[1], time)))

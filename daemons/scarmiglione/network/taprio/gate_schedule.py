"""The gate schedule of a station: windows of local pods by class, and the rest. Pure.

Class 0 and every class without an owner are open together in the rest of the time; the gate of an
owned class is open in its windows alone, and then no other is. A schedule repeats after as many
cycles as the windows' periods need together, and begins with a cycle whose number is 0 modulo that.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import lcm

from daemons.scarmiglione.network.back_end import AppliedSlot, Refusal
from daemons.scarmiglione.network.hazards import Hazard, refuse
from k40s.errors import KernelError
from k40s.tdma.model import Window
from k40s.units import NS_PER_S, Nanoseconds

MAX_ENTRIES = 384
"""Two schedules of this length, one running and one pending, fit into one message of a dump.

A plan has one less: it may be cut where it begins."""
LONGEST = Nanoseconds(4 * NS_PER_S)
"""Of a schedule: the kernel counts an entry's time in 32 bits of ns."""
REST = 1
"""The gate of class 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """For ``interval`` ns the gates of these classes are open: bit ``n`` is class ``n``."""

    gates: int
    interval: Nanoseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSchedule:
    """What repeats from a base time on."""

    entries: tuple[Entry, ...]

    @property
    def period(self) -> Nanoseconds:
        """After which it repeats."""
        return Nanoseconds(sum(entry.interval for entry in self.entries))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a device allows: its classes, and the shortest time that a gate may be open."""

    classes: int
    shortest: Nanoseconds
    entries: int = MAX_ENTRIES


@dataclass(frozen=True, slots=True)
class _Span:
    begin: int
    end: int
    owner: int
    soft: bool
    """Read back: it may be longer than its window by less than the shortest time."""


Holder = Window | AppliedSlot


def plan_schedule(
    windows: Mapping[int, Sequence[Holder]], *, cycle: Nanoseconds, bounds: Bounds
) -> GateSchedule | Refusal:
    """The schedule in which each class has its windows.

    A gap that is shorter than a gate may be open lengthens the window before it.
    """
    owned = {number: held for number, held in windows.items() if held}
    period = lcm(*(one.every for held in owned.values() for one in held)) * cycle
    count = sum(period // cycle // one.every for held in owned.values() for one in held)
    if period > LONGEST or count > bounds.entries:
        return refuse(
            Hazard.TOO_MANY_ENTRIES,
            f"{count} windows in {period} ns, of {bounds.entries} in {LONGEST} ns",
        )
    everything = (1 << bounds.classes) - 1
    rest = everything & ~sum(1 << number for number in owned)
    spans = sorted(_spans(owned, cycle, period), key=lambda span: (span.begin, span.end))
    entries = _fill(spans, rest, period, bounds.shortest)
    if isinstance(entries, Refusal):
        return entries
    if len(entries) >= bounds.entries:
        return refuse(Hazard.TOO_MANY_ENTRIES, f"{len(entries)} entries, of {bounds.entries}")
    if not any(entry.gates == rest for entry in entries):
        return refuse(Hazard.NO_BEST_EFFORT, "the windows leave no time for ordinary traffic")
    return GateSchedule(entries=tuple(entries))


def _spans(
    owned: Mapping[int, Sequence[Holder]], cycle: Nanoseconds, period: int
) -> Iterator[_Span]:
    for number, held in owned.items():
        for one in held:
            length = one.length or 0
            for start in range(one.phase * cycle + one.offset, period, one.every * cycle):
                yield _Span(start, start + length, number, isinstance(one, AppliedSlot))


def _fill(spans: Sequence[_Span], rest: int, period: int, shortest: int) -> list[Entry] | Refusal:
    entries: list[Entry] = []
    now = 0
    for index, span in enumerate(spans):
        follower = spans[index + 1].begin if index + 1 < len(spans) else period
        end = span.end
        if span.soft and follower < end < follower + shortest:
            end = follower
        if span.begin < now or end > period:
            return refuse(Hazard.SLOT_OVERLAP, f"{span.begin}..{end} ns begins before {now} ns")
        if end - span.begin < shortest or 0 < span.begin < shortest:
            return refuse(
                Hazard.WINDOW_TOO_SHORT,
                f"{span.begin}..{end} ns: a gate is open for {shortest} ns at least",
            )
        if span.begin > now:
            append_entry(entries, rest, span.begin - now)
        if 0 < follower - end < shortest:
            end = follower
        append_entry(entries, 1 << span.owner, end - span.begin)
        now = end
    if now < period:
        append_entry(entries, rest, period - now)
    return entries


def append_entry(entries: list[Entry], gates: int, interval: int) -> None:
    """Append, or lengthen the last entry where the gates are the same."""
    if entries and entries[-1].gates == gates:
        interval += entries.pop().interval
    entries.append(Entry(gates=gates, interval=Nanoseconds(interval)))


def read_schedule(schedule: GateSchedule, cycle: Nanoseconds) -> tuple[AppliedSlot, ...]:
    """The windows of the owned classes.

    Only for a schedule of whole cycles. Raises ``KernelError`` for one with owned gates that are
    open together.
    """
    period = schedule.period
    pieces: dict[tuple[int, int, int], set[int]] = {}
    now = 0
    for entry in schedule.entries:
        if not entry.gates & REST:
            if entry.gates.bit_count() != 1:
                raise KernelError(f"a gate schedule of others: gates {entry.gates:#x}")
            number = entry.gates.bit_length() - 1
            for begin, end in _cut(now, now + entry.interval, cycle):
                key = (number, begin % cycle, end - begin)
                pieces.setdefault(key, set()).add(begin // cycle)
        now += entry.interval
    cycles = period // cycle
    return tuple(
        AppliedSlot(
            number=number,
            offset=Nanoseconds(offset),
            phase=phase,
            every=every,
            length=Nanoseconds(length),
        )
        for (number, offset, length), found in sorted(pieces.items())
        for phase, every in _fold(found, cycles)
    )


def _cut(begin: int, end: int, cycle: int) -> Iterator[tuple[int, int]]:
    while begin < end:
        stop = min(end, (begin // cycle + 1) * cycle)
        yield begin, stop
        begin = stop


def _fold(phases: set[int], cycles: int) -> list[tuple[int, int]]:
    """The fewest (phase, every) that are these cycles, of all that have one ``every``."""
    for every in (n for n in range(1, cycles + 1) if cycles % n == 0):
        residues = {phase % every for phase in phases}
        if len(residues) * (cycles // every) == len(phases):
            return [(phase, every) for phase in sorted(residues)]
    raise AssertionError("every cycle is one modulo their number")


def is_same(
    shown: Iterable[Holder], wanted: Iterable[Holder], *, cycle: Nanoseconds, shortest: int
) -> bool:
    """Whether a class's windows as read back are those wanted, but for gaps that were filled."""
    shown, wanted = list(shown), list(wanted)
    if not shown or not wanted:
        return not shown and not wanted
    cycles = lcm(*(one.every for one in (*shown, *wanted)))
    if cycles * cycle > LONGEST:
        return False
    found, expected = (_joined(held, cycle, cycles, shortest) for held in (shown, wanted))
    return len(found) == len(expected) and all(
        one[0] == other[0] and 0 <= one[1] - other[1] < max(shortest, 1)
        for one, other in zip(found, expected, strict=True)
    )


def _joined(
    held: Sequence[Holder], cycle: Nanoseconds, cycles: int, shortest: int
) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    spans = sorted(_spans({0: held}, cycle, cycles * cycle), key=lambda span: span.begin)
    for span in spans:
        if joined and span.begin - joined[-1][1] < max(shortest, 1):
            joined[-1] = (joined[-1][0], max(joined[-1][1], span.end))
        else:
            joined.append((span.begin, span.end))
    return joined

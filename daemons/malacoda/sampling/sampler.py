"""Samples the node's counters from /proc, by pread on descriptors that stay open."""

import os
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple, TypeVar

from daemons.malacoda.sampling.proc_text import (
    label_of,
    parse_interrupts,
    parse_loadavg,
    parse_pressure,
    parse_softirqs,
    parse_spent,
    parse_stat,
    parse_uptime,
)
from daemons.malacoda.sampling.runnable import RunnableThreads
from k40s.assurance.counters import Counters, StatCounters
from k40s.assurance.detector import TREND_SAMPLES
from k40s.assurance.quiet import Spent, is_quiet
from k40s.units import NS_PER_MS, Clock, Nanoseconds

T = TypeVar("T")

_CHUNK = 1 << 18
SOURCES = ("stat", "softirqs", "interrupts", "loadavg", "uptime", "pressure/cpu")
"""The files under /proc that a sample reads."""

LONGEST_WAIT = Nanoseconds(550 * NS_PER_MS)
"""Between two samples of a quiet node: half a second, and room for turns that come late."""


class Look(NamedTuple):
    """What one turn has seen; no ``sample`` where a glance sufficed.

    ``turns`` are the last ones before the sample, one by one, where turns have waited.
    """

    sample: Counters | None = None
    turns: tuple[Counters, ...] = ()


class _Turn(NamedTuple):
    """/proc/stat in one turn: its text, and what a glance reads of it."""

    at: Nanoseconds
    text: bytes
    spent: Spent


@dataclass(slots=True, kw_only=True)
class Sampler:
    """Reads all sources at once; one that is absent or unreadable is left out and counted.

    ``faults`` counts, by source, the samples in which it was missing. A node that shares its
    machine has its own ``runnable`` threads counted when the machine has ``crowd`` per CPU of the
    node. All sources but stat are read no more often than ``details_every``; 0 is at each sample.
    """

    cpus: Collection[int]
    clock: Clock
    root: Path = Path("/proc")
    crowd: float = 3.0
    runnable: RunnableThreads | None = None
    details_every: Nanoseconds = Nanoseconds(0)
    faults: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SOURCES, 0))
    _descriptors: dict[str, int] = field(default_factory=dict)
    _details: Counters | None = None
    _labels: tuple[bytes, ...] = ()
    _turns: deque[_Turn] = field(default_factory=lambda: deque(maxlen=TREND_SAMPLES))
    _waited: bool = False
    _due_at: int = 0

    def __post_init__(self) -> None:
        self._labels = tuple(map(label_of, sorted(self.cpus)))
        if self.runnable is None:
            self.runnable = RunnableThreads(cpus=self.cpus, root=self.root)

    def look(self, *, closely: bool) -> Look:
        """Take a sample, unless a glance at /proc/stat suffices for this turn.

        It does, without ``closely``, where the node's CPUs were quiet since the last turn, and the
        next turn will not be later than ``LONGEST_WAIT`` after the last sample that was due.
        """
        now, known = self.clock(), self._turns
        due = closely or not known or 2 * now - known[-1].at > self._due_at + LONGEST_WAIT
        if not due and self._glance(now):
            self._waited = True
            return Look()
        turns, details = tuple(known), self._details
        sample = self.sample()
        if due:
            self._due_at = sample.at
        if not closely and turns and self._is_quiet_since(turns[-1]):
            return Look(sample)
        waited, self._waited = self._waited, False
        while len(self._turns) > 1:  # those before are judged one by one, here or before
            self._turns.popleft()
        return Look(sample, self._as_samples(turns, details) if waited and details else ())

    def sample(self) -> Counters:
        """Take a sample. An absent source is left out and counted."""
        at = Nanoseconds(self.clock())
        stat = self._read_stat(at)
        details = self._details
        if details is None or at - details.at >= self.details_every:
            details = self._details = self._read_details(at)
        return Counters(
            at=at,
            details_at=details.at,
            cpus=details.cpus,
            stat=stat,
            softirqs=details.softirqs,
            interrupts=details.interrupts,
            load=details.load,
            uptime=details.uptime,
            pressure=details.pressure,
            own_running=None if stat is None else self._count(stat),
        )

    def _glance(self, now: int) -> bool:
        """Whether the node was quiet since the last turn; what cannot be read was not."""
        try:
            text = self._text("stat")
            turn = _Turn(Nanoseconds(now), text, parse_spent(text, self._labels))
        except (OSError, ValueError):
            return False
        if not is_quiet(self._turns[-1].spent, turn.spent):
            return False
        self._turns.append(turn)
        return True

    def _is_quiet_since(self, turn: _Turn) -> bool:
        return bool(self._turns) and is_quiet(turn.spent, self._turns[-1].spent)

    def _as_samples(self, turns: tuple[_Turn, ...], details: Counters) -> tuple[Counters, ...]:
        """With the details of before: none was read in these turns. None where one is garbled."""
        try:
            return tuple(
                replace(
                    details,
                    at=turn.at,
                    details_at=details.at,
                    stat=parse_stat(turn.text, self.cpus),
                )
                for turn in turns
            )
        except ValueError:
            return ()

    def _read_stat(self, at: Nanoseconds) -> StatCounters | None:
        """CPU times and counts; the turn is kept, or all are forgotten where it cannot be read."""
        try:
            text = self._text("stat")
            stat = parse_stat(text, self.cpus)
        except (OSError, ValueError):
            self._lose("stat")
            self._turns.clear()
            return None
        self._turns.append(_Turn(at, text, Spent.of(stat.own)))
        return stat

    def _read_details(self, at: Nanoseconds) -> Counters:
        return Counters(
            at=at,
            cpus=len(self.cpus),
            softirqs=self._read("softirqs", lambda text: parse_softirqs(text, self.cpus)) or {},
            interrupts=self._read("interrupts", lambda text: parse_interrupts(text, self.cpus))
            or {},
            load=self._read("loadavg", parse_loadavg),
            uptime=self._read("uptime", parse_uptime),
            pressure=self._read("pressure/cpu", parse_pressure),
        )

    def close(self) -> None:
        """Close all descriptors."""
        while self._descriptors:
            os.close(self._descriptors.popitem()[1])

    def _count(self, stat: StatCounters) -> float | None:
        waiting = stat.running - 1
        crowded = stat.other_cpus > 0 and waiting >= self.crowd * stat.own_cpus
        return self.runnable.count(waiting) if crowded and self.runnable else None

    def _read(self, source: str, parse: Callable[[bytes], T]) -> T | None:
        try:
            return parse(self._text(source))
        except (OSError, ValueError):
            self._lose(source)
            return None

    def _lose(self, source: str) -> None:
        self.faults[source] += 1
        if source in self._descriptors:
            os.close(self._descriptors.pop(source))

    def _text(self, source: str) -> bytes:
        descriptor = self._descriptors.get(source)
        if descriptor is None:
            descriptor = os.open(self.root / source, os.O_RDONLY | os.O_CLOEXEC)
            self._descriptors[source] = descriptor
        parts: list[bytes] = []
        offset = 0
        while part := os.pread(descriptor, _CHUNK, offset):
            parts.append(part)
            offset += len(part)
        return b"".join(parts)

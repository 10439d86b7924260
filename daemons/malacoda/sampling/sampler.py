"""Samples the node's counters from /proc, by pread on descriptors that stay open."""

import os
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
from k40s.assurance.quiet import Spent, is_quiet
from k40s.units import NS_PER_MS, Clock, Nanoseconds

T = TypeVar("T")

_CHUNK = 1 << 18
SOURCES = ("stat", "softirqs", "interrupts", "loadavg", "uptime", "pressure/cpu")
"""The files under /proc that a sample reads."""

LOOK_EVERY = Nanoseconds(460 * NS_PER_MS)
"""A sample waits no longer, however quiet the node. Less than the period of two per second, and
more than the spacing of what is sampled in the same turn, so that it is due then, too."""


class _Glance(NamedTuple):
    """A glance at /proc/stat: its whole text, and what was read of it."""

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
    _seen: Spent | None = None
    _waiting: _Glance | None = None
    _due: int = 0

    def __post_init__(self) -> None:
        self._labels = tuple(map(label_of, sorted(self.cpus)))
        if self.runnable is None:
            self.runnable = RunnableThreads(cpus=self.cpus, root=self.root)

    def look(self, *, closely: bool) -> tuple[Counters, ...]:
        """The samples to be judged now, in order: one, unless a glance suffices.

        Without ``closely``, and when the last sample is of less than ``LOOK_EVERY`` ago, a glance
        at /proc/stat is taken: where the node's CPUs have been quiet since the last one, nothing
        is to be judged. Where they have not, the former glance is the first of two samples, so
        that what has begun is not taken together with the quiet time before it.
        """
        if not closely and self._seen is not None and self.clock() < self._due:
            glance = self._take_glance()
            if glance is not None and is_quiet(self._seen, glance.spent):
                self._seen, self._waiting = glance.spent, glance
                return ()
        waiting, self._waiting, details = self._waiting, None, self._details
        sample = self.sample()
        self._due = sample.at + LOOK_EVERY
        self._seen = None if sample.stat is None else Spent.of(sample.stat.own)
        if waiting is None or self._seen is None or is_quiet(waiting.spent, self._seen):
            return (sample,)
        return (*self._of_glance(waiting, details), sample)

    def sample(self) -> Counters:
        """Take a sample. An absent source is left out and counted."""
        at = Nanoseconds(self.clock())
        stat = self._read("stat", lambda text: parse_stat(text, self.cpus))
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

    def _take_glance(self) -> _Glance | None:
        """None where a sample has to tell what is wrong."""
        at = Nanoseconds(self.clock())
        try:
            text = self._text("stat")
            return _Glance(at, text, parse_spent(text, self._labels))
        except (OSError, ValueError):
            return None

    def _of_glance(self, glance: _Glance, details: Counters | None) -> tuple[Counters, ...]:
        """The sample that the glance saw, with the details of that time; none if it is unusable."""
        try:
            stat = parse_stat(glance.text, self.cpus)
        except ValueError:
            return ()
        details = details or Counters(at=glance.at)
        return (replace(details, at=glance.at, details_at=details.at, stat=stat),)

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
            self.faults[source] += 1
            if source in self._descriptors:
                os.close(self._descriptors.pop(source))
            return None

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

"""Samples the node's counters from /proc, by pread on descriptors that stay open."""

import os
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from daemons.malacoda.sampling.proc_text import (
    parse_interrupts,
    parse_loadavg,
    parse_pressure,
    parse_softirqs,
    parse_stat,
    parse_uptime,
)
from daemons.malacoda.sampling.runnable import RunnableThreads
from k40s.assurance.counters import Counters, StatCounters
from k40s.units import Clock, Nanoseconds

T = TypeVar("T")

_CHUNK = 1 << 18
SOURCES = ("stat", "softirqs", "interrupts", "loadavg", "uptime", "pressure/cpu")
"""The files under /proc that a sample reads."""


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

    def __post_init__(self) -> None:
        if self.runnable is None:
            self.runnable = RunnableThreads(cpus=self.cpus, root=self.root)

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

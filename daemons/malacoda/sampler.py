"""Samples the node's counters from /proc, by pread on descriptors that stay open."""

import os
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from daemons.malacoda.proc_text import (
    parse_interrupts,
    parse_loadavg,
    parse_pressure,
    parse_softirqs,
    parse_stat,
    parse_uptime,
)
from daemons.malacoda.runnable import RunnableThreads
from k40s.assurance.counters import Counters, StatCounters
from k40s.units import Nanoseconds

T = TypeVar("T")

_CHUNK = 1 << 18
SOURCES = ("stat", "softirqs", "interrupts", "loadavg", "uptime", "pressure/cpu")
"""The files under /proc that a sample is made of."""


@dataclass(slots=True, kw_only=True)
class Sampler:
    """Reads all sources at once; one that is absent or unreadable is left out and counted.

    ``faults`` counts, by source, the samples in which it was missing. A node that shares its
    machine has its own runnable threads counted when the machine has ``crowd`` per CPU of the node.
    """

    cpus: Collection[int]
    clock: Callable[[], int]
    root: Path = Path("/proc")
    crowd: float = 3.0
    faults: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SOURCES, 0))
    _descriptors: dict[str, int] = field(default_factory=dict)
    _runnable: RunnableThreads = field(init=False)

    def __post_init__(self) -> None:
        self._runnable = RunnableThreads(cpus=self.cpus, root=self.root)

    def sample(self) -> Counters:
        """Take a sample. Does not raise for what the kernel does not offer."""
        at = Nanoseconds(self.clock())
        stat = self._read("stat", lambda text: parse_stat(text, self.cpus))
        return Counters(
            at=at,
            stat=stat,
            softirqs=self._read("softirqs", lambda text: parse_softirqs(text, self.cpus)) or {},
            interrupts=self._read("interrupts", lambda text: parse_interrupts(text, self.cpus))
            or {},
            load=self._read("loadavg", parse_loadavg),
            uptime=self._read("uptime", parse_uptime),
            pressure=self._read("pressure/cpu", parse_pressure),
            own_running=None if stat is None else self._count(stat),
        )

    def close(self) -> None:
        """Close all descriptors."""
        while self._descriptors:
            os.close(self._descriptors.popitem()[1])

    def _count(self, stat: StatCounters) -> float | None:
        waiting = stat.running - 1
        if stat.other_cpus == 0 or waiting < self.crowd * stat.own_cpus:
            return None
        return self._runnable.count(waiting)

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

"""CPU time of pods and of the node, as each cgroup version offers it.

cgroup v1 counts by CPU, so the time on the node's own CPUs is exact. Its root group counts the
whole node in the same way, so the difference is the use of everything outside the pods. v2 only
has totals over all CPUs: they tell about the node where the pod's cpuset holds the node's CPUs
alone. There the node's own time comes from /proc/stat, in ticks of USER_HZ.
"""

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from daemons.malacoda.sampling.cgroup_text import (
    parse_cpu_columns,
    parse_cpu_stat,
    parse_cpuset,
    parse_usage_by_cpu,
)
from daemons.malacoda.sampling.open_files import OpenFiles
from daemons.malacoda.sampling.pod_cgroups import Hierarchies, PodCgroup
from k40s.assurance.counters import StatCounters
from k40s.units import NS_PER_S

_TICK = NS_PER_S // os.sysconf("SC_CLK_TCK")

CpuTime = tuple[int, int]
"""CPU time, and that part of it in the kernel, in nanoseconds."""


class CpuTimeReader(Protocol):
    """Methods raise ``OSError`` or ``ValueError`` where a counter cannot be read."""

    def node(self, stat: StatCounters | None) -> CpuTime:
        """Of the node's own CPUs, interrupts included; ``stat`` is /proc/stat of the same time."""
        ...

    def pod(self, pod: PodCgroup, used: bytes) -> CpuTime:
        """Of a pod: on the node's own CPUs, or on all; ``used`` is the text of that file."""
        ...

    def cpuset(self, pod: PodCgroup) -> frozenset[int] | None:
        """The CPUs that a pod's time was spent on; None where it is that on the node's own."""
        ...


def cpu_time_reader(
    hierarchies: Hierarchies, cpus: Collection[int], files: OpenFiles
) -> CpuTimeReader:
    """The reader for these hierarchies."""
    if hierarchies.unified:
        return _TotalTimes(cpus=cpus, files=files)
    return _TimesByCpu(top=hierarchies.cpu, cpus=cpus, files=files)


@dataclass(slots=True, kw_only=True)
class _TimesByCpu:
    """cgroup v1: cpuacct.usage_percpu is exact, usage_percpu_sys counted by ticks."""

    top: Path
    cpus: Collection[int]
    files: OpenFiles
    _columns: tuple[int, ...] = ()

    def node(self, stat: StatCounters | None) -> CpuTime:
        del stat
        return self._read(f"{self.top}/cpuacct.usage_percpu"), self._read(
            f"{self.top}/cpuacct.usage_percpu_sys"
        )

    def pod(self, pod: PodCgroup, used: bytes) -> CpuTime:
        columns = self._columns or self._find_columns()
        system = self.files.read(pod.system)
        return parse_usage_by_cpu(used, columns), parse_usage_by_cpu(system, columns)

    def cpuset(self, pod: PodCgroup) -> frozenset[int] | None:
        del pod
        return None

    def _read(self, path: str) -> int:
        columns = self._columns or self._find_columns()
        return parse_usage_by_cpu(self.files.read(path), columns)

    def _find_columns(self) -> tuple[int, ...]:
        text = self.files.read(f"{self.top}/cpuacct.usage_all")
        self._columns = parse_cpu_columns(text, self.cpus)
        return self._columns


@dataclass(slots=True, kw_only=True)
class _TotalTimes:
    """cgroup v2: cpu.stat, which is there without any controller."""

    cpus: Collection[int]
    files: OpenFiles
    _shared: bool = True
    _cpuset: tuple[bytes, frozenset[int]] = (b"", frozenset())

    def node(self, stat: StatCounters | None) -> CpuTime:
        if stat is None:
            raise ValueError("no CPU times of the node")
        self._shared = stat.other_cpus > 0
        system = stat.own.system + stat.own.irq
        return (stat.own.user + system) * _TICK, system * _TICK

    def pod(self, pod: PodCgroup, used: bytes) -> CpuTime:
        del pod
        return parse_cpu_stat(used)

    def cpuset(self, pod: PodCgroup) -> frozenset[int] | None:
        if not self._shared:
            return None
        text = self.files.read(pod.cpuset)
        if text != self._cpuset[0]:  # most pods have the same
            self._cpuset = text, parse_cpuset(text)
        return self._cpuset[1]

"""Reads the usage of each pod, and of the node, in one sample: what names the culprit."""

import errno
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

from daemons.malacoda.sampling.cgroup_text import parse_count
from daemons.malacoda.sampling.cpu_time import CpuTimeReader, cpu_time_reader
from daemons.malacoda.sampling.open_files import OpenFiles
from daemons.malacoda.sampling.pod_cgroups import PodCgroup, PodCgroups, find_hierarchies
from daemons.malacoda.sampling.proc_text import parse_pressure
from daemons.malacoda.sampling.runnable import RunnableCount, RunnableThreads
from k40s.assurance.counters import StatCounters
from k40s.assurance.suspects.usage import UNKNOWN_POD, NodeUsage, PodIdentity, PodUsage
from k40s.units import NS_PER_S, Clock, Nanoseconds

PODS, NODE_CPU, THREADS = "pods", "node-cpu", "threads"
POD_CPU, POD_CPUSET, POD_PIDS, POD_PRESSURE = "pod-cpu", "pod-cpuset", "pod-pids", "pod-pressure"
USAGE_SOURCES = (PODS, NODE_CPU, THREADS, POD_CPU, POD_CPUSET, POD_PIDS, POD_PRESSURE)
"""The sources of a sample of usage."""

_MOST_PODS = 1000
_MOST_OPEN = 600
"""Three files for each of kubelet's 110 pods, and more; a process may usually have 1024."""
_COUNT_PIDS_EVERY = 2 * NS_PER_S
"""Only a median of them is used, and their rise where runnable threads cannot be counted."""
_GONE = (errno.ENOENT, errno.ENODEV)


class _Last(NamedTuple):
    """A pod's usage in a complete sample, and the text of its CPU time then."""

    text: bytes
    identity: PodIdentity
    usage: PodUsage

    def is_of(self, text: bytes, identity: PodIdentity) -> bool:
        """Whether the same pod has not run since."""
        return self.text == text and (self.identity is identity or self.identity == identity)


class UsageReader:
    """Not for several threads. ``faults`` counts, by source, the samples in which it was missing.

    ``root`` is where the host's cgroups are seen (/sys/fs/cgroup), ``cgroup_root`` is kubelet's
    cgroupRoot. A pod whose cgroup vanishes while it is read is left out, and no fault. Of more
    than ``most_pods`` the rest is left out, and counts as outside the pods. Where kubepods are not
    found, the sample is empty: what pods use must not pass for what the host uses. ``runnable`` may
    be shared with the sampler of the node's counters.
    """

    def __init__(
        self,
        *,
        cpus: Collection[int],
        clock: Clock,
        root: Path,
        cgroup_root: str = "/",
        proc: Path = Path("/proc"),
        runnable: RunnableThreads | None = None,
        most_pods: int = _MOST_PODS,
        most_open: int = _MOST_OPEN,
    ) -> None:
        self.faults: dict[str, int] = dict.fromkeys(USAGE_SOURCES, 0)
        self._cpus = frozenset(cpus)
        self._clock = clock
        self._root = root
        self._cgroup_root = cgroup_root
        self._most_pods = most_pods
        self._files = OpenFiles(most_open)
        self._threads = runnable or RunnableThreads(cpus=self._cpus, root=proc)
        self._cgroups: PodCgroups | None = None
        self._times: CpuTimeReader | None = None
        self._pods: Mapping[str, PodCgroup] = {}
        self._last: dict[str, _Last] = {}
        self._pids: dict[str, int] = {}
        self._pids_due = 0
        self._missing: set[str] = set()

    def read(
        self,
        pods: Mapping[str, PodIdentity],
        *,
        stat: StatCounters | None,
        with_threads: bool = False,
    ) -> NodeUsage:
        """Take a sample. ``pods`` are known by UID, static pods by their hash.

        ``stat`` is /proc/stat of the same time. Runnable threads are only counted
        ``with_threads``: that scans /proc.
        """
        at = Nanoseconds(self._clock())
        found = self._find()
        times = self._times
        if times is None or (not found and PODS in self._missing):
            self._count_missing()
            return NodeUsage(at=at, cpus=self._cpus)
        used, system = self._node(times, stat)
        threads = self._count(stat, found) if with_threads else None
        if at >= self._pids_due or (with_threads and threads is None):
            self._pids.clear()
            self._pids_due = at + _COUNT_PIDS_EVERY
        usages: dict[str, PodUsage] = {}
        for uid, pod in found.items():
            usage = self._usage(times, pod, pods.get(uid, UNKNOWN_POD), threads)
            if usage is not None:
                usages[uid] = usage
        self._count_missing()
        return NodeUsage(
            at=at,
            cpus=self._cpus,
            used=used,
            system=system,
            runnable=None if threads is None else threads.node,
            pods=usages,
        )

    def read_pressure(self, uids: Collection[str]) -> dict[str, int]:
        """Microseconds in which some task of each of these pods waited for a CPU, by UID.

        Without pods that have no group in cgroup v2, as under a kubelet that uses v1.
        """
        totals: dict[str, int] = {}
        for uid in uids:
            pod = self._pods.get(uid)
            if pod is None or pod.pressure is None:
                continue
            try:
                totals[uid] = parse_pressure(self._files.read(pod.pressure))
            except OSError as error:
                if error.errno not in _GONE:
                    self._missing.add(POD_PRESSURE)
            except ValueError:
                self._missing.add(POD_PRESSURE)
        self._count_missing()
        return totals

    def close(self) -> None:
        """Close all descriptors."""
        self._files.close_all()

    def _find(self) -> dict[str, PodCgroup]:
        if self._cgroups is None:
            hierarchies = find_hierarchies(self._root)
            if hierarchies is None:
                self._missing.add(PODS)
                return {}
            self._times = cpu_time_reader(hierarchies, self._cpus, self._files)
            self._cgroups = PodCgroups(
                hierarchies=hierarchies,
                cgroup_root=self._cgroup_root,
                clock=self._clock,
                most=self._most_pods,
            )
        found = self._cgroups.find()
        if not self._cgroups.complete:
            self._missing.add(PODS)
        if found is not self._pods:
            for uid, pod in self._pods.items():
                if found.get(uid) is not pod:
                    self._files.close(pod.files)
            self._pods = found
            self._last.clear()
            self._pids.clear()
        return found

    def _node(
        self, times: CpuTimeReader, stat: StatCounters | None
    ) -> tuple[int | None, int | None]:
        try:
            return times.node(stat)
        except (OSError, ValueError):
            self._missing.add(NODE_CPU)
            return None, None

    def _usage(
        self,
        times: CpuTimeReader,
        pod: PodCgroup,
        identity: PodIdentity,
        threads: RunnableCount | None,
    ) -> PodUsage | None:
        """The pod's usage; None when its cgroup is gone.

        A pod whose CPU time is that of the last sample has not run since, and has the rest of its
        usage as well; what others did to it (a new process moved in) shows when it runs.
        """
        used = system = cpus = None
        text = b""
        source = POD_CPU
        try:
            text = self._files.read(pod.used)
            last = self._last.get(pod.uid)
            if threads is None and last is not None and last.is_of(text, identity):
                return last.usage
            used, system = times.pod(pod, text)
            source = POD_CPUSET
            cpus = times.cpuset(pod)
        except (OSError, ValueError):
            if self._is_gone(pod):
                return None
            used = system = None
            self._missing.add(source)
        pids = self._pids.get(pod.uid)
        try:
            if pids is None and pod.pids is not None:
                pids = self._pids[pod.uid] = parse_count(self._files.read(pod.pids))
        except (OSError, ValueError):
            if self._is_gone(pod):
                return None
        if pids is None:
            self._missing.add(POD_PIDS)
        usage = PodUsage(
            name=identity.name,
            criticality=identity.criticality,
            protected=identity.protected,
            used=used,
            system=system,
            cpus=cpus,
            runnable=None if threads is None else threads.groups[pod.name],
            pids=pids,
        )
        if threads is None and used is not None and pids is not None:
            self._last[pod.uid] = _Last(text, identity, usage)
        return usage

    def _count(
        self, stat: StatCounters | None, found: Mapping[str, PodCgroup]
    ) -> RunnableCount | None:
        """Runnable threads, of which the kernel's count includes the caller's own."""
        names = [pod.name for pod in found.values()]
        if stat is not None and stat.running <= 1:
            return RunnableCount(node=0.0, groups=dict.fromkeys(names, 0.0))
        if stat is not None and not self._threads.ready:
            return None
        counted = None if stat is None else self._threads.count_by_group(stat.running - 1, names)
        if counted is None:
            self._missing.add(THREADS)
        return counted

    def _is_gone(self, pod: PodCgroup) -> bool:
        if os.path.isdir(pod.directory):  # noqa: PTH112  # a text, as everywhere here
            return False
        if self._cgroups is not None:
            self._cgroups.list_again()
        return True

    def _count_missing(self) -> None:
        for source in self._missing:
            self.faults[source] += 1
        self._missing.clear()

"""Affinity and cpuset that a thread needs to become a DEADLINE thread on its CPUs.

The kernel refuses (EPERM) a thread that may not run on every CPU of its root domain. So what its
affinity and its cpuset have to be depends on how the domains are cut.
"""

from collections.abc import Set as AbstractSet
from pathlib import Path, PurePosixPath
from typing import Protocol

from daemons.rubicante.kernel.pod_cgroups import PodTree
from daemons.rubicante.kernel.probes.thread import Probe, StartProbe
from daemons.rubicante.kernel.threads import Thread, Threads
from daemons.rubicante.mechanisms.deadline.core_cpusets import CorePartitions
from daemons.rubicante.mechanisms.deadline.pod_partitions import PodPartitions
from k40s.errors import KernelError


class Affinity(Protocol):
    """One way to cut the root domains. Methods may raise ``KernelError``."""

    def cpus(self, core: int) -> frozenset[int]:
        """The CPUs on which a thread with a reservation of this core runs."""
        ...

    def probe(self, core: int, pod_uid: str) -> Probe | None:
        """A probe thread in the domain; None where none can be there.

        It is kept: one that has to start first would have to wait for real-time threads. Raises
        ``OSError`` where it cannot start.
        """
        ...

    def prepare(self, core: int, pod_uid: str) -> None:
        """Prepare what does not need the pod's threads."""
        ...

    def confine(self, thread: Thread, core: int, pod: Path) -> bool:
        """Bring a thread to its CPUs; False when it died. ``pod`` is its pod's cgroup."""
        ...

    def bring_back(self, tid: int, affinity: AbstractSet[int]) -> bool:
        """Return an ordinary thread to its origin; False where that is not known."""
        ...

    def inside(self, core: int) -> tuple[int, ...]:
        """TIDs in the core's k40s cpuset, real-time or not; empty where there is none."""
        ...

    def all_inside(self) -> tuple[int, ...]:
        """TIDs in all k40s cpusets."""
        ...

    def release(self, pod_uid: str) -> None:
        """Release what a pod holds besides its threads."""
        ...

    def owners(self) -> dict[str, str]:
        """UIDs of pods that hold something besides threads, and its name."""
        ...

    def repair(self) -> None:
        """Restore the root domains, which other programs may have changed."""
        ...

    def close(self) -> None:
        """End the probe threads; the kernel's state stays."""
        ...


class _PinnedThreads:
    """Common to ways that neither move threads nor keep anything for a pod."""

    def __init__(self, *, threads: Threads, start_probe: StartProbe) -> None:
        self._threads = threads
        self._start_probe = start_probe
        self._probes: dict[int, Probe] = {}

    def cpus(self, core: int) -> frozenset[int]:
        """The core itself."""
        return frozenset({core})

    def probe(self, core: int, pod_uid: str) -> Probe | None:  # noqa: ARG002  # other ways need it
        """A thread that may run where the pod's threads will."""
        if core not in self._probes:
            self._probes[core] = self._start(core)
        return self._probes[core]

    def prepare(self, core: int, pod_uid: str) -> None:
        """Nothing is needed."""

    def confine(self, thread: Thread, core: int, pod: Path) -> bool:  # noqa: ARG002  # the same
        """Set the affinity."""
        return self._threads.pin(thread.tid, self.cpus(core))

    def bring_back(self, tid: int, affinity: AbstractSet[int]) -> bool:
        """Set the affinity back."""
        self._threads.pin(tid, affinity)
        return True

    def inside(self, core: int) -> tuple[int, ...]:  # noqa: ARG002  # the same
        """Empty: there are no k40s cpusets."""
        return ()

    def all_inside(self) -> tuple[int, ...]:
        """None."""
        return ()

    def release(self, pod_uid: str) -> None:
        """Nothing is held."""

    def owners(self) -> dict[str, str]:
        """None."""
        return {}

    def repair(self) -> None:
        """Nothing: k40s did not make these root domains."""

    def close(self) -> None:
        """End the probe threads."""
        for thread in self._probes.values():
            thread.close()
        self._probes.clear()

    def _start(self, core: int) -> Probe:
        return self._start_probe(self.cpus(core))


class PinnedCores(_PinnedThreads):
    """Each core is a root domain already; a thread is only pinned."""


class SharedDomain(_PinnedThreads):
    """One root domain of all real-time CPUs; a thread may run on each of them.

    Its affinity is widened where the program has narrowed it, and restored on release.
    """

    def __init__(
        self, *, threads: Threads, start_probe: StartProbe, cores: AbstractSet[int]
    ) -> None:
        super().__init__(threads=threads, start_probe=start_probe)
        self._cores = frozenset(cores)

    def cpus(self, core: int) -> frozenset[int]:  # noqa: ARG002  # threads migrate
        """All of them."""
        return self._cores


class CpusetCores(_PinnedThreads):
    """Each core is a root domain by a k40s cpuset (cgroup v1), into which threads are moved."""

    def __init__(
        self, *, threads: Threads, start_probe: StartProbe, partitions: CorePartitions
    ) -> None:
        super().__init__(threads=threads, start_probe=start_probe)
        self._partitions = partitions
        self._former: dict[int, tuple[int, str]] = {}

    def confine(self, thread: Thread, core: int, pod: Path) -> bool:  # noqa: ARG002  # the same
        """Move it into the core's cpuset, which bounds its affinity, and save its own."""
        if thread.tid in self._partitions.members(core):
            return self._threads.pin(thread.tid, {core})
        former = self._threads.cgroup(thread.tid, "cpuset")
        if former is not None and not self._partitions.is_own(former):
            self._former[thread.tid] = (thread.started, former)
        return self._partitions.move_in(core, thread.tid) and self._threads.pin(thread.tid, {core})

    def bring_back(self, tid: int, affinity: AbstractSet[int]) -> bool:
        """Move it back to the cpuset that it had, or that its other cgroups show.

        Where that is gone or was never made, to the nearest one above: its pod's, at last the root.
        """
        origin = self._origin(tid)
        self._former.pop(tid, None)
        paths = () if origin is None else (origin, *map(str, PurePosixPath(origin).parents))
        if not any(self._partitions.move_back(tid, path) for path in paths):
            return self._threads.find(tid) is None
        self._threads.pin(tid, affinity)
        return True

    def inside(self, core: int) -> tuple[int, ...]:
        """Threads in the core's cpuset, without the probe."""
        own = {thread.tid for thread in self._probes.values()}
        return tuple(tid for tid in self._partitions.members(core) if tid not in own)

    def all_inside(self) -> tuple[int, ...]:
        """Threads in all cores' cpusets."""
        return tuple(tid for core in self._partitions.cores() for tid in self.inside(core))

    def repair(self) -> None:
        """Switch balancing off in cpusets that have appeared, and forget threads that died."""
        self._former = {t: f for t, f in self._former.items() if self._former_cpuset(t)}
        self._partitions.keep()

    def _start(self, core: int) -> Probe:
        return self._start_probe({core}, enter=lambda tid: self._partitions.move_in(core, tid))

    def _origin(self, tid: int) -> str | None:
        return self._former_cpuset(tid) or self._threads.kubepods_path(tid)

    def _former_cpuset(self, tid: int) -> str:
        started, former = self._former.get(tid, (0, ""))
        found = self._threads.find(tid)
        return former if found is not None and found.started == started else ""


class PodCores(_PinnedThreads):
    """Pods' cgroups are made partitions (cgroup v2), with all that runs in them."""

    def __init__(
        self, *, threads: Threads, start_probe: StartProbe, partitions: PodPartitions, tree: PodTree
    ) -> None:
        super().__init__(threads=threads, start_probe=start_probe)
        self._partitions = partitions
        self._tree = tree

    def probe(self, core: int, pod_uid: str) -> Probe | None:
        """None, for there is no partition before the pod's cgroup; but the core must be free."""
        for path in self._partitions.partitions():
            if core in self._partitions.held(path) and self._tree.owner(str(path)) != pod_uid:
                raise KernelError(f"CPU {core} is the partition of {path.name}")
        return None

    def prepare(self, core: int, pod_uid: str) -> None:
        """Make the partition as soon as the pod has a cgroup."""
        pod = self._tree.pod(pod_uid)
        if pod is not None:
            self._partitions.make(pod, core)

    def confine(self, thread: Thread, core: int, pod: Path) -> bool:
        """Make the partition, which confines all of the pod's threads."""
        self._partitions.make(pod, core)
        return self._threads.find(thread.tid) is not None

    def bring_back(self, tid: int, affinity: AbstractSet[int]) -> bool:  # noqa: ARG002  # the same
        """Its affinity was never set; the partition's end widens it."""
        return True

    def release(self, pod_uid: str) -> None:
        """End the partition."""
        pod = self._tree.pod(pod_uid)
        if pod is not None:
            self._partitions.undo(pod)
        self._partitions.tidy()

    def owners(self) -> dict[str, str]:
        """Pods whose cgroups are partitions."""
        found = {self._tree.owner(str(p)): p.name for p in self._partitions.partitions()}
        return {uid: f"partition {name}" for uid, name in found.items() if uid is not None}

"""What is done to a thread so that the kernel takes it as a DEADLINE thread where it belongs.

The kernel refuses (EPERM) a thread that may not run on every CPU of its root domain. So what its
affinity and its cpuset have to be depends on how the domains are cut.
"""

from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Protocol

from daemons.rubicante.kernel.cpuset_v1 import CorePartitions
from daemons.rubicante.kernel.cpuset_v2 import PodPartitions
from daemons.rubicante.kernel.parking import Park, Parked
from daemons.rubicante.kernel.pod_tree import PodTree
from daemons.rubicante.kernel.threads import Thread, Threads
from k40s.errors import KernelError


class Confinement(Protocol):
    """One way to cut the root domains. Methods may raise ``KernelError``."""

    def cpus(self, core: int) -> frozenset[int]:
        """The CPUs on which a thread with a reservation of this core runs."""
        ...

    def asker(self, core: int, pod_uid: str) -> Parked | None:
        """A waiting thread in the domain, to ask for room with; None where none can be there.

        It is kept: one that has to start first would have to wait for real-time threads. Raises
        ``OSError`` where it cannot start.
        """
        ...

    def prepare(self, core: int, pod_uid: str) -> None:
        """Make ready what can be before the pod's threads are there."""
        ...

    def confine(self, thread: Thread, core: int, pod: Path) -> bool:
        """Bring a thread to its CPUs; False when it died. ``pod`` is its pod's cgroup."""
        ...

    def let_go(self, tid: int, affinity: AbstractSet[int]) -> bool:
        """Bring an ordinary thread back to where it came from; False where that is not known."""
        ...

    def inside(self, core: int) -> tuple[int, ...]:
        """TIDs in a place of ours, real-time or not; empty where there is no such place."""
        ...

    def everyone(self) -> tuple[int, ...]:
        """TIDs in all places of ours."""
        ...

    def release(self, pod_uid: str) -> None:
        """Give back what a pod had besides its threads."""
        ...

    def owners(self) -> dict[str, str]:
        """UIDs of pods that have something of ours besides threads, with a word for what."""
        ...

    def repair(self) -> None:
        """Look after the domains' borders, which others may have moved."""
        ...

    def close(self) -> None:
        """End what this process keeps; the kernel's side stays."""
        ...


class _Borderless:
    """What ways have in common that neither move threads nor keep anything for a pod."""

    def __init__(self, *, threads: Threads, park: Park) -> None:
        self._threads = threads
        self._park = park
        self._askers: dict[int, Parked] = {}

    def cpus(self, core: int) -> frozenset[int]:
        """The core itself."""
        return frozenset({core})

    def asker(self, core: int, pod_uid: str) -> Parked | None:  # noqa: ARG002  # other ways need it
        """A thread that may run where the pod's threads will."""
        if core not in self._askers:
            self._askers[core] = self._start(core)
        return self._askers[core]

    def prepare(self, core: int, pod_uid: str) -> None:
        """Nothing is needed."""

    def confine(self, thread: Thread, core: int, pod: Path) -> bool:  # noqa: ARG002  # the same
        """Set the affinity."""
        return self._threads.pin(thread.tid, self.cpus(core))

    def let_go(self, tid: int, affinity: AbstractSet[int]) -> bool:
        """Set the affinity back."""
        self._threads.pin(tid, affinity)
        return True

    def inside(self, core: int) -> tuple[int, ...]:  # noqa: ARG002  # the same
        """There is no place of ours."""
        return ()

    def everyone(self) -> tuple[int, ...]:
        """Nobody."""
        return ()

    def release(self, pod_uid: str) -> None:
        """There is nothing."""

    def owners(self) -> dict[str, str]:
        """Nobody."""
        return {}

    def repair(self) -> None:
        """The borders are not ours."""

    def close(self) -> None:
        """End the threads of ours."""
        for thread in self._askers.values():
            thread.close()
        self._askers.clear()

    def _start(self, core: int) -> Parked:
        return self._park(self.cpus(core))


class PinnedCores(_Borderless):
    """Each core is a root domain already; a thread is only pinned."""


class SharedDomain(_Borderless):
    """One root domain of all real-time CPUs; a thread may run on each of them.

    Its affinity is widened where the program has narrowed it, and restored on release.
    """

    def __init__(self, *, threads: Threads, park: Park, cores: AbstractSet[int]) -> None:
        super().__init__(threads=threads, park=park)
        self._cores = frozenset(cores)

    def cpus(self, core: int) -> frozenset[int]:  # noqa: ARG002  # threads migrate
        """All of them."""
        return self._cores


class CpusetCores(_Borderless):
    """Cores are made root domains by cpusets of ours (cgroup v1), which threads are moved into."""

    def __init__(self, *, threads: Threads, park: Park, partitions: CorePartitions) -> None:
        super().__init__(threads=threads, park=park)
        self._partitions = partitions
        self._former: dict[int, tuple[int, str]] = {}

    def confine(self, thread: Thread, core: int, pod: Path) -> bool:  # noqa: ARG002  # the same
        """Move it into the core's cpuset, which bounds its affinity, and remember its own."""
        if thread.tid in self._partitions.members(core):
            return self._threads.pin(thread.tid, {core})
        former = self._threads.cgroup(thread.tid, "cpuset")
        if former is not None and not self._partitions.is_ours(former):
            self._former[thread.tid] = (thread.started, former)
        return self._partitions.take_in(core, thread.tid) and self._threads.pin(thread.tid, {core})

    def let_go(self, tid: int, affinity: AbstractSet[int]) -> bool:
        """Move it back to the cpuset that it had, or that its other cgroups tell."""
        home = self._home(tid)
        self._former.pop(tid, None)
        if home is None or not self._partitions.send_back(tid, home):
            return self._threads.find(tid) is None
        self._threads.pin(tid, affinity)
        return True

    def inside(self, core: int) -> tuple[int, ...]:
        """Threads in the core's cpuset, without the one that asks."""
        own = {thread.tid for thread in self._askers.values()}
        return tuple(tid for tid in self._partitions.members(core) if tid not in own)

    def everyone(self) -> tuple[int, ...]:
        """Threads in all cores' cpusets."""
        return tuple(tid for core in self._partitions.cores() for tid in self.inside(core))

    def repair(self) -> None:
        """Switch balancing off in cpusets that have appeared, and forget threads that died."""
        self._former = {t: f for t, f in self._former.items() if self._former_home(t)}
        self._partitions.keep()

    def _start(self, core: int) -> Parked:
        return self._park({core}, enter=lambda tid: self._partitions.take_in(core, tid))

    def _home(self, tid: int) -> str | None:
        return self._former_home(tid) or self._threads.kubepods_path(tid)

    def _former_home(self, tid: int) -> str:
        started, former = self._former.get(tid, (0, ""))
        found = self._threads.find(tid)
        return former if found is not None and found.started == started else ""


class PodCores(_Borderless):
    """Pods' cgroups are made partitions (cgroup v2), with all that runs in them."""

    def __init__(
        self, *, threads: Threads, park: Park, partitions: PodPartitions, tree: PodTree
    ) -> None:
        super().__init__(threads=threads, park=park)
        self._partitions = partitions
        self._tree = tree

    def asker(self, core: int, pod_uid: str) -> Parked | None:
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

    def let_go(self, tid: int, affinity: AbstractSet[int]) -> bool:  # noqa: ARG002  # the same
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

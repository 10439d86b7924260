"""One DEADLINE back end on a kernel in memory, for each kind of root domain."""

from pathlib import Path

from daemons.rubicante.kernel.pod_cgroups import TASKS_V2, PodTree
from daemons.rubicante.kernel.saved_values import SavedValues
from daemons.rubicante.kernel.threads import Threads
from daemons.rubicante.mechanisms.back_end import ContainerCgroup, GroupName, Held
from daemons.rubicante.mechanisms.deadline.affinity import (
    Affinity,
    CpusetCores,
    PinnedCores,
    PodCores,
    SharedDomain,
)
from daemons.rubicante.mechanisms.deadline.back_end import DeadlineBackEnd
from daemons.rubicante.mechanisms.deadline.core_cpusets import CorePartitions
from daemons.rubicante.mechanisms.deadline.pod_partitions import PodPartitions
from daemons.rubicante.mechanisms.deadline.recount import rebuild_domains
from daemons.rubicante.mechanisms.origins import Origins
from k40s.cpu.model import ANY_CORE, Mechanism, Reservation, Server, Task
from k40s.criticality import Criticality
from k40s.units import NS_PER_MS, Nanoseconds
from tests.fakes.rubicante.domains import PROC, V1, V2, DomainKernel
from tests.fakes.rubicante.viewed import Viewed

UID = "00000000-0000-4000-8000-000000000001"
OTHER = "00000000-0000-4000-8000-000000000002"
PODS = V2 / "kubepods"


class Scene:
    """One back end on a fresh kernel; pods are in the v2 tree, whatever cuts the domains."""

    def __init__(self, memory: Path, kind: str = "shared") -> None:
        self.kernel = DomainKernel()
        self.now = 0.0
        self.rebuilds = self.invalidations = 0
        saved = SavedValues(system=self.kernel, proc=PROC, file=memory)
        self.threads = Threads(system=self.kernel, proc=PROC)
        self.tree = PodTree(system=self.kernel, cpu_root=V2, cgroup_root="/", tasks=TASKS_V2)
        self.cores = CorePartitions(
            system=self.kernel,
            root=V1,
            prefix="k40s-rt",
            saved=saved,
            start_probe=self.kernel,
            wait=lambda _: None,
        )
        self.pods = PodPartitions(
            system=self.kernel, root=V2, pods=PODS, prefix="k40s-rt", saved=saved
        )
        for uid in (UID, OTHER):
            self.make_pod(uid)
        self.affinity = self._affinity(kind)
        self.back_end = self.start()

    def start(self) -> Viewed:
        """A new process, without any state in memory."""
        back_end = DeadlineBackEnd(
            attributes=self.kernel,
            threads=self.threads,
            origins=Origins(threads=self.threads, tree=self.tree, cores=self.kernel.cores),
            tree=self.tree,
            affinity=self.affinity,
            rebuild=self._rebuild,
            invalidate=self._invalidate,
            wait=self._wait,
            clock=lambda: self.now,
        )
        return Viewed(back_end)

    def make_pod(self, uid: str) -> Path:
        container = PODS / f"pod{uid}" / ("a" * 64)
        for path in (PODS, container.parent, container):
            if path not in self.kernel.folders:
                self.kernel.make_directory(path)
        return container

    def spawn(self, tid: int, uid: str = UID, name: str = "ctl") -> int:
        return self.kernel.spawn(tid, name=name, pod=f"/kubepods/pod{uid}/{'a' * 64}")

    def enforce(self, tid: int, held: Held) -> bool:
        found = self.threads.find(tid)
        assert found is not None
        container = self.make_pod(held.name.pod_uid)
        container_cgroup = ContainerCgroup(pod=container.parent, cgroup=container)
        return self.back_end.enforce(found, held, position=0, container=container_cgroup)

    def _affinity(self, kind: str) -> Affinity:
        if kind == "v1":
            self.cores.set_up({1})
            return CpusetCores(threads=self.threads, start_probe=self.kernel, partitions=self.cores)
        if kind == "v2":
            self.kernel.files[V1 / "cpuset.sched_load_balance"] = "1"
            return PodCores(
                threads=self.threads, start_probe=self.kernel, partitions=self.pods, tree=self.tree
            )
        if kind == "pinned":
            self.kernel.files[V1 / "cpuset.sched_load_balance"] = "0"
            return PinnedCores(threads=self.threads, start_probe=self.kernel)
        return SharedDomain(threads=self.threads, start_probe=self.kernel, cores={0, 1})

    def _rebuild(self) -> None:
        self.rebuilds += 1
        rebuild_domains(self.kernel, V1, "k40s-rt")

    def _invalidate(self) -> None:
        self.invalidations += 1

    def _wait(self, seconds: float) -> None:
        self.now += seconds


def held(
    budget: int = 10, period: int = 100, *, core: int = ANY_CORE, uid: str = UID, index: int = 0
) -> Held:
    server = Server(budget=Nanoseconds(budget * NS_PER_MS), period=Nanoseconds(period * NS_PER_MS))
    task = Task(
        name=f"ctl{index or ''}",
        wcet=server.budget,
        period=server.period,
        deadline=server.period,
    )
    return Held(
        name=GroupName(pod_uid=uid, index=index),
        reservation=Reservation(
            pod_uid=uid,
            container="main",
            core=core,
            criticality=Criticality.HI,
            server=server,
            tasks=(task,),
            priorities=(),
            mechanism=Mechanism.DEADLINE,
        ),
    )

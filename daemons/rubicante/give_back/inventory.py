"""Inventory of k40s's state in the kernel: groups, threads and budgets, one text each."""

from collections.abc import Iterator, Mapping, Sequence

from daemons.rubicante.give_back.interfaces import NodeInterfaces
from daemons.rubicante.kernel.system import is_readable
from daemons.rubicante.kernel.threads import is_deadline, is_ordinary
from daemons.rubicante.mechanisms.back_end import Held
from daemons.rubicante.mechanisms.rt_cgroup.parent_cgroups import PERIOD
from daemons.rubicante.settings import Groups
from k40s.cpu.model import Mechanism
from k40s.errors import K40sError

_CPUSETS = ("core-", "rest")


class Inventory:
    """Reads only."""

    def __init__(self, node: NodeInterfaces) -> None:
        self._node = node

    def find(self, held: Mapping[str, Sequence[Held]]) -> tuple[str, ...]:
        """The inventory as texts. ``held`` are pods with an allocation."""
        try:
            return (
                *self._find_groups(),
                *self._find_threads(held),
                *(f"CPUs of thread {tid}" for tid in self._node.origins.moved()),
                *self._find_budgets(held),
                *self._find_domains(),
            )
        except (K40sError, OSError) as error:
            return (f"cannot be looked at: {error}",)

    def _find_groups(self) -> Iterator[str]:
        if not is_readable(self._node.system, self._node.settings.cpu_cgroup_path):
            return
        for group in self._node.groups.existing():
            number = len(self._node.groups.members(group))
            yield f"budget group {self._node.groups.path(group).name}, {number} threads in it"

    def _find_threads(self, held: Mapping[str, Sequence[Held]]) -> Iterator[str]:
        """Threads in reserved pods' containers with the policies that k40s sets."""
        in_containers = self._node.settings.groups is Groups.CONTAINER
        for uid, mine in held.items():
            kinds = {one.reservation.mechanism for one in mine}
            if not in_containers:
                kinds -= {Mechanism.RT_CGROUP}
            pod = self._node.tree.pod(uid) if kinds else None
            for tid in () if pod is None else self._node.tree.tids(pod):
                policy = self._node.threads.policy(tid)
                if policy is None or is_ordinary(policy):
                    continue
                deadline = is_deadline(policy[0])
                if (Mechanism.DEADLINE if deadline else Mechanism.RT_CGROUP) in kinds:
                    kind = "SCHED_DEADLINE" if deadline else "SCHED_FIFO"
                    yield f"thread {tid} of pod {uid}: {kind}"

    def _find_budgets(self, held: Mapping[str, Sequence[Held]]) -> Iterator[str]:
        """k40s's budgets in kubelet's tree: those above pods that no foreign budget needs."""
        if self._node.settings.groups is not Groups.CONTAINER:
            return
        pods = [pod for uid in held if (pod := self._node.tree.pod(uid)) is not None]
        below = [path for pod in pods for path in (pod, *self._node.tree.containers(pod).values())]
        root = self._node.settings.cpu_cgroup_path
        lowest = () if self._node.foreign() else self._node.tree.above_pods()
        above = {p for path in lowest for p in (path, *path.parents) if root in p.parents}
        for path in (*sorted(above), *below):
            has = self._node.files.read(path)
            if has is not None and has[0] > 0 and (path in below or has[1] == PERIOD):
                yield f"budget of {path.relative_to(root)}"

    def _find_domains(self) -> Iterator[str]:
        prefix = self._node.settings.group_prefix
        if self._node.paths.cpusets is not None:
            for name in self._node.system.directories(self._node.paths.cpusets):
                if name.startswith(tuple(f"{prefix}-{part}" for part in _CPUSETS)):
                    yield f"cpuset {name}"
        for path in self._node.probe_cgroups():
            yield f"cgroup {path.name} in {path.parent.name}"
        if self._node.hrtick().is_marked():
            yield "the scheduler feature HRTICK_DL: was off before"
        for name, value in self._node.saved.values().items():
            yield f"cpuset {name}: was {value!r} before"

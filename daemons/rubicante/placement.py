"""Finds a container's cgroup and threads, and moves threads in and out of budget groups."""

import os
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from daemons.rubicante.entry import Entry
from daemons.rubicante.kernel.mechanism import GroupName
from daemons.rubicante.kernel.pod_tree import PodTree
from daemons.rubicante.kernel.rt_cgroup import BudgetGroups, move
from daemons.rubicante.kernel.system import System
from daemons.rubicante.kernel.threads import FIFO, Thread, Threads

_SANDBOX = "pause"
_RUNTIMES = ("runc", "crun")
"""A runtime's own processes stand in the container's cgroup until they become the program."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A container's cgroup, and the threads in it and in its budget group (``inside``).

    ``certain`` says that the pod's status names it; else it might be an init container's.
    """

    cgroup: Path
    certain: bool
    threads: tuple[Thread, ...]
    inside: frozenset[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """The interfaces of the kernel that enforcement uses. ``cores`` are the CPUs online."""

    system: System
    groups: BudgetGroups
    threads: Threads
    tree: PodTree
    cores: frozenset[int]

    def containers(self, entry: Entry) -> dict[str, Path]:
        """The cgroups of a pod's containers and its sandbox, by container id."""
        pod = self.tree.pod(entry.pod.uid)
        return {} if pod is None else self.tree.containers(pod)

    def find(
        self,
        entry: Entry,
        container: str,
        group: GroupName,
        *,
        cgroups: Mapping[str, Path],
        ids: Mapping[str, str],
        before: Path | None,
    ) -> Place | None:
        """Where a container is; None while that cannot be said for certain.

        ``cgroups`` are those of the pod (by container id), ``ids`` (name → container id) what
        the pod's status tells so far, ``before`` the cgroup where the group's threads were found.
        """
        members = self._living(self.groups.members(group))
        named = cgroups.get(ids.get(container, ""))
        cgroup = named or self._home_of(members, before, cgroups)
        if cgroup is None and len(entry.containers) == 1:
            cgroup = self._only_program(cgroups, set(ids.values()))
        if cgroup is None:
            return None
        own = tuple(m for m in members if (self.home(m.tid) or cgroup).is_relative_to(cgroup))
        return Place(
            cgroup=cgroup,
            certain=named is not None,
            threads=own + self._living(self.tree.tids(cgroup)),
            inside=frozenset(thread.tid for thread in members),
        )

    def main_thread(self, threads: Sequence[Thread]) -> Thread | None:
        """The first thread of the container's first process, once the program itself runs.

        That is PID 1 of the container's PID namespace; where it has none, the oldest process.
        """
        leaders: list[tuple[bool, int, int, Thread]] = []
        for thread in threads:
            process = self.threads.process(thread.tid)
            if process is None or process.pid != thread.tid or _is_runtime(thread):
                continue
            leaders.append((process.inner_pid != 1, thread.started, thread.tid, thread))
        return min(leaders)[3] if leaders else None

    def enforce(self, thread: Thread, *, group: GroupName, core: int, priority: int) -> bool:
        """Pin, move into the budget group, make FIFO: in this order. False when it died.

        The container's own group has no real-time budget, so FIFO is refused before the move;
        and before the pin it could take the budget of the group on another core.
        """
        return (
            self.threads.pin(thread.tid, frozenset({core}))
            and (thread.tid in self.groups.members(group) or self.groups.take_in(group, thread.tid))
            and self.threads.set_policy(thread.tid, FIFO, priority)
        )

    def send_home(
        self, tid: int, *, core: int | None, cores: frozenset[int], home: Path | None
    ) -> bool:
        """Make a thread of a budget group ordinary again and put it back where it came from.

        That is where its other cgroups show it, else ``home``. Its affinity is set to ``cores``
        where it is that of the reservation (``core``) still. False when its cgroup is not known or
        gone: the thread stays, as an ordinary one.
        """
        if not self.threads.set_policy(tid, os.SCHED_OTHER, 0):
            return True
        if core is None or self.threads.affinity(tid) == {core}:
            self.threads.pin(tid, cores)
        home = self.home(tid) or home
        return home is not None and self.tree.exists(home) and move(self.system, tid, home)

    def home(self, tid: int) -> Path | None:
        """The cpu cgroup of the thread's container, as its other cgroups tell."""
        path = self.threads.kubepods_path(tid)
        return None if path is None else self.tree.home(path)

    def dismantle(self, group: GroupName, homes: Mapping[int, Path]) -> bool:
        """Empty and remove a group; where threads have no home left, take its budget away.

        True when the group holds no budget any more.
        """
        for tid in self.groups.members(group):
            self.send_home(tid, core=None, cores=self.cores, home=homes.get(tid))
        if self.groups.remove(group):
            return True
        if any(self._is_real_time(tid) for tid in self.groups.members(group)):
            return False
        self.groups.idle(group)
        return True

    def _is_real_time(self, tid: int) -> bool:
        policy = self.threads.policy(tid)
        return policy is not None and policy[1] > 0

    def _living(self, tids: Sequence[int]) -> tuple[Thread, ...]:
        return tuple(t for t in map(self.threads.find, tids) if t is not None)

    def _home_of(
        self, members: Sequence[Thread], before: Path | None, cgroups: Mapping[str, Path]
    ) -> Path | None:
        """The container that the threads in a budget group came from."""
        homes = {self.home(thread.tid) or before for thread in members}
        return next((path for path in cgroups.values() if path in homes), None)

    def _only_program(self, cgroups: Mapping[str, Path], gone: AbstractSet[str]) -> Path | None:
        """The one cgroup that runs a program; ids in ``gone`` belong to former containers."""
        running = [p for id_, p in cgroups.items() if id_ not in gone and self._runs_program(p)]
        return running[0] if len(running) == 1 else None

    def _runs_program(self, cgroup: Path) -> bool:
        """Whether something else than the sandbox or the runtime runs in a cgroup."""
        threads = self._living(self.tree.tids(cgroup))
        return any(t.name != _SANDBOX and not _is_runtime(t) for t in threads)


def _is_runtime(thread: Thread) -> bool:
    return thread.name.startswith(_RUNTIMES)

"""Threads that are really held to what admission granted."""

import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path

from daemons.rubicante.kernel.pod_cgroups import PodTree
from daemons.rubicante.kernel.system import LinuxSystem
from daemons.rubicante.kernel.threads import Threads
from daemons.rubicante.mechanisms.back_end import ContainerCgroup, GroupName, Held
from daemons.rubicante.mechanisms.origins import Origins
from daemons.rubicante.mechanisms.rt_cgroup.budget_groups import BudgetGroups
from daemons.rubicante.mechanisms.rt_cgroup.group_back_end import GroupBackEnd
from k40s.cpu.model import CpuNode, Mechanism, Task
from tests.fakes.rubicante.viewed import Viewed
from tests.fakes.rubicante.world import container_id
from tests.kernel.conftest import CORE, CPU, eventually
from tests.kernel.deadline_scene import PROC, start_machine
from tests.kernel.scene import make_container
from tests.kernel.soundness_nodes import Kind

_SYSTEM = LinuxSystem()
_WORKER = Path(__file__).with_name("worker.py")


class Worker:
    """A process of ours that is one task's thread."""

    def __init__(self, cgroup: Path, name: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-S", str(_WORKER), str(cgroup), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.tid = int(self.hear())

    def say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def hear(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def end(self) -> None:
        self._process.kill()
        self._process.wait(timeout=60)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


@dataclass(frozen=True)
class Stage:
    """The back ends of one kind, and the made-up tree in which containers are."""

    back_ends: dict[Mechanism, Viewed]
    threads: Threads
    kubepods: Path

    def hold(self, node: CpuNode, undo: ExitStack) -> dict[tuple[Held, Task], Worker]:
        """A thread for each task, held to its reservation; all is taken back at the end."""
        workers: dict[tuple[Held, Task], Worker] = {}
        undo.callback(self._release, node)
        for held in _named(node):
            back_end = self.back_ends[held.reservation.mechanism]
            like = held.reservation.mechanism
            back_end.know([h for h in _named(node) if h.reservation.mechanism is like])
            back_end.claim([held])
            cgroup = self._container(held)
            for position, task in enumerate(held.reservation.tasks):
                worker = Worker(cgroup, task.name)
                undo.callback(worker.end)
                workers[held, task] = worker
                eventually(partial(self._enforce, back_end, worker, held, position, cgroup))
        undo.callback(self._release, node)
        return workers

    def _release(self, node: CpuNode) -> None:
        for back_end in self.back_ends.values():
            for pod in {held.pod_uid for held in node.reservations}:
                back_end.release(pod)

    def _enforce(
        self, back_end: Viewed, worker: Worker, held: Held, position: int, cgroup: Path
    ) -> bool:
        worker.say("ping")
        worker.hear()
        found = self.threads.find(worker.tid)
        assert found is not None
        container_cgroup = ContainerCgroup(pod=cgroup.parent, cgroup=cgroup)
        done: bool = back_end.enforce(found, held, position=position, container=container_cgroup)
        return done

    def _container(self, held: Held) -> Path:
        number = int(held.name.pod_uid[-12:])
        path = self.kubepods / "kubepods" / "burstable" / f"pod{held.name.pod_uid}"
        path /= container_id(number)
        return path if path.exists() else make_container(self.kubepods, number)


def _named(node: CpuNode) -> list[Held]:
    indices: dict[str, count[int]] = {}
    return [
        Held(
            name=GroupName(pod_uid=r.pod_uid, index=next(indices.setdefault(r.pod_uid, count()))),
            reservation=r,
        )
        for r in node.reservations
    ]


def set_stage(undo: ExitStack, kubepods: Path, directory: Path, kind: Kind, prefix: str) -> Stage:
    """The back ends that a kind needs; with partitions, until ``undo`` puts all back."""
    threads = Threads(system=_SYSTEM, proc=PROC)
    tree = PodTree(system=_SYSTEM, cpu_root=CPU, cgroup_root="/" + kubepods.name)
    back_ends: dict[Mechanism, Viewed] = {}
    if kind in {Kind.RT_CGROUP, Kind.MIXED}:
        groups = BudgetGroups(system=_SYSTEM, root=CPU, prefix=prefix, wait=time.sleep)
        origins = Origins(threads=threads, tree=tree, cores=_SYSTEM.online())
        back_end = GroupBackEnd(groups=groups, threads=threads, origins=origins)
        back_ends[Mechanism.RT_CGROUP] = Viewed(back_end)
    if kind is not Kind.RT_CGROUP:
        shared = kind is Kind.SHARED
        machine = start_machine(
            undo,
            kubepods,
            directory / "memory.json",
            cores={0, CORE} if shared else {CORE},
            partitioned=not shared,
        )
        back_ends[Mechanism.DEADLINE] = machine.back_end
    return Stage(back_ends=back_ends, threads=threads, kubepods=kubepods)

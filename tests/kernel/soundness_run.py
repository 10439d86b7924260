"""Runs what admission grants for real: threads that obey, beside containers that do not."""

import json
import os
import subprocess
import sys
import threading
import time
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from functools import partial
from itertools import count
from pathlib import Path
from random import Random
from typing import Self

from daemons.rubicante.kernel.homes import Homes
from daemons.rubicante.kernel.mechanism import BackEnd, GroupName, Held, Home
from daemons.rubicante.kernel.pod_tree import PodTree
from daemons.rubicante.kernel.rt_cgroup import BudgetGroups
from daemons.rubicante.kernel.rt_groups import RtCgroups
from daemons.rubicante.kernel.system import LinuxSystem
from daemons.rubicante.kernel.threads import Threads
from k40s.cpu.admission import admit
from k40s.cpu.model import (
    ContainerDemand,
    CpuNode,
    DeadlineOffer,
    Domain,
    Mechanism,
    PodDemand,
    Reservation,
    Task,
)
from k40s.cpu.outcome import Admission
from k40s.criticality import Criticality
from k40s.units import NS_PER_MS, NS_PER_S, NS_PER_US, Nanoseconds
from tests.fakes.rubicante_world import container_id, uid
from tests.kernel.conftest import CORE, CPU, eventually
from tests.kernel.deadline_scene import PREFIX, PROC, TICK, start_machine
from tests.kernel.scene import make_container
from workbench.bounds import bounds_of

MARGIN = 600 * NS_PER_US
"""What a worker's own code may take of a job's WCET; its busy loop takes the rest."""
STEAL_UNIT = 1 / os.sysconf("SC_CLK_TCK")
_SYSTEM = LinuxSystem()
_WORKER = Path(__file__).with_name("worker.py")
_PERIODS = (40, 50, 80, 100, 160, 200, 250)
_CAPACITY = Fraction(85, 100)
_TRIES = 3
LEAD = 600 * NS_PER_MS
"""A worker has read its plan, and what that took of its budget is back, before the first job."""
_DISTURBING = 2 * NS_PER_MS


class Kind(Enum):
    """What holds the containers of a set, and where."""

    RT_CGROUP = "rt-cgroup"
    PARTITIONED = "deadline, partitioned"
    SHARED = "deadline, shared domain"
    MIXED = "both on one core"


@dataclass(frozen=True)
class Job:
    """Times in µs but ``release`` (ns). ``lateness`` over the bound; ``steal`` in seconds."""

    pod: str
    task: str
    release: int
    response: float
    cpu: float
    wcet: float
    deadline: float
    bound: float
    steal: float

    @property
    def obeyed(self) -> bool:
        return self.cpu <= self.wcet

    @property
    def missed(self) -> bool:
        return self.response > self.deadline

    @property
    def broke_bound(self) -> bool:
        return self.response > self.bound


def random_node(chance: Random, kind: Kind) -> CpuNode:
    """A core with two to four pods that admission has taken, one task or two each."""
    node = empty_node(kind)
    for number in range(1, 5):
        outcome = admit(node, _pod(chance, kind, number))
        if isinstance(outcome, Admission):
            node = outcome.node
    pods = {held.pod_uid for held in node.reservations}
    kinds = {held.mechanism for held in node.reservations}
    if len(pods) < 2 or (kind is Kind.MIXED and len(kinds) < 2):
        return random_node(chance, kind)
    return node


def empty_node(kind: Kind) -> CpuNode:
    """A node that offers what a kind needs, on CPU 1 or both."""
    shared = kind is Kind.SHARED
    return CpuNode(
        cores=(0, CORE) if shared else (CORE,),
        tick=TICK,
        node_capacity=Fraction(0) if shared or kind is Kind.PARTITIONED else _CAPACITY,
        core_capacity=_CAPACITY,
        platform="",
        platform_factor=Fraction(1),
        deadline=None
        if kind is Kind.RT_CGROUP
        else DeadlineOffer(
            tick=TICK,
            capacity=_CAPACITY if not shared else Fraction(1, 2),
            domain=Domain.SHARED if shared else Domain.PARTITIONED,
            cpus=2 if shared else 1,
        ),
    )


def _pod(chance: Random, kind: Kind, number: int) -> PodDemand:
    mechanism = {
        Kind.RT_CGROUP: Mechanism.RT_CGROUP,
        Kind.MIXED: chance.choice(tuple(Mechanism)),
    }.get(kind, Mechanism.DEADLINE)
    tasks = []
    for index in range(chance.choice((1, 1, 2))):
        period = chance.choice(_PERIODS) * NS_PER_MS
        wcet = max(2 * NS_PER_MS, round(period * chance.uniform(0.03, 0.15)))
        deadline = max(wcet, round(period * chance.choice((1, 1, 0.8))))
        tasks.append(
            Task(
                name=f"t{number}{index}",
                wcet=Nanoseconds(wcet // NS_PER_US * NS_PER_US),
                period=Nanoseconds(period),
                deadline=Nanoseconds(deadline // NS_PER_US * NS_PER_US),
            )
        )
    return PodDemand(
        pod_uid=uid(number),
        criticality=chance.choice((Criticality.HI, Criticality.LOW)),
        containers=(ContainerDemand(container="main", tasks=tuple(tasks)),),
        mechanism=mechanism,
    )


class StealLog:
    """The hypervisor's steal of the CPUs in question, sampled while it is open.

    ``rivals`` are real-time groups of other programs whose threads ran meanwhile: what happens
    beside them says nothing.
    """

    def __init__(self, cpus: Sequence[int], prefix: str) -> None:
        self.rivals: set[str] = set()
        self._prefix = prefix
        self._ran: dict[tuple[str, str], int] = {}
        self._names = {f"cpu{cpu}" for cpu in cpus}
        self._times: list[int] = []
        self._steal: list[float] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def between(self, start: int, end: int) -> float:
        """Seconds that the samples around an interval show."""
        first = max(0, bisect_left(self._times, start) - 1)
        last = min(len(self._times) - 1, bisect_left(self._times, end))
        return self._steal[last] - self._steal[first]

    def total(self) -> float:
        return self._steal[-1] - self._steal[0]

    def _sample(self) -> None:
        with Path("/proc/stat").open() as file:
            for number in count():
                if self._stop.wait(0.005):
                    break
                if number % 40 == 0:
                    self._look_for_rivals()
                file.seek(0)
                fields = [line.split() for line in file.read().splitlines()]
                stolen = sum(int(f[8]) for f in fields if f and f[0] in self._names)
                self._times.append(time.monotonic_ns())
                self._steal.append(stolen * STEAL_UNIT)

    def _look_for_rivals(self) -> None:
        """Threads in others' real-time groups that have run for a while since they were seen."""
        for path in CPU.glob("*/cpu.rt_runtime_us"):
            group = path.parent
            with suppress(OSError):
                if group.name.startswith(self._prefix) or not int(path.read_text()):
                    continue
                for tid in (group / "tasks").read_text().split():
                    ran = int((PROC / tid / "schedstat").read_text().split()[0])
                    if ran - self._ran.setdefault((group.name, tid), ran) > _DISTURBING:
                        self.rivals.add(group.name)


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
        self._process.wait(timeout=10)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


@dataclass(frozen=True)
class Stage:
    """The back ends of one kind, and the made-up tree in which containers are."""

    back_ends: dict[Mechanism, BackEnd]
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
        self, back_end: BackEnd, worker: Worker, held: Held, position: int, cgroup: Path
    ) -> bool:
        worker.say("ping")
        worker.hear()
        found = self.threads.find(worker.tid)
        assert found is not None
        home = Home(pod=cgroup.parent, cgroup=cgroup)
        return back_end.enforce(found, held, position=position, home=home)

    def _container(self, held: Held) -> Path:
        number = int(held.name.pod_uid[-12:])
        path = self.kubepods / "kubepods" / "burstable" / f"pod{held.name.pod_uid}"
        path /= container_id(number)
        return path if path.exists() else make_container(self.kubepods, number)


def _named(node: CpuNode) -> list[Held]:
    indices: dict[str, Iterator[int]] = {}
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
    back_ends: dict[Mechanism, BackEnd] = {}
    if kind in {Kind.RT_CGROUP, Kind.MIXED}:
        groups = BudgetGroups(system=_SYSTEM, root=CPU, prefix=prefix, wait=time.sleep)
        homes = Homes(threads=threads, tree=tree, cores=_SYSTEM.online())
        back_ends[Mechanism.RT_CGROUP] = RtCgroups(groups=groups, threads=threads, homes=homes)
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


def act(stage: Stage, node: CpuNode, victim: str, *, seconds: float, seed: int) -> list[Job]:
    """One pod obeys, all others are rogues. The victim's jobs, with their bounds and the steal.

    Tried again while other programs have real-time threads, which hurt SCHED_FIFO (but never
    SCHED_DEADLINE); no jobs where they always have.
    """
    for _ in range(_TRIES):
        jobs, rivals = _act(stage, node, victim, seconds, seed)
        if not rivals:
            return jobs
        time.sleep(seconds)
    return []


def _act(
    stage: Stage, node: CpuNode, victim: str, seconds: float, seed: int
) -> tuple[list[Job], set[str]]:
    chance = Random(seed)
    with ExitStack() as undo:
        workers = stage.hold(node, undo)
        start = time.monotonic_ns() + LEAD
        end = start + round(seconds * NS_PER_S)
        with StealLog(node.cores, PREFIX) as steal:
            for (held, task), worker in workers.items():
                plan = {
                    "start": start,
                    "end": end,
                    "burn": task.wcet - MARGIN,
                    "period": task.period,
                    "seed": chance.randrange(1 << 30),
                }
                role = "obey" if held.name.pod_uid == victim else "rogue"
                worker.say(f"{role} {json.dumps(plan)}")
            answers = {key: json.loads(worker.hear()) for key, worker in workers.items()}
        jobs = [
            job
            for (held, task), found in answers.items()
            for job in _judge(node, held.reservation, task, found, steal)
        ]
        suffers = any(held.mechanism is Mechanism.RT_CGROUP for held in node.reservations)
        return jobs, steal.rivals if suffers else set()


def _judge(
    node: CpuNode,
    held: Reservation,
    task: Task,
    jobs: Sequence[tuple[int, float, float]],
    steal: StealLog,
) -> Iterator[Job]:
    bounds = {(b.reservation.key, b.reservation.pod_uid): b for b in bounds_of(node)}
    found = bounds[held.key, held.pod_uid].tasks[held.tasks.index(task)].response
    lag = max(r.server.period for r in node.reservations)
    for release, response, cpu in jobs:
        finish = release + round(response * NS_PER_US)
        yield Job(
            pod=held.pod_uid,
            task=task.name,
            release=release,
            response=response,
            cpu=cpu,
            wcet=task.wcet / NS_PER_US,
            deadline=task.deadline / NS_PER_US,
            bound=(found or task.deadline) / NS_PER_US,
            steal=steal.between(release - lag, finish),
        )

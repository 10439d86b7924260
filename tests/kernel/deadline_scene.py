"""SCHED_DEADLINE on the kernel that runs the tests, for threads of ours alone.

Reservations count against the whole machine, so one test at a time has them (a file lock).
"""

import fcntl
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from daemons.rubicante.kernel.pod_cgroups import PodTree
from daemons.rubicante.kernel.probes.thread import LinuxProbes
from daemons.rubicante.kernel.saved_values import SavedValues
from daemons.rubicante.kernel.sched_attr import RESET_ON_FORK, SCHED_DEADLINE, LinuxAttributes
from daemons.rubicante.kernel.sched_attr import SchedAttr as Attr
from daemons.rubicante.kernel.system import LinuxSystem
from daemons.rubicante.kernel.threads import Threads
from daemons.rubicante.mechanisms.back_end import ContainerCgroup, GroupName, Held
from daemons.rubicante.mechanisms.deadline.assembly import (
    ask_for_deadline,
    deadline_back_end,
)
from daemons.rubicante.mechanisms.deadline.core_cpusets import CorePartitions
from daemons.rubicante.mechanisms.deadline.discovery import DeadlineSupport
from daemons.rubicante.mechanisms.deadline.offer import START_PATIENCE_SECONDS
from daemons.rubicante.mechanisms.deadline.recount import rebuild_domains
from daemons.rubicante.mechanisms.origins import Origins
from daemons.rubicante.mechanisms.paths import KernelPaths
from k40s.cpu.model import ANY_CORE, Mechanism, Reservation, Server, Task
from k40s.criticality import Criticality
from k40s.units import NS_PER_MS, Nanoseconds
from tests.fakes.rubicante.viewed import Viewed
from tests.fakes.rubicante.world import container_id, uid
from tests.kernel.conftest import CPU, Hog, eventually

CPUSETS = Path("/sys/fs/cgroup/cpuset")
PROC = Path("/proc")
PREFIX = f"k40s-test-{os.getpid()}"
MS = NS_PER_MS
TICK = Nanoseconds(4 * MS)
_LOCK = Path("/tmp/k40s-tests-deadline.lock")  # noqa: S108  # shared on purpose
_SYSTEM = LinuxSystem()
_PATIENCE = 180.0
"""Seconds, far longer than the back end waits for a thread that does not sleep."""
ATTRIBUTES = LinuxAttributes()


@contextmanager
def alone() -> Iterator[None]:
    """Nobody else who asks has DEADLINE threads meanwhile, and the kernel's sums are right."""
    with _LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        recount()
        yield


def recount() -> None:
    """Wait until no dead thread is charged any more, then let the kernel count again.

    Other programs' containers come and go meanwhile, and the kernel may lose count at each.
    """
    time.sleep(0.15)
    if CPUSETS.exists():
        rebuild_domains(_SYSTEM, CPUSETS, PREFIX)


@contextmanager
def debugfs(directory: Path) -> Iterator[Path]:
    """The scheduler's files, mounted for a moment."""
    directory.mkdir()
    subprocess.run(["mount", "-t", "debugfs", "debugfs", str(directory)], check=True)
    try:
        yield directory / "sched"
    finally:
        subprocess.run(["umount", str(directory)], check=True)


def attr(runtime_us: int, period_us: int) -> Attr:
    period = Nanoseconds(period_us * 1000)
    return Attr(
        policy=SCHED_DEADLINE,
        flags=RESET_ON_FORK,
        runtime=Nanoseconds(runtime_us * 1000),
        deadline=period,
        period=period,
    )


def held(
    budget_ms: float, period_ms: int, *, core: int = ANY_CORE, number: int = 1, task: str = "ctl"
) -> Held:
    budget = Nanoseconds(round(budget_ms * MS))
    period = Nanoseconds(period_ms * MS)
    return Held(
        name=GroupName(pod_uid=uid(number), index=0),
        reservation=Reservation(
            pod_uid=uid(number),
            container="main",
            core=core,
            criticality=Criticality.HI,
            server=Server(budget=budget, period=period),
            tasks=(Task(name=task, wcet=budget, period=period, deadline=period),),
            priorities=(),
            mechanism=Mechanism.DEADLINE,
        ),
    )


@dataclass(frozen=True)
class Machine:
    """A back end, and what it was found to rest on."""

    back_end: Viewed
    support: DeadlineSupport
    threads: Threads
    partitions: CorePartitions | None
    kubepods: Path

    def enforce(self, hog: Hog, reservation: Held) -> bool:
        """As the enforcer does, look after look: it waits for a thread that does not sleep."""
        limit = time.monotonic() + _PATIENCE
        while not (done := self.look(hog, reservation)) and time.monotonic() < limit:
            time.sleep(0.01)
        return done

    def look(self, hog: Hog, reservation: Held) -> bool:
        """As the enforcer does once for a thread that it has matched."""
        pod = self.kubepods / "kubepods" / "burstable" / f"pod{reservation.name.pod_uid}"
        found = self.threads.find(hog.tid)
        assert found is not None
        number = int(reservation.name.pod_uid[-12:])
        container_cgroup = ContainerCgroup(pod=pod, cgroup=pod / container_id(number))
        done: bool = self.back_end.enforce(
            found, reservation, position=0, container=container_cgroup
        )
        return done


def start_machine(
    undo: ExitStack, kubepods: Path, memory: Path, *, cores: set[int], partitioned: bool
) -> Machine:
    """The back end as a daemon with these settings makes it."""
    places = KernelPaths(
        proc=PROC, debug=Path("/nonexistent"), saved_values=memory, cpusets=CPUSETS
    )
    support, partitions = ask_for_deadline(
        system=_SYSTEM,
        attributes=ATTRIBUTES,
        paths=places,
        prefix=PREFIX,
        cores=cores,
        tick=TICK,
        held={},
        load_balance_off=partitioned,
        wait=time.sleep,
        patience=START_PATIENCE_SECONDS,
    )
    assert support.offer is not None, support.problems
    threads = Threads(system=_SYSTEM, proc=PROC)
    tree = PodTree(system=_SYSTEM, cpu_root=CPU, cgroup_root="/" + kubepods.name)
    back_end = deadline_back_end(
        support.offer,
        partitions,
        system=_SYSTEM,
        attributes=ATTRIBUTES,
        paths=places,
        prefix=PREFIX,
        threads=threads,
        origins=Origins(threads=threads, tree=tree, cores=_SYSTEM.online()),
        tree=tree,
        cores=cores,
    )
    undo.callback(back_end.close)
    assert partitions is None or isinstance(partitions, CorePartitions)
    return Machine(Viewed(back_end), support, threads, partitions, kubepods)


def put_back(memory: Path) -> None:
    """As a process does that starts without the operator's leave, after another one crashed."""
    partitions = CorePartitions(
        system=_SYSTEM,
        root=CPUSETS,
        prefix=PREFIX,
        saved=SavedValues(system=_SYSTEM, proc=PROC, file=memory),
        start_probe=LinuxProbes(ATTRIBUTES),
    )
    eventually(partitions.put_back)


@contextmanager
def balance_kept() -> Iterator[None]:
    """Whatever happens inside, load balancing is as before, and no cpuset of ours is left."""
    balance = CPUSETS / "cpuset.sched_load_balance"
    before = balance.read_text()
    try:
        yield
        assert balance.read_text() == before
        assert not [path for path in CPUSETS.iterdir() if path.name.startswith(PREFIX)]
    finally:
        balance.write_text(before)

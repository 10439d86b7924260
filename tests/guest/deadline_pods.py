"""For probes in a guest: the DEADLINE back end on cgroup v2, and pods as kubelet makes them.

Their tree is apart from that of other probes. Nothing is needed but Python and the daemon's
kernel modules.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from daemons.rubicante.kernel.pod_cgroups import TASKS_V2, PodTree
from daemons.rubicante.kernel.sched_attr import SCHED_DEADLINE, LinuxAttributes
from daemons.rubicante.kernel.system import LinuxSystem
from daemons.rubicante.kernel.threads import Threads
from daemons.rubicante.mechanisms.back_end import ContainerCgroup, GroupName, Held
from daemons.rubicante.mechanisms.deadline.assembly import (
    ask_for_deadline,
    deadline_back_end,
)
from daemons.rubicante.mechanisms.deadline.back_end import DeadlineBackEnd
from daemons.rubicante.mechanisms.deadline.discovery import DeadlineSupport
from daemons.rubicante.mechanisms.origins import Origins
from daemons.rubicante.mechanisms.paths import KernelPaths
from k40s.cpu.model import Mechanism, Reservation, Server, Task
from k40s.criticality import Criticality
from k40s.errors import KernelError
from k40s.units import NS_PER_MS, Nanoseconds

ROOT = Path("/sys/fs/cgroup")
NODE = ROOT / "node"
PODS = NODE / "kubepods"
PROC = Path("/proc")
CORE = 1
SYSTEM = LinuxSystem()
ATTRIBUTES = LinuxAttributes()
THREADS = Threads(system=SYSTEM, proc=PROC)
PLACES = KernelPaths(
    proc=PROC,
    debug=Path("/sys/kernel/debug/sched"),
    saved_values=Path("/run/cpusets.json"),
    unified=ROOT,
    pods=PODS,
)


def tell(fact: str, value: object) -> None:
    sys.stdout.write(json.dumps({"fact": f"deadline-{fact}", "value": value}) + "\n")
    sys.stdout.flush()


def uid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def make_pod(number: int) -> Path:
    """A pod with one container; every group above hands the controllers down."""
    path = PODS / "burstable" / f"pod{uid(number)}" / f"{number:064x}"
    path.mkdir(parents=True)
    for group in (ROOT, NODE, PODS, PODS / "burstable", path.parent):
        (group / "cgroup.subtree_control").write_text("+cpuset +cpu")
    return path


def remove_pod(number: int) -> None:
    pod = PODS / "burstable" / f"pod{uid(number)}"
    (pod / f"{number:064x}").rmdir()
    pod.rmdir()


@contextmanager
def process(container: Path, *, spins: bool) -> Iterator[int]:
    """A child in a container, which has run there before this goes on."""
    ready, told = os.pipe()
    pid = os.fork()
    if pid == 0:
        (container / "cgroup.procs").write_text("0")
        os.sched_yield()
        os.write(told, b"1")
        while spins:
            pass
        while True:
            signal.pause()
    try:
        os.read(ready, 1)
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(ready)
        os.close(told)


def held(number: int, budget_ms: int, period_ms: int, *, core: int = CORE) -> Held:
    budget, period = Nanoseconds(budget_ms * NS_PER_MS), Nanoseconds(period_ms * NS_PER_MS)
    return Held(
        name=GroupName(pod_uid=uid(number), index=0),
        reservation=Reservation(
            pod_uid=uid(number),
            container="main",
            core=core,
            criticality=Criticality.HI,
            server=Server(budget=budget, period=period),
            tasks=(Task(name="ctl", wcet=budget, period=period, deadline=period),),
            priorities=(),
            mechanism=Mechanism.DEADLINE,
        ),
    )


class Viewed:
    """As in tests/fakes, which the guest does not have: the last view answers for the back end."""

    def __init__(self, back_end: DeadlineBackEnd) -> None:
        self.back_end = back_end
        self.know(())

    def know(self, book: Sequence[Held]) -> None:
        self._view = self.back_end.view(book)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # whatever the back end has
        return getattr(self._view if hasattr(self._view, name) else self.back_end, name)


def start(cores: set[int]) -> tuple[DeadlineSupport, Viewed]:
    support, partitions = ask_for_deadline(
        system=SYSTEM,
        attributes=ATTRIBUTES,
        paths=PLACES,
        prefix="k40s-rt",
        cores=cores,
        tick=Nanoseconds(4 * NS_PER_MS),
        held={},
        load_balance_off=False,
        wait=time.sleep,
        patience=0,
    )
    if support.offer is None:
        raise SystemExit(f"no offer: {support.problems}")
    tree = PodTree(system=SYSTEM, cpu_root=ROOT, cgroup_root="/" + NODE.name, tasks=TASKS_V2)
    back_end = deadline_back_end(
        support.offer,
        partitions,
        system=SYSTEM,
        attributes=ATTRIBUTES,
        paths=PLACES,
        prefix="k40s-rt",
        threads=THREADS,
        origins=Origins(threads=THREADS, tree=tree, cores=SYSTEM.online()),
        tree=tree,
        cores=cores,
    )
    return support, Viewed(back_end)


def enforce(back_end: Viewed, tid: int, wanted: Held, container: Path) -> str:
    """As the enforcer does, look by look; the refusal, or an empty text."""
    found = THREADS.find(tid)
    container_cgroup = ContainerCgroup(pod=container.parent, cgroup=container)
    for _ in range(2_000):
        try:
            if found is None or back_end.enforce(
                found, wanted, position=0, container=container_cgroup
            ):
                return "" if found else "gone"
        except KernelError as error:
            return str(error)
        time.sleep(0.01)
    return "it never ran on its core"


def wait_until_forgotten() -> None:
    """Wait until the kernel has given back what threads had that are gone: a period, 100 ms.

    In several sleeps: an emulated CPU gets to its timers when the other one sleeps, which may
    find its own time up at once after the machine has stopped both for a while.
    """
    for _ in range(6):
        time.sleep(0.1)


def refusal(action: Callable[[], object]) -> str:
    try:
        action()
    except KernelError as error:
        return str(error)
    return ""


def is_deadline(tid: int) -> bool:
    return os.sched_getscheduler(tid) & 0xFFFF == SCHED_DEADLINE


def share(tid: int, seconds: float, *, expected: float) -> float:
    """Of one CPU, over wall time; measured again where the machine may have been stopped."""
    for _ in range(10):
        found = _share(tid, seconds)
        if abs(found - expected) < 0.05:
            break
    return found


def _share(tid: int, seconds: float) -> float:

    def ran() -> int:
        return int((PROC / str(tid) / "schedstat").read_text().split()[0])

    began, before = time.monotonic(), ran()
    time.sleep(seconds)
    return (ran() - before) / 1e9 / (time.monotonic() - began)

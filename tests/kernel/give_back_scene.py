"""Short words for giving everything back on the real kernel: what a machine looks like, and how."""

import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from daemons.rubicante.book.book import Book
from daemons.rubicante.give_back.leftovers import Leftovers
from daemons.rubicante.give_back.node import GiveBack
from daemons.rubicante.kernel.system import LinuxSystem, System
from daemons.rubicante.mechanisms.deadline.offer import DeadlineAccess
from daemons.rubicante.mechanisms.node import bare_node
from daemons.rubicante.settings import Settings
from k40s.cpu.admission.admit import admit
from k40s.runtime.store import Store
from k40s.units import NS_PER_S
from tests.fakes.rubicante.api_server import FakeApiServer, FakePodSource
from tests.fakes.rubicante.faults import FaultySystem, Points
from tests.kernel.conftest import CPU, Hog

CPUSETS = Path("/sys/fs/cgroup/cpuset")
_BUDGET = ("cpu.rt_runtime_us", "cpu.rt_period_us", "cpu.cfs_quota_us", "cpu.shares")


def snapshot(prefix: str, kubepods: Path, *hogs: Hog) -> dict[str, object]:
    """All that giving back has to restore: groups, budgets, cpusets, and the hogs' threads."""
    pods = [Path(path) for path, _, _ in os.walk(kubepods)]
    return {
        "groups": sorted(path.name for path in CPU.iterdir() if path.name.startswith(prefix)),
        "budgets": {str(p): [(p / file).read_text() for file in _BUDGET] for p in pods},
        "cpusets": sorted(path.name for path in CPUSETS.iterdir() if path.name.startswith(prefix)),
        "balance": {
            str(path): (Path(path) / "cpuset.sched_load_balance").read_text()
            for path, _, _ in os.walk(CPUSETS)
        },
        "threads": {tid: _thread(tid) for hog in hogs for tid in _tids(hog)},
    }


def give_back(
    settings: Settings, server: FakeApiServer, access: DeadlineAccess | None, *, tries: int = 600
) -> tuple[str, ...]:
    """As the process does, turn after turn; what is left at last."""
    store = Store(settings.store)
    try:
        work = make(settings, server, access, store=store)
        for _ in range(tries):
            left = work.act()
            if not left:
                break
            time.sleep(0.3)
        return left
    finally:
        store.close()


def make(
    settings: Settings,
    server: FakeApiServer,
    access: DeadlineAccess | None,
    *,
    store: Store | None,
    system: System | None = None,
) -> GiveBack:
    """What gives back, as a new process makes it."""
    book = None
    if store is not None:
        book = Book(
            store=store,
            node=bare_node(settings),
            admit=admit,
            lease=settings.reservation_lease,
            clock=lambda: round(time.monotonic() * NS_PER_S),
        )
    leftovers = Leftovers(
        settings,
        system=system or LinuxSystem(),
        access=access,
        stop=threading.Event(),
        clock=time.monotonic,
    )
    return GiveBack(
        node=settings.node_name,
        lease=("k40s-system", f"rubicante-{settings.node_name}"),
        leftovers=leftovers,
        book=book,
        pods=lambda: FakePodSource(server).list().records,
        gateway=server,
        events=None,
    )


def killed_at(
    number: int, settings: Settings, server: FakeApiServer, access: DeadlineAccess | None
) -> bool:
    """Kill (9) a process that gives back at its write with that number; whether it came so far."""

    def die(_what: str) -> None:
        os.kill(os.getpid(), 9)

    return _in_child(settings, server, access, Points(at=number, fault=die))


def _in_child(
    settings: Settings, server: FakeApiServer, access: DeadlineAccess | None, points: Points
) -> bool:
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            store = Store(settings.store)
            system = FaultySystem(LinuxSystem(), points)
            work = make(settings, server, access, store=store, system=system)
            for _ in range(600):
                if not work.act():
                    break
                time.sleep(0.3)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def _tids(hog: Hog) -> tuple[int, ...]:
    return tuple(sorted(int(path.name) for path in Path(f"/proc/{hog.pid}/task").iterdir()))


def _thread(tid: int) -> Mapping[str, object]:
    return {
        "policy": os.sched_getscheduler(tid) & ~os.SCHED_RESET_ON_FORK,
        "affinity": os.sched_getaffinity(tid),
        "cgroups": Path(f"/proc/{tid}/cgroup").read_text(),
    }


Start = Callable[..., Hog]

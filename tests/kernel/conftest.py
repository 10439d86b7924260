"""Real groups, real threads: everything made here bears this process's name and is removed."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

import pytest

from daemons.rubicante.daemon import Daemon
from daemons.rubicante.kernel.system import LinuxSystem
from daemons.rubicante.mechanisms.deadline.offer import DeadlineAccess
from daemons.rubicante.mechanisms.rt_cgroup.budget_groups import BudgetGroups, Group
from daemons.rubicante.settings import Settings
from k40s.http.listening import Host
from k40s.kube.records import PodRecord
from k40s.runtime.store import Store
from tests.fakes.rubicante.api_server import FakeApiServer, FakePodSource
from tests.kernel.hog import OTHER

CPU = Path("/sys/fs/cgroup/cpu")
CORE = 1
CAPACITY = Fraction(40, 100)
_HOG = Path(__file__).with_name("hog.py")
_REPOSITORY = Path(__file__).parents[2]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = _missing()
    for item in items:
        if _HOG.parent in item.path.parents:
            item.add_marker(pytest.mark.kernel)
            if reason:
                item.add_marker(pytest.mark.skip(reason=reason))


def _missing() -> str:
    if os.geteuid() != 0:
        return "needs root"
    if not (CPU / "cpu.rt_runtime_us").exists():
        return "needs the cpu controller of cgroup v1 with CONFIG_RT_GROUP_SCHED"
    if CORE not in os.sched_getaffinity(0):
        return f"needs CPU {CORE}"
    return ""


def eventually(condition: Callable[[], bool], *, seconds: float = 180.0) -> None:
    """Wait until it holds; the limit is a net against hangs, no measure of speed."""
    assert comes_true(condition, seconds=seconds), "it never came true"


def comes_true(condition: Callable[[], bool], *, seconds: float) -> bool:
    """Wait until it holds; whether it did in that time."""
    limit = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= limit:
            return False
        time.sleep(0.005)
    return True


def is_removed(group: Path) -> bool:
    """Remove a cgroup; one whose last process has just ended is busy for a moment."""
    with suppress(OSError):
        group.rmdir()
    return not group.exists()


def is_at_rest(tid: int, *, seconds: float = 0.05) -> bool:
    """Whether a thread slept all that time: it neither runs nor was switched in between."""
    before = _rest(tid)
    time.sleep(seconds)
    return before is not None and before == _rest(tid)


def _rest(tid: int) -> list[str] | None:
    """How often a sleeping thread was switched; None for one that is not asleep."""
    lines = Path(f"/proc/{tid}/status").read_text().splitlines()
    if not any(line.startswith("State:\tS") for line in lines):
        return None
    return [line for line in lines if "ctxt_switches" in line]


class Hog:
    """A process of ours that spins, or does as told, for a bounded time."""

    def __init__(self, *arguments: str, cgroup: Path | None = None, seconds: float = 600) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-S", str(_HOG), str(cgroup or ""), str(seconds), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = self.process.pid
        self.tid = int(self.hear())

    def hear(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def tell(self, line: str) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.hear()

    def end(self) -> None:
        self.process.kill()
        self.process.wait(timeout=60)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


@pytest.fixture
def undo() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def prefix() -> str:
    return f"k40s-test-{os.getpid()}"


@pytest.fixture
def start_hog(undo: ExitStack) -> Callable[..., Hog]:
    def start(*arguments: str, cgroup: Path | None = None, seconds: float = 600) -> Hog:
        hog = Hog(*arguments, cgroup=cgroup, seconds=seconds)
        undo.callback(hog.end)
        return hog

    return start


@pytest.fixture
def groups(prefix: str, undo: ExitStack) -> BudgetGroups:
    made = BudgetGroups(system=LinuxSystem(), root=CPU, prefix=prefix, wait=time.sleep)

    def remove() -> None:
        left: list[Group] = [*made.names(), *made.numbers()]
        for group in left:
            eventually(partial(made.remove, group))

    undo.callback(remove)
    return made


@pytest.fixture
def kubepods(prefix: str, undo: ExitStack) -> Path:
    return make_kubepods(prefix, undo)


def make_kubepods(prefix: str, undo: ExitStack) -> Path:
    """A made-up tree as kubelet makes it, in two of the real hierarchies."""
    roots = [hierarchy / f"{prefix}-node" for hierarchy in (CPU, OTHER)]

    def remove() -> None:
        for path in (path for root in roots for path, _, _ in os.walk(root, topdown=False)):
            eventually(partial(is_removed, Path(path)))
        assert not any(root.exists() for root in roots)

    undo.callback(remove)
    for root in roots:
        (root / "kubepods" / "burstable").mkdir(parents=True)
    return roots[0]


@pytest.fixture
def settings(prefix: str, kubepods: Path, tmp_path: Path) -> Settings:
    return Settings(
        node_name="edge-1",
        pod_ip=Host("127.0.0.1"),
        cpus=(CORE,),
        cgroup_root="/" + kubepods.name,
        rt_capacity=CAPACITY,
        hi_reserve="none",
        group_prefix=prefix,
        store=tmp_path / "book.sqlite",
    )


@dataclass
class Node:
    """A running rubicante without its HTTP server, and its API server in memory."""

    daemon: Daemon
    server: FakeApiServer
    pods: FakePodSource
    store: Store

    def stop(self) -> None:
        self.daemon.halt()
        self.pods.stop()
        self.store.close()


@pytest.fixture
def start_node(settings: Settings, groups: BudgetGroups, undo: ExitStack) -> Callable[..., Node]:
    assert (groups.names(), groups.numbers()) == ((), ())
    server = FakeApiServer()

    def start(*present: PodRecord, deadline: DeadlineAccess | None = None) -> Node:
        for record in present:
            server.add(record)
        pods = FakePodSource(server)
        store = Store(settings.store)
        daemon = Daemon(
            settings,
            system=LinuxSystem(),
            gateway=server,
            pods=pods,
            store=store,
            deadline=deadline,
        )
        node = Node(daemon=daemon, server=server, pods=pods, store=store)
        undo.callback(node.stop)
        daemon.start()
        eventually(lambda: daemon.reservations.is_open)
        return node

    return start

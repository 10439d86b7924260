"""One rubicante for a benchmark, without its HTTP server: the kernel, its cgroups and the store are
real, the API server is in memory. Everything made is removed.
"""

import gc
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from fractions import Fraction
from functools import partial
from pathlib import Path

from daemons.rubicante.daemon import Daemon
from daemons.rubicante.kernel.system import LinuxSystem
from daemons.rubicante.mechanisms.rt_cgroup.budget_groups import BudgetGroups, Group
from daemons.rubicante.settings import Settings
from k40s.cpu.model import Packing
from k40s.http.listening import Host
from k40s.runtime.log import configure
from k40s.runtime.store import Store
from k40s.units import Nanoseconds
from tests.fakes.rubicante.api_server import NODE, FakeApiServer, FakePodSource
from tests.kernel.conftest import CPU
from tests.kernel.hog import OTHER

LIMIT = 20.0
"""Seconds after which something that is waited for never comes."""


class Scene:
    """A daemon on some of the CPUs, and a kubepods tree in two hierarchies."""

    def __init__(self, undo: ExitStack, name: str, *, cpus: tuple[int, ...]) -> None:
        prefix = f"k40s-{name}-{os.getpid()}"
        self.root = CPU / f"{prefix}-node"
        self.parents = tuple(h / self.root.name / "kubepods" for h in (CPU, OTHER))
        undo.callback(self._remove)
        undo.callback(self._remove_groups, prefix)
        for parent in self.parents:
            parent.mkdir(parents=True)
        directory = Path(undo.enter_context(tempfile.TemporaryDirectory()))
        configure("info", undo.enter_context((directory / "log").open("w")))
        settings = Settings(
            node_name=NODE,
            pod_ip=Host("127.0.0.1"),
            cpus=cpus,
            cgroup_root="/" + self.root.name,
            rt_capacity=Fraction(2, 5),
            group_prefix=prefix,
            packing=Packing.WORST_FIT,
            tick=Nanoseconds(0),
            store=directory / "book.sqlite",
        )
        store = Store(settings.store)
        undo.callback(store.close)
        self.server = FakeApiServer()
        self.pods = FakePodSource(self.server)
        self.daemon = Daemon(
            settings, system=LinuxSystem(), gateway=self.server, pods=self.pods, store=store
        )
        undo.callback(self.daemon.halt)
        undo.callback(self.pods.stop)
        self.daemon.start()
        until(lambda: self.daemon.reservations.is_open)
        gc.collect()
        gc.freeze()  # as the daemon's process does

    def clear(self) -> None:
        """Remove the pods' cgroups."""
        for parent in self.parents:
            for path, _, _ in os.walk(parent, topdown=False):
                if Path(path) != parent:
                    until(partial(_is_removed, Path(path)))

    def _remove(self) -> None:
        self.clear()
        for parent in self.parents:
            for path in (parent, parent.parent):
                if path.exists():
                    path.rmdir()

    def _remove_groups(self, prefix: str) -> None:
        """Remove the groups that an error left."""
        groups = BudgetGroups(system=LinuxSystem(), root=CPU, prefix=prefix, wait=time.sleep)
        left: list[Group] = [*groups.names(), *groups.numbers()]
        for group in left:
            for tid in groups.members(group):
                os.sched_setscheduler(tid, os.SCHED_OTHER, os.sched_param(0))
                groups.put_back(tid, CPU)
            groups.remove(group)


def until(condition: Callable[[], bool]) -> None:
    """Wait until it holds."""
    limit = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < limit, "it never came true"
        time.sleep(0.0002)


def quantile(seconds: Sequence[float], share: float) -> float:
    """The value in milliseconds that this share of the values does not exceed."""
    ordered = sorted(seconds)
    return 1000 * ordered[min(len(ordered) - 1, int(len(ordered) * share))]


class Steal:
    """Shares of one CPU that the hypervisor took since this was made."""

    def __init__(self) -> None:
        self._before, self._began = _stolen(), time.monotonic()

    def share(self) -> float:
        """Seconds per second."""
        return (_stolen() - self._before) / (time.monotonic() - self._began)


def _stolen() -> float:
    first = Path("/proc/stat").read_text().splitlines()[0]
    return int(first.split()[8]) / os.sysconf("SC_CLK_TCK")


def _is_removed(path: Path) -> bool:
    with suppress(OSError):
        path.rmdir()
    return not path.exists()

"""A container's CPU limit holds for what its real-time threads fork, on the real kernel."""

import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from daemons.rubicante.kernel.rt_budget import LEAST, limit_ordinary_threads
from daemons.rubicante.kernel.system import LinuxSystem
from daemons.rubicante.kernel.threads import FIFO
from daemons.rubicante.mechanisms.back_end import GroupName
from daemons.rubicante.mechanisms.rt_cgroup.budget_groups import BudgetGroups
from k40s.cpu.model import Server
from k40s.units import NS_PER_MS, Nanoseconds
from tests.fakes.rubicante.world import uid
from tests.kernel.conftest import CORE, Hog, Node, eventually, is_removed
from tests.kernel.scene import group_of, is_enforced, make_container, policy, reserve
from tests.kernel.shares import ran_seconds
from tests.kernel.undisturbed import undisturbed

StartHog = Callable[..., Hog]
StartNode = Callable[..., Node]

LIMIT = 0.05
"""``limits.cpu: 50m``."""
_ACCOUNTS = Path("/sys/fs/cgroup/cpuacct")
_SECONDS = 4.0
_MARGIN = 0.02
"""Of a core: periods that the look cuts, and what a child used before the kernel charged it."""


@pytest.mark.parametrize("life", ["0.02", "0.1", "0.6"])
def test_children_of_a_real_time_thread_stay_within_their_pods_cpu_limit(
    life: str,
    start_node: StartNode,
    kubepods: Path,
    groups: BudgetGroups,
    start_hog: StartHog,
    undo: ExitStack,
) -> None:
    node = start_node()
    reserve(node)
    container = make_container(kubepods)
    _limit(container.parent, LIMIT)
    for number in (2, 3):  # ordinary neighbours, of 200m each
        neighbour = make_container(kubepods, number)
        _limit(neighbour.parent, 0.2)
        start_hog("spin", cgroup=neighbour)
    hog = start_hog("brood", "ctl", life, cgroup=container)
    account = _account(hog, undo)
    eventually(lambda: is_enforced(groups, hog.pid))

    hog.tell("go")
    share = undisturbed(
        lambda: _children_share(hog, account),
        lambda share, took: share < LIMIT + _MARGIN + took / _SECONDS,
        show=lambda share: f"limit {LIMIT}, children of {life} s: {share:.4f} of a core",
    )

    assert share < LIMIT + _MARGIN
    assert is_enforced(groups, hog.pid)


def test_a_group_gives_ordinary_threads_a_thousandth_and_its_real_time_thread_all_of_its_budget(
    groups: BudgetGroups, start_hog: StartHog
) -> None:
    name = GroupName(pod_uid=uid(1), index=0)
    groups.ensure(
        name, Server(budget=Nanoseconds(10 * NS_PER_MS), period=Nanoseconds(100 * NS_PER_MS))
    )
    ordinary, real_time = start_hog("spin"), start_hog("spin")
    for hog in (ordinary, real_time):
        os.sched_setaffinity(hog.pid, {CORE})
        assert groups.move_in(name, hog.pid)

    os.sched_setscheduler(real_time.pid, FIFO, os.sched_param(60))  # while the group is throttled
    shares = undisturbed(
        lambda: _shares(ordinary, real_time),
        lambda shares, took: shares[0] < 0.01 + took / 3 and abs(shares[1] - 0.1) < 0.03 + took / 3,
    )

    assert shares[0] < 0.01
    assert shares[1] == pytest.approx(0.1, abs=0.03)
    os.sched_setscheduler(real_time.pid, os.SCHED_OTHER, os.sched_param(0))
    for hog in (ordinary, real_time):  # home again, they run: what is overdrawn stays
        assert groups.put_back(hog.pid, groups.path(name).parent)
    eventually(lambda: sum(_shares(ordinary, real_time, seconds=0.5)) > 0.05)
    assert {file: int((groups.path(name) / file).read_text()) for file in LEAST} == LEAST


def test_a_group_of_an_earlier_version_is_limited_while_its_thread_runs(
    start_node: StartNode, kubepods: Path, groups: BudgetGroups, start_hog: StartHog
) -> None:
    node = start_node()
    reserve(node)
    hog = start_hog("thread", "ctl", cgroup=make_container(kubepods))
    eventually(lambda: is_enforced(groups, hog.tid))
    group = groups.path(group_of(node))
    (group / "cpu.cfs_quota_us").write_text("-1")
    (group / "cpu.shares").write_text("1024")

    eventually(lambda: {f: int((group / f).read_text()) for f in LEAST} == LEAST)

    assert policy(hog.tid) == FIFO
    assert not limit_ordinary_threads(LinuxSystem(), group)


def _limit(pod: Path, cores: float) -> None:
    (pod / "cpu.cfs_quota_us").write_text(str(int(cores * 100_000)))


def _account(hog: Hog, undo: ExitStack) -> Path:
    """A place where all CPU time of the hog and its children is summed up."""
    path = _ACCOUNTS / f"k40s-test-{os.getpid()}"
    path.mkdir()

    def remove() -> None:
        hog.end()
        eventually(lambda: is_removed(path))

    undo.callback(remove)
    (path / "cgroup.procs").write_text(str(hog.pid))
    return path


def _children_share(hog: Hog, account: Path) -> float:
    """Without the parent's own forks: these are within its real-time budget."""

    def used() -> float:
        return int((account / "cpuacct.usage").read_text()) / 1e9 - ran_seconds(hog.pid)

    before, began = used(), time.monotonic()
    time.sleep(_SECONDS)
    return (used() - before) / (time.monotonic() - began)


def _shares(*hogs: Hog, seconds: float = 3.0) -> list[float]:
    """CPU time of the hogs' main threads."""

    before, began = [ran_seconds(hog.pid) for hog in hogs], time.monotonic()
    time.sleep(seconds)
    span = time.monotonic() - began
    return [(ran_seconds(hog.pid) - then) / span for hog, then in zip(hogs, before, strict=True)]

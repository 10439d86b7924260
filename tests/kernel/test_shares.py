"""The budgets that the kernel really keeps, on the real kernel."""

import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from daemons.rubicante.kernel.system import LinuxSystem
from daemons.rubicante.kernel.threads import FIFO, Threads
from daemons.rubicante.mechanisms.back_end import GroupName
from daemons.rubicante.mechanisms.rt_cgroup.budget_groups import BudgetGroups
from k40s.cpu.model import Server
from k40s.units import NS_PER_MS, Nanoseconds
from tests.fakes.rubicante.world import uid
from tests.kernel.conftest import CORE, Hog
from tests.kernel.shares import keeps_to, measured_shares
from tests.kernel.stress import stressed

StartHog = Callable[..., Hog]


@pytest.fixture
def threads() -> Threads:
    return Threads(system=LinuxSystem(), proc=Path("/proc"))


def put(
    groups: BudgetGroups, threads: Threads, tid: int, *, number: int, budget_ms: int, priority: int
) -> None:
    name = GroupName(pod_uid=uid(number), index=0)
    server = Server(budget=Nanoseconds(budget_ms * NS_PER_MS), period=Nanoseconds(100 * NS_PER_MS))
    groups.ensure(name, server, patient=True)
    assert threads.pin(tid, frozenset({CORE}))
    assert groups.move_in(name, tid)
    assert threads.set_policy(tid, FIFO, priority)


def test_a_fifo_hog_gets_its_share(
    groups: BudgetGroups, threads: Threads, start_hog: StartHog
) -> None:
    hog = start_hog("spin")
    put(groups, threads, hog.tid, number=1, budget_ms=30, priority=90)

    found = measured_shares(hog.tid, expected=[0.30])

    assert keeps_to(found, [0.30]), found


def test_a_fifo_hog_gets_its_share_beside_stress(
    groups: BudgetGroups, threads: Threads, start_hog: StartHog, undo: ExitStack
) -> None:
    hog = start_hog("spin")
    undo.enter_context(stressed("cpu", cpu=CORE, seconds=180, number=4))
    put(groups, threads, hog.tid, number=1, budget_ms=30, priority=90)

    found = measured_shares(hog.tid, expected=[0.30])

    assert keeps_to(found, [0.30]), found


def test_an_overrunning_pod_does_not_take_its_neighbours_budget(
    groups: BudgetGroups, threads: Threads, start_hog: StartHog
) -> None:
    hogs = [start_hog("spin") for _ in range(2)]
    for number, hog in enumerate(hogs):
        put(groups, threads, hog.tid, number=number, budget_ms=15, priority=90 - number)

    found = measured_shares(*(hog.tid for hog in hogs), expected=[0.15, 0.15])

    assert keeps_to(found, [0.15, 0.15]), found


def test_a_budget_grows_in_place_under_a_running_thread(
    groups: BudgetGroups, threads: Threads, start_hog: StartHog
) -> None:
    hog = start_hog("spin")
    put(groups, threads, hog.tid, number=1, budget_ms=10, priority=90)

    put(groups, threads, hog.tid, number=1, budget_ms=30, priority=89)

    found = measured_shares(hog.tid, expected=[0.30])
    assert keeps_to(found, [0.30]), found
    assert os.sched_getparam(hog.tid).sched_priority == 89

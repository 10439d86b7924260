"""Rubicante whole, on the real kernel, beside a made-up API server and kubepods tree."""

import errno
import os
from collections.abc import Callable
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

import pytest

from daemons.rubicante.kernel.threads import FIFO
from daemons.rubicante.mechanisms.back_end import GroupName
from daemons.rubicante.mechanisms.rt_cgroup.budget_groups import BudgetGroups
from k40s.cpu.model import Server
from k40s.errors import KernelError
from k40s.kube.list_watch import Change
from k40s.units import NS_PER_MS, Nanoseconds
from tests.fakes.rubicante.api_server import NODE
from tests.fakes.rubicante.world import pod, uid
from tests.kernel.conftest import CORE, CPU, Hog, Node, eventually
from tests.kernel.scene import is_enforced, is_home, make_container, policy, report_status, reserve
from tests.kernel.shares import keeps_to, measured_shares
from tests.kernel.undisturbed import undisturbed

StartHog = Callable[..., Hog]
StartNode = Callable[..., Node]


def test_a_thread_named_like_the_task_is_enforced_alone(
    start_node: StartNode, kubepods: Path, groups: BudgetGroups, start_hog: StartHog
) -> None:
    node = start_node()
    bandwidth = reserve(node)
    container = make_container(kubepods)

    hog = start_hog("thread", "ctl", cgroup=container)

    eventually(lambda: is_enforced(groups, hog.tid))
    assert os.sched_getaffinity(hog.tid) == {CORE}
    assert policy(hog.pid) == os.SCHED_OTHER
    assert is_home(container, hog.pid)
    found = measured_shares(hog.tid, expected=[float(bandwidth)])
    assert keeps_to(found, [float(bandwidth)]), found


def test_an_overrunning_task_does_not_take_its_neighbours_budget(
    start_node: StartNode, kubepods: Path, groups: BudgetGroups, start_hog: StartHog
) -> None:
    node = start_node()
    reserve(node, 1)
    reserve(node, 2)
    budgets = [
        float(node.daemon.book.find(uid(n)).reservations[0].server.bandwidth) for n in (1, 2)
    ]

    hogs = [start_hog("thread", "ctl", cgroup=make_container(kubepods, n)) for n in (1, 2)]

    eventually(lambda: all(is_enforced(groups, hog.tid) for hog in hogs))
    found = measured_shares(*(hog.tid for hog in hogs), expected=budgets)
    assert keeps_to(found, budgets), found


def test_a_single_task_without_a_name_gets_the_main_thread(
    start_node: StartNode, kubepods: Path, groups: BudgetGroups, start_hog: StartHog
) -> None:
    node = start_node()
    reserve(node)
    report_status(node)

    hog = start_hog("idle", cgroup=make_container(kubepods))

    eventually(lambda: is_enforced(groups, hog.pid))


def test_a_thread_that_takes_its_name_late_replaces_the_main_thread(
    start_node: StartNode, kubepods: Path, groups: BudgetGroups, start_hog: StartHog
) -> None:
    node = start_node()
    reserve(node)
    report_status(node)
    container = make_container(kubepods)
    hog = start_hog("late", "ctl", cgroup=container)
    eventually(lambda: is_enforced(groups, hog.pid))

    assert hog.tell("go") == "named"

    eventually(lambda: is_enforced(groups, hog.tid))
    eventually(lambda: is_home(container, hog.pid))
    assert policy(hog.pid) == os.SCHED_OTHER
    assert os.sched_getaffinity(hog.pid) == os.sched_getaffinity(0)


def test_a_forked_child_is_ordinary_and_goes_home(
    start_node: StartNode, kubepods: Path, groups: BudgetGroups, start_hog: StartHog
) -> None:
    node = start_node()
    reserve(node)
    container = make_container(kubepods)
    hog = start_hog("fork", "ctl", cgroup=container)
    eventually(lambda: is_enforced(groups, hog.pid))

    child = int(hog.tell("fork"))

    assert policy(child) == os.SCHED_OTHER
    eventually(lambda: is_home(container, child))
    assert is_enforced(groups, hog.pid)
    assert os.sched_getaffinity(child) == os.sched_getaffinity(0)


def test_a_program_without_privilege_can_give_up_what_it_has_but_get_no_more(
    start_node: StartNode, kubepods: Path, groups: BudgetGroups, start_hog: StartHog
) -> None:
    node = start_node()
    reserve(node)
    hog = start_hog("escape", "ctl", cgroup=make_container(kubepods))
    eventually(lambda: is_enforced(groups, hog.pid))
    granted = os.sched_getparam(hog.pid).sched_priority

    answers = {way: hog.tell(way) for way in ("raise", "inherit", "lower", "wander", "leave")}

    assert answers == {
        "raise": "EPERM",
        "inherit": "EPERM",
        "lower": "done",
        "wander": "done",
        "leave": "done",
    }
    eventually(lambda: is_enforced(groups, hog.pid))
    eventually(lambda: os.sched_getaffinity(hog.pid) == {CORE})
    eventually(lambda: os.sched_getparam(hog.pid).sched_priority == granted)


def test_deleting_the_pod_gives_back_every_microsecond(
    start_node: StartNode, kubepods: Path, groups: BudgetGroups, start_hog: StartHog
) -> None:
    node = start_node()
    reserve(node)
    container = make_container(kubepods)
    hog = start_hog("thread", "ctl", cgroup=container)
    eventually(lambda: is_enforced(groups, hog.tid))

    node.pods.deliver(pod(1, node=NODE), Change.DELETE)

    eventually(lambda: node.daemon.book.find(uid(1)) is None)
    assert groups.names() == groups.numbers() == ()
    assert node.daemon.book.node().utilization(CORE) == 0
    assert policy(hog.tid) == os.SCHED_OTHER
    assert is_home(container, hog.tid)


def test_a_pod_that_ends_by_itself_gives_back_every_microsecond(
    start_node: StartNode, kubepods: Path, groups: BudgetGroups, start_hog: StartHog
) -> None:
    node = start_node()
    reserve(node)
    hog = start_hog("thread", "ctl", cgroup=make_container(kubepods))
    eventually(lambda: is_enforced(groups, hog.tid))

    hog.end()
    node.pods.deliver(pod(1, node=NODE, phase="Succeeded"))

    eventually(lambda: node.daemon.book.find(uid(1)) is None)
    assert groups.names() == groups.numbers() == ()


def test_the_budget_of_a_group_just_removed_is_waited_for(groups: BudgetGroups) -> None:
    free = Fraction(95, 100) - _admitted()
    share = min(Fraction(40, 100), free - Fraction(1, 100))
    assert share > Fraction(1, 10), f"others hold {float(_admitted()):.2f} of the kernel's 0.95"
    whole = Server(
        budget=Nanoseconds(int(share * 100) * NS_PER_MS), period=Nanoseconds(100 * NS_PER_MS)
    )

    def refused() -> str:
        for number in range(1, 11):
            name = GroupName(pod_uid=uid(number), index=0)
            try:
                groups.ensure(name, whole, patient=True)
            except KernelError as error:
                return str(error)
            finally:
                eventually(lambda n=name: groups.remove(n))  # type: ignore[misc]  # bound at once
        return ""

    # a CPU that stands still holds up what the kernel does when every CPU has moved on
    found = undisturbed(refused, lambda said, took: not said or took > 0.1)

    assert found == ""


def test_the_kernel_refuses_fifo_without_a_budget_group(
    kubepods: Path, start_hog: StartHog
) -> None:
    hog = start_hog("idle", cgroup=make_container(kubepods))

    with pytest.raises(OSError) as refused:  # noqa: PT011  # the errno is what counts
        os.sched_setscheduler(hog.pid, FIFO, os.sched_param(90))

    assert refused.value.errno == errno.EPERM


def test_foreign_groups_are_left_as_they_are(
    start_node: StartNode, prefix: str, undo: ExitStack
) -> None:
    foreign = [CPU / f"{prefix}-foreign", CPU / f"{prefix}x-{uid(1)}-0"]
    for path in foreign:
        path.mkdir()
        undo.callback(path.rmdir)
        (path / "cpu.rt_period_us").write_text("100000")
        (path / "cpu.rt_runtime_us").write_text("10000")
    orphan = CPU / f"{prefix}-{uid(7)}-0"
    orphan.mkdir()

    start_node()

    assert not orphan.exists()
    assert [(p / "cpu.rt_runtime_us").read_text() for p in foreign] == ["10000\n", "10000\n"]


def _admitted() -> Fraction:
    """What all groups at the top of the hierarchy hold, whosever they are."""
    total = Fraction(0)
    for path in CPU.iterdir():
        if path.is_dir():
            runtime = int((path / "cpu.rt_runtime_us").read_text())
            total += Fraction(max(0, runtime), int((path / "cpu.rt_period_us").read_text()))
    return total

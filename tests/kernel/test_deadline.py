"""Rubicante whole, with SCHED_DEADLINE beside budget groups, on the real kernel."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from daemons.rubicante.kernel.sched_attr import SCHED_DEADLINE, LinuxAttributes
from daemons.rubicante.mechanisms.deadline.offer import DeadlineAccess
from daemons.rubicante.mechanisms.rt_cgroup.budget_groups import BudgetGroups
from daemons.rubicante.settings import Settings
from k40s.cpu.model import Mechanism
from k40s.kube.list_watch import Change
from k40s.node_api.messages import format_reservation_request
from tests.fakes.rubicante.api_server import NODE
from tests.fakes.rubicante.world import ask, pod, task, uid
from tests.kernel.conftest import Hog, Node, eventually
from tests.kernel.deadline_scene import alone
from tests.kernel.scene import is_enforced, is_home, make_container, policy, reserve

StartHog = Callable[..., Hog]
StartNode = Callable[..., Node]
ACCESS = DeadlineAccess(attributes=LinuxAttributes())

pytestmark = pytest.mark.skipif(
    os.sched_getaffinity(0) != {0, 1}, reason="needs a root domain of the CPUs 0 and 1"
)


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    with alone():
        yield


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """All CPUs of the root domain, which is shared: load balancing stays on."""
    return replace(settings, cpus=(0, 1))


def reserve_deadline(node: Node, number: int = 1) -> None:
    """A pod that asks for SCHED_DEADLINE, with a task of 5 ms in 20 ms."""
    node.server.add(pod(number))
    request = ask(number, task(wcet_ms=5, period_ms=20))
    request = replace(request, workload=replace(request.workload, mechanism=Mechanism.DEADLINE))
    answer = (
        node.daemon.api()
        .test_client()
        .put(f"/v1/reservations/{uid(number)}", data=format_reservation_request(request))
    )
    assert answer.status_code == 201, answer.text
    node.pods.deliver(pod(number, node=NODE, phase="Running"))


def is_deadline(tid: int) -> bool:
    return policy(tid) & ~os.SCHED_RESET_ON_FORK == SCHED_DEADLINE


def test_both_mechanisms_serve_pods_side_by_side_and_outlive_the_daemon(
    start_node: StartNode, kubepods: Path, groups: BudgetGroups, start_hog: StartHog
) -> None:
    node = start_node(deadline=ACCESS)
    assert node.daemon.capability.mechanism == "rt-cgroup+deadline"
    reserve_deadline(node, 1)
    reserve(node, 2)
    containers = [make_container(kubepods, number) for number in (1, 2)]

    hogs = [start_hog("thread", "ctl", cgroup=cgroup) for cgroup in containers]

    eventually(lambda: is_deadline(hogs[0].tid))
    eventually(lambda: is_enforced(groups, hogs[1].tid))
    assert policy(hogs[0].pid) == os.SCHED_OTHER
    assert is_home(containers[0], hogs[0].tid)
    node.stop()
    again = start_node(*(pod(n, node=NODE, phase="Running") for n in (1, 2)), deadline=ACCESS)
    eventually(lambda: again.daemon.enforcer.threads(uid(1)) == {("main", "ctl"): hogs[0].tid})
    eventually(lambda: again.daemon.enforcer.threads(uid(2)) == {("main", "ctl"): hogs[1].tid})
    assert is_deadline(hogs[0].tid)
    again.pods.deliver(pod(1, node=NODE), Change.DELETE)
    eventually(lambda: again.daemon.book.find(uid(1)) is None)
    assert policy(hogs[0].tid) == os.SCHED_OTHER
    assert is_enforced(groups, hogs[1].tid)


def test_a_deadline_threads_child_is_an_ordinary_one(
    start_node: StartNode, kubepods: Path, start_hog: StartHog
) -> None:
    node = start_node(deadline=ACCESS)
    reserve_deadline(node)
    hog = start_hog("fork", "ctl", cgroup=make_container(kubepods))
    eventually(lambda: is_deadline(hog.pid))

    child = int(hog.tell("fork"))

    assert policy(child) == os.SCHED_OTHER
    assert is_deadline(hog.pid)


def test_a_program_without_privilege_can_only_give_its_reservation_up_for_a_moment(
    start_node: StartNode, kubepods: Path, start_hog: StartHog
) -> None:
    node = start_node(deadline=ACCESS)
    reserve_deadline(node)
    hog = start_hog("escape", "ctl", cgroup=make_container(kubepods))
    eventually(lambda: is_deadline(hog.pid))

    answers = {way: hog.tell(way) for way in ("raise", "narrow", "leave")}

    assert answers == {"raise": "EPERM", "narrow": "EBUSY", "leave": "done"}
    eventually(lambda: is_deadline(hog.pid))

"""Budgets in the containers' own cgroups, on the real kernel."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from daemons.rubicante.book.entry import Phase
from daemons.rubicante.kernel.threads import FIFO
from daemons.rubicante.settings import Groups, Settings
from k40s.cpu.analysis.deferrable_server import least_ancestor_budget
from k40s.cpu.linux import quantize_server
from k40s.kube.list_watch import Change
from k40s.node_api.messages import format_reservation_request
from tests.fakes.rubicante.api_server import NODE
from tests.fakes.rubicante.world import ask, container_id, pod, task, uid
from tests.kernel.conftest import CORE, Hog, Node, eventually, is_removed
from tests.kernel.scene import is_home, make_container, policy, reserve
from tests.kernel.shares import keeps_to, measured_shares

StartHog = Callable[..., Hog]
StartNode = Callable[..., Node]
NAMES = {"main": "one", "side": "two"}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, groups=Groups.CONTAINER)


def budget(cgroup: Path) -> tuple[int, int]:
    runtime, period = (cgroup / f"cpu.rt_{name}_us" for name in ("runtime", "period"))
    return int(runtime.read_text()), int(period.read_text())


def above(kubepods: Path, *containers: Path) -> list[Path]:
    pods = {container.parent for container in containers}
    return [kubepods, kubepods / "kubepods", kubepods / "kubepods/burstable", *pods]


def reserve_two_containers(node: Node) -> None:
    """Pod 1 with a task in each of two containers, reserved and bound, its status told."""
    record = pod(1, containers=tuple(NAMES))
    node.server.add(record)
    tasks = [task(name, container=container) for container, name in NAMES.items()]
    body = format_reservation_request(ask(1, *tasks))
    answer = node.daemon.api().test_client().put(f"/v1/reservations/{uid(1)}", data=body)
    assert answer.status_code == 201, answer.text
    ids = {"main": container_id(1), "side": container_id(11)}
    node.pods.deliver(replace(record, node=NODE, phase="Running", container_ids=ids))
    eventually(lambda: node.daemon.book.find(uid(1)).phase is Phase.BOUND)


def run_pod(start_node: StartNode, kubepods: Path, start_hog: StartHog) -> tuple[Node, Path, Hog]:
    """A node with pod 1, its container's cgroup, and its thread, which is real-time."""
    node = start_node()
    reserve(node, 1)
    leaf = make_container(kubepods)
    hog = start_hog("thread", "ctl", cgroup=leaf)
    eventually(lambda: policy(hog.tid) == FIFO)
    return node, leaf, hog


def servers(node: Node) -> list[tuple[int, int]]:
    entries = node.daemon.book.entries()
    return [quantize_server(r.server) for entry in entries for r in entry.reservations]


def test_each_container_gets_its_budget_and_no_more_and_all_is_given_back(
    start_node: StartNode, kubepods: Path, start_hog: StartHog
) -> None:
    node = start_node()
    reserve_two_containers(node)
    reserve(node, 2, name="three")
    held = servers(node)
    need = least_ancestor_budget(held, 1_000_000, 4_000)
    assert budget(kubepods) == budget(kubepods / "kubepods") == (need, 1_000_000)
    leaves = [make_container(kubepods, 1), make_container(kubepods, 1, id_=11)]
    leaves.append(make_container(kubepods, 2))

    hogs = [
        start_hog("thread", name, cgroup=leaf)
        for name, leaf in zip(("one", "two", "three"), leaves, strict=True)
    ]

    eventually(lambda: all(policy(hog.tid) == FIFO for hog in hogs))
    assert [budget(leaf) for leaf in leaves] == held
    for hog, leaf in zip(hogs, leaves, strict=True):
        assert is_home(leaf, hog.tid)
        assert os.sched_getaffinity(hog.tid) == {CORE}
    assert budget(kubepods / "kubepods/burstable") == (need, 1_000_000)
    assert budget(leaves[0].parent)[0] == least_ancestor_budget(held[:2], 1_000_000, 4_000)
    expected = [runtime / period for runtime, period in held]
    found = measured_shares(*(hog.tid for hog in hogs), expected=expected)
    assert keeps_to(found, expected), found

    node.pods.deliver(pod(1, node=NODE), Change.DELETE)
    eventually(lambda: node.daemon.book.find(uid(1)) is None)
    assert [policy(hog.tid) == FIFO for hog in hogs] == [False, False, True]
    assert budget(kubepods)[0] == least_ancestor_budget(held[2:], 1_000_000, 4_000)
    node.pods.deliver(pod(2, node=NODE), Change.DELETE)
    eventually(lambda: node.daemon.book.find(uid(2)) is None)
    assert {budget(level)[0] for level in (*above(kubepods, *leaves), *leaves)} == {0}


def test_a_thread_that_made_itself_real_time_has_its_containers_budget_and_not_for_long(
    start_node: StartNode, kubepods: Path, start_hog: StartHog
) -> None:
    node, leaf, hog = run_pod(start_node, kubepods, start_hog)
    wild = start_hog("spin", cgroup=leaf)

    os.sched_setscheduler(wild.tid, os.SCHED_FIFO, os.sched_param(99))

    eventually(lambda: policy(wild.tid) == os.SCHED_OTHER)
    node.stop()
    os.sched_setaffinity(wild.tid, {CORE})
    os.sched_setscheduler(wild.tid, os.SCHED_FIFO, os.sched_param(99))
    (server,) = servers(node)
    share = server[0] / server[1]
    found = measured_shares(wild.tid, hog.tid, expected=(share, 0.0))
    assert keeps_to(found, (share, 0.0)), found
    os.sched_setscheduler(wild.tid, os.SCHED_OTHER, os.sched_param(0))
    again = start_node(pod(1, node=NODE, phase="Running"))
    again.pods.deliver(pod(1, node=NODE), Change.DELETE)
    eventually(lambda: again.daemon.book.find(uid(1)) is None)
    assert budget(kubepods)[0] == budget(leaf)[0] == 0


def test_a_new_process_changes_nothing_that_runs(
    start_node: StartNode, kubepods: Path, start_hog: StartHog
) -> None:
    node, leaf, hog = run_pod(start_node, kubepods, start_hog)
    before = [budget(level) for level in (*above(kubepods, leaf), leaf)]
    node.stop()

    node = start_node(pod(1, node=NODE, phase="Running"))

    eventually(lambda: node.daemon.enforcer.threads(uid(1)) == {("main", "ctl"): hog.tid})
    assert [budget(level) for level in (*above(kubepods, leaf), leaf)] == before
    assert policy(hog.tid) == FIFO
    assert node.daemon.enforcer.sweep() == ()
    node.pods.deliver(pod(1, node=NODE), Change.DELETE)
    eventually(lambda: node.daemon.book.find(uid(1)) is None)


def test_a_container_that_starts_again_gets_the_budget_while_the_dead_one_counts(
    start_node: StartNode, kubepods: Path, start_hog: StartHog
) -> None:
    node, leaf, hog = run_pod(start_node, kubepods, start_hog)
    hog.end()
    eventually(lambda: is_removed(leaf))

    again_leaf = make_container(kubepods, 1, id_=7)
    again = start_hog("thread", "ctl", cgroup=again_leaf)

    eventually(lambda: policy(again.tid) == FIFO)
    assert [budget(again_leaf)] == servers(node)
    node.pods.deliver(pod(1, node=NODE), Change.DELETE)
    eventually(lambda: node.daemon.book.find(uid(1)) is None)

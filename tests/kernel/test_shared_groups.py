"""Budget groups shared between cores, on the real kernel: who is in them, and what they give."""

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path

import pytest

from daemons.rubicante.kernel.pod_cgroups import PodTree
from daemons.rubicante.kernel.system import LinuxSystem
from daemons.rubicante.kernel.threads import FIFO, Threads
from daemons.rubicante.mechanisms.back_end import ContainerCgroup, GroupName, Held
from daemons.rubicante.mechanisms.origins import Origins
from daemons.rubicante.mechanisms.rt_cgroup.budget_groups import BudgetGroups
from daemons.rubicante.mechanisms.rt_cgroup.group_back_end import GroupBackEnd
from daemons.rubicante.settings import Settings
from k40s.cpu.model import Packing
from k40s.errors import KernelError
from k40s.kube.list_watch import Change
from tests.fakes.rubicante.api_server import NODE
from tests.fakes.rubicante.grants import grant
from tests.fakes.rubicante.viewed import Viewed
from tests.fakes.rubicante.world import container_id, pod, uid
from tests.kernel.conftest import CPU, Hog, Node, eventually, is_removed
from tests.kernel.hog import OTHER
from tests.kernel.scene import group_of, is_enforced, is_home, make_container, policy, reserve
from tests.kernel.shares import keeps_to, measured_shares

StartHog = Callable[..., Hog]
StartNode = Callable[..., Node]

pytestmark = pytest.mark.skipif(
    not {0, 1} <= os.sched_getaffinity(0), reason="needs the CPUs 0 and 1"
)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Both CPUs, and each new pod on the emptier one."""
    return replace(settings, cpus=(0, 1), packing=Packing.WORST_FIT)


def test_two_groups_give_two_cores_twice_what_the_kernel_grants_the_node(
    groups: BudgetGroups, kubepods: Path, start_hog: StartHog
) -> None:
    threads = Threads(system=LinuxSystem(), proc=Path("/proc"))
    tree = PodTree(system=LinuxSystem(), cpu_root=CPU, cgroup_root="/" + kubepods.name)
    origins = Origins(threads=threads, tree=tree, cores=frozenset({0, 1}))
    back_end = Viewed(GroupBackEnd(groups=groups, threads=threads, origins=origins))
    whole = min(90, int(100 * _free()) - 2)
    assert whole >= 20, f"others hold {float(Fraction(95, 100) - _free()):.2f} of the kernel's 0.95"
    budgets = (whole * 5 // 9, whole - whole * 5 // 9)
    held = []
    for number, (core, group) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)], start=1):
        one = grant(number, core=core, group=group, budget_ms=budgets[group], highest=90 - group)
        held.append(Held(name=GroupName(pod_uid=uid(number), index=0), reservation=one))
    back_end.know(held)
    back_end.claim(held)
    cgroups = [make_container(kubepods, number) for number in range(1, 5)]
    hogs = [start_hog("thread", "ctl", cgroup=cgroup) for cgroup in cgroups]

    for one, cgroup, hog in zip(held, cgroups, hogs, strict=True):
        thread = threads.find(hog.tid)
        assert thread is not None
        container_cgroup = ContainerCgroup(pod=cgroup.parent, cgroup=cgroup)
        assert back_end.enforce(thread, one, position=0, container=container_cgroup)

    expected = [budgets[one.reservation.group or 0] / 100 for one in held]
    found = measured_shares(*(hog.tid for hog in hogs), expected=expected)
    assert keeps_to(found, expected), found
    for one, cgroup, hog in zip(held, cgroups, hogs, strict=True):
        assert back_end.members(one) == (hog.tid,)
        assert is_home(cgroup, hog.pid)
        assert back_end.release(one.name.pod_uid)
        assert is_home(cgroup, hog.tid)
        back_end.know([other for other in held if other.name > one.name])
    assert groups.numbers() == ()


def test_pods_on_two_cores_share_a_group_and_their_children_go_home(
    start_node: StartNode, kubepods: Path, groups: BudgetGroups, start_hog: StartHog
) -> None:
    node = start_node()
    containers, hogs = _two_forkers(node, kubepods, groups, start_hog)

    children = [int(hog.tell("fork")) for hog in hogs]

    for container, hog, child in zip(containers, hogs, children, strict=True):
        eventually(lambda c=container, t=child: is_home(c, t))
        assert policy(child) == os.SCHED_OTHER
        assert os.sched_getaffinity(child) == os.sched_getaffinity(0)
        assert is_enforced(groups, hog.pid)
    assert {frozenset(os.sched_getaffinity(hog.pid)) for hog in hogs} == {
        frozenset({0}),
        frozenset({1}),
    }
    assert set(groups.members(0)) == {hog.pid for hog in hogs}


def test_a_container_that_starts_again_gets_its_place_and_the_neighbour_keeps_its_own(
    start_node: StartNode, kubepods: Path, groups: BudgetGroups, start_hog: StartHog
) -> None:
    node = start_node()
    containers, hogs = _two_forkers(node, kubepods, groups, start_hog)
    hogs[0].end()
    _remove_as_kubelet_does(containers[0])
    ids = {"main": container_id(11)}
    node.pods.deliver(pod(1, node=NODE, phase="Running", container_ids=ids))

    again = start_hog("thread", "ctl1", cgroup=make_container(kubepods, 1, id_=11))

    eventually(lambda: is_enforced(groups, again.tid))
    assert set(groups.members(0)) == {again.tid, hogs[1].pid}


def test_a_new_process_finds_the_threads_of_both_pods_and_leaves_them(
    start_node: StartNode, kubepods: Path, groups: BudgetGroups, start_hog: StartHog
) -> None:
    node = start_node()
    _, hogs = _two_forkers(node, kubepods, groups, start_hog)
    node.stop()

    again = start_node(*(pod(n, node=NODE, phase="Running") for n in (1, 2)))

    for number, hog in enumerate(hogs, start=1):
        wanted = {("main", f"ctl{number}"): hog.pid}
        eventually(lambda n=number, w=wanted: again.daemon.enforcer.threads(uid(n)) == w)
        assert is_enforced(groups, hog.pid)
    assert again.daemon.enforcer.sweep() == ()


def test_a_pods_end_is_not_delayed_and_its_group_goes_with_the_last_pod(
    start_node: StartNode, kubepods: Path, groups: BudgetGroups, start_hog: StartHog
) -> None:
    node = start_node()
    containers, hogs = _two_forkers(node, kubepods, groups, start_hog)

    hogs[0].end()
    _remove_as_kubelet_does(containers[0])
    node.pods.deliver(pod(1, node=NODE), Change.DELETE)

    eventually(lambda: node.daemon.book.find(uid(1)) is None)
    assert groups.numbers() == (0,)
    assert is_enforced(groups, hogs[1].pid)
    hogs[1].end()
    _remove_as_kubelet_does(containers[1])
    node.pods.deliver(pod(2, node=NODE), Change.DELETE)
    eventually(lambda: node.daemon.book.find(uid(2)) is None)
    assert groups.numbers() == ()


def test_a_foreign_budget_is_not_offered_and_not_touched(
    start_node: StartNode, kubepods: Path, prefix: str, settings: Settings, undo: ExitStack
) -> None:
    del kubepods
    foreign = CPU / f"{prefix}-foreign"
    foreign.mkdir()
    undo.callback(foreign.rmdir)
    (foreign / "cpu.rt_runtime_us").write_text("150000")
    before = _free()

    node = start_node()

    warnings = " ".join(node.daemon.capability.warnings)
    assert f"{foreign.name} holds 0.1500" in warnings
    assert node.daemon.mechanisms.node().node_capacity <= min(settings.rt_capacity, before)
    assert (foreign / "cpu.rt_runtime_us").read_text() == "150000\n"


def test_a_claim_beyond_what_is_left_is_refused_and_leaves_nothing(groups: BudgetGroups) -> None:
    threads = Threads(system=LinuxSystem(), proc=Path("/proc"))
    tree = PodTree(system=LinuxSystem(), cpu_root=CPU, cgroup_root="/none")
    origins = Origins(threads=threads, tree=tree, cores=frozenset({0, 1}))
    back_end = Viewed(GroupBackEnd(groups=groups, threads=threads, origins=origins))
    held = Held(
        name=GroupName(pod_uid=uid(1), index=0), reservation=grant(1, budget_ms=96, group=3)
    )
    back_end.know([held])

    with pytest.raises(KernelError, match="shared-3"):
        back_end.claim([held])

    assert back_end.release(uid(1))
    assert groups.numbers() == ()


def _two_forkers(
    node: Node, kubepods: Path, groups: BudgetGroups, start_hog: StartHog
) -> tuple[list[Path], list[Hog]]:
    """Two pods, each with a thread that can fork, on different cores in one group."""
    containers, hogs = [], []
    for number in (1, 2):
        reserve(node, number, name=f"ctl{number}")
        assert group_of(node, number) == 0
        containers.append(make_container(kubepods, number))
        hogs.append(start_hog("fork", f"ctl{number}", cgroup=containers[-1]))
    eventually(lambda: all(is_enforced(groups, hog.pid) for hog in hogs))
    assert all(policy(hog.pid) == FIFO for hog in hogs)
    return containers, hogs


def _remove_as_kubelet_does(container: Path) -> None:
    """The container's and the pod's cgroups: nothing of ours may hold them up."""
    twin = OTHER / container.relative_to(CPU)
    for path in (container, container.parent, twin, twin.parent):
        eventually(partial(is_removed, path))


def _free() -> Fraction:
    """What the kernel has left for groups at the top of the hierarchy."""
    held = Fraction(0)
    for path in CPU.iterdir():
        if path.is_dir():
            runtime = int((path / "cpu.rt_runtime_us").read_text())
            held += Fraction(max(0, runtime), int((path / "cpu.rt_period_us").read_text()))
    return Fraction(95, 100) - held

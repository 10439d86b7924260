"""Budgets that grow, threads that leave, groups that go."""

import errno
import os
from fractions import Fraction
from pathlib import Path

import pytest

from daemons.rubicante.book.entry import Phase
from daemons.rubicante.enforcement.conditions import Trouble
from k40s.criticality import Criticality
from k40s.errors import KernelError
from tests.fakes.rubicante.kernel import CPU, FIFO
from tests.fakes.rubicante.world import World, pod, task, uid


def test_a_neighbours_budget_grows_in_place_and_its_band_moves(world: World) -> None:
    world.reserve(1, task("a", wcet_ms=2))
    tid = world.system.spawn(world.container(1), "a")
    world.look()
    before = world.system.budget(world.group(1)), world.system.threads[tid].priority

    world.reserve(2, task("b", wcet_ms=2), criticality=Criticality.HI)
    world.look()

    held = world.book.find(uid(1)).reservations[0]
    budget, period = world.system.budget(world.group(1))
    assert budget * 1000 == held.server.budget
    assert (period, budget > before[0][0]) == (before[0][1], True)
    assert world.system.threads[tid].priority == held.priorities[0] < before[1]


def test_a_dead_thread_is_no_failure(world: World) -> None:
    world.reserve()
    world.system.spawn(world.container(), "ctl")
    world.system.refuse["set_affinity"] = [ProcessLookupError(errno.ESRCH, "gone")]

    world.look()

    assert world.metric("k40s_rubicante_enforcement_failures_total") == 0
    assert world.metric("k40s_rubicante_tasks", {"state": "enforced"}) == 0


def test_a_kernel_that_refuses_is_asked_again_and_hinders_no_other_pod(world: World) -> None:
    world.reserve(1)
    world.reserve(2)
    tids = [world.system.spawn(world.container(n, id_=n), "ctl") for n in (1, 2)]
    world.system.refuse["set_affinity"] = [OSError(errno.EINVAL, "not in its cpuset")]

    world.look()
    first = [world.system.threads[t].policy for t in tids]
    world.look()

    assert sorted(first) == [os.SCHED_OTHER, FIFO]
    assert [world.system.threads[t].policy for t in tids] == [FIFO, FIFO]
    assert world.metric("k40s_rubicante_enforcement_failures_total") == 1


def test_a_pod_that_cannot_be_read_hinders_no_other_pod(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    tids = []
    for number in (1, 2):
        world.reserve(number)
        tids.append(world.system.spawn(world.container(number, id_=number), "ctl"))
    pod_1, directories = world.container(1).parent, world.system.directories

    def fail_for_pod_1(path: Path) -> tuple[str, ...]:
        if path == pod_1:
            raise OSError(errno.EIO, "broken")
        return directories(path)

    with monkeypatch.context() as patch:
        patch.setattr(world.system, "directories", fail_for_pod_1)
        delay = world.look()
    first = [world.system.threads[tid].policy for tid in tids]
    world.seconds += 1.1
    world.enforcer.look()

    assert delay > 0
    assert first == [os.SCHED_OTHER, FIFO]
    assert [world.system.threads[tid].policy for tid in tids] == [FIFO, FIFO]


def test_release_gives_back_every_microsecond(world: World) -> None:
    world.reserve()
    cgroup = world.container()
    tid = world.system.spawn(cgroup, "ctl")
    world.look()

    world.pods.upsert(pod(1, node="edge-1"))
    world.pods.delete(uid(1))
    world.look()

    thread = world.system.threads[tid]
    assert (thread.cgroup, thread.policy, thread.affinity) == (cgroup, os.SCHED_OTHER, {0, 1})
    assert world.group() not in world.system.groups
    assert world.system.admitted() == 0
    assert world.book.find(uid(1)) is None
    assert world.book.node().utilization(1) == 0


def test_a_pod_that_was_released_between_two_looks_leaves_nothing_to_look_at(
    world: World,
) -> None:
    world.look()
    world.reserve()
    world.reservations.release(uid(1))

    assert world.look() > 0


def test_a_pod_that_comes_again_between_two_looks_is_enforced_at_once(world: World) -> None:
    world.reserve()
    tid = world.system.spawn(world.container(), "ctl")
    world.look()
    world.reservations.release(uid(1))
    world.reserve()

    world.enforcer.look()

    assert world.system.threads[tid].policy == FIFO


def test_a_thread_without_a_home_keeps_no_budget(world: World) -> None:
    world.reserve()
    tid = world.system.spawn(world.container(), "ctl")
    world.look()
    restarted = world.restarted()
    restarted.pods.delete(uid(1))

    restarted.look()

    assert world.system.threads[tid].policy == os.SCHED_OTHER
    assert world.system.admitted() == 0
    assert restarted.book.find(uid(1)) is None
    world.system.kill(tid)
    restarted.enforcer.sweep()
    assert world.group() not in world.system.groups


def test_a_release_that_the_kernel_hinders_is_tried_again(world: World) -> None:
    world.reserve()
    world.system.spawn(world.container(), "ctl")
    world.look()
    world.pods.delete(uid(1))
    world.system.refuse["set_policy"] = [PermissionError(errno.EPERM, "no")]

    world.look()
    between = world.book.find(uid(1))
    world.look()

    assert between is not None
    assert between.phase is Phase.RELEASING
    assert world.book.find(uid(1)) is None
    assert world.system.admitted() == 0


def _shown(cgroup: Path) -> str:
    return "/" + str(cgroup.relative_to(CPU))


def test_a_leaving_pod_whose_tree_cannot_be_read_hinders_no_other_and_is_told(
    world: World,
) -> None:
    world.reserve(1)
    cgroup = world.container(1)
    tid = world.system.spawn(cgroup, "ctl", other_cgroup=_shown(cgroup))
    world.look()
    world.reserve(2)
    other = world.system.spawn(world.container(2), "ctl")
    world.book.confirm(uid(1))
    world.book.start_release(uid(1))
    world.system.refuse["directories"] = [OSError(errno.EIO, "broken", "/cg/x")]

    world.look()

    assert world.system.threads[other].policy == FIFO
    (condition,) = world.enforcer.conditions()
    assert (condition.pod_uid, condition.trouble) == (uid(1), Trouble.NOT_RELEASED)
    assert "broken: '/cg/x'" in condition.detail
    world.seconds += 1
    world.look()
    assert world.system.threads[tid].cgroup == cgroup
    assert world.book.find(uid(1)) is None


def test_a_stray_whose_tree_cannot_be_read_is_told_and_hinders_no_other(world: World) -> None:
    cgroup = world.container(7)
    for number in (7, 8):
        group = world.system.make_groups(world.group(number))
        world.system.spawn(group, "left", other_cgroup=_shown(cgroup))
    world.system.on_read = lambda path: _break_once(world, path)

    strays = world.enforcer.sweep()

    assert [bool(stray.cause) for stray in strays] == [True, False]


def _break_once(world: World, path: Path) -> None:
    """The look at the tree that comes after the first thread was read."""
    if path.name == "cgroup":
        world.system.refuse["directories"] = [OSError(errno.EIO, "broken")]
        world.system.on_read = lambda _: None


def test_after_a_restart_threads_are_recognised_by_their_other_cgroups(world: World) -> None:
    world.reserve()
    cgroup = world.container()
    path = "/" + str(cgroup.relative_to(CPU))
    tid = world.system.spawn(cgroup, "python3", inner_pid=1, other_cgroup=path)
    world.report_status()
    world.look_when_started()
    restarted = world.restarted()
    world.system.calls.clear()

    restarted.look()

    assert restarted.enforcer.threads(uid(1)) == {("main", "ctl"): tid}
    assert world.system.calls == []


def test_a_group_of_another_period_is_made_anew(world: World) -> None:
    world.reserve()
    tid = world.system.spawn(world.container(), "ctl")
    world.look()
    wanted = world.system.budget(world.group())
    world.system.groups[world.group()].period = 500_000

    world.look()

    assert world.system.budget(world.group()) == wanted
    assert world.system.threads[tid].cgroup == world.group()


def test_sweep_leaves_foreign_groups_alone(world: World) -> None:
    foreign = [
        world.system.make_groups(CPU / name)
        for name in ("rt-test", "rt-test-x", f"other-{uid(1)}-0", f"rt-test-more-{uid(1)}-0")
    ]
    orphan = world.system.make_groups(world.group(9, 0))

    found = world.enforcer.sweep()

    assert [stray.what for stray in found] == [orphan.name]
    assert orphan not in world.system.groups
    assert all(path in world.system.groups for path in foreign)


def test_a_refused_claim_leaves_no_group_and_no_entry(world: World) -> None:
    world.server.add(pod(1, containers=("one", "two")))
    world.system.groups[CPU / "foreign"] = type(world.system.groups[CPU])(runtime=900_000)

    with pytest.raises(KernelError, match="more than the parent has"):
        world.reserve(1, task("a", container="one"), task("b", container="two"))

    assert world.book.entries() == ()
    assert world.book.generation == 0
    assert world.system.admitted() == Fraction(9, 10)


def test_a_removed_group_that_still_counts_is_waited_for(world: World) -> None:
    world.system.lingering = [Fraction(95, 100)] * 5

    world.reserve()

    assert world.seconds == pytest.approx(0.025)
    assert world.system.admitted() > 0


def test_says_which_directories_to_watch(world: World) -> None:
    world.reserve()
    world.look()
    nothing = world.enforcer.watched()
    burstable = world.system.make_groups(CPU / "k8s/kubepods/burstable")
    world.look()
    parents = world.enforcer.watched()
    cgroup = world.container()
    world.look()

    assert nothing == {CPU}
    assert parents == {CPU, *burstable.parents[:2], burstable}
    assert world.enforcer.watched() == {cgroup.parent, cgroup}


def test_another_contract_before_binding_may_take_another_period(world: World) -> None:
    world.reserve(1, task(wcet_ms=1))
    world.reserve(2, task(wcet_ms=1))
    tid = world.system.spawn(world.container(), "ctl")
    world.look()
    before = world.system.budget(world.group())

    world.reserve(1, task(wcet_ms=2))
    world.look()
    world.seconds += 0.4
    world.look()

    after = world.system.budget(world.group())
    assert after[1] != before[1]
    assert (world.system.threads[tid].cgroup, world.system.threads[tid].policy) == (
        world.group(),
        FIFO,
    )

"""Budgets in the containers' own cgroups: who gets what, and what is given back."""

import os
from pathlib import Path

import pytest

from k40s.cpu.analysis.deferrable_server import least_ancestor_budget
from k40s.errors import KernelError
from tests.fakes.rubicante.api_server import NODE
from tests.fakes.rubicante.containers import KUBEPODS, ContainerWorld, budgets, container_world
from tests.fakes.rubicante.grants import HandMade, grant
from tests.fakes.rubicante.kernel import CPU, FIFO, Group
from tests.fakes.rubicante.world import container_id, pod, task, uid

TOP = [Path("k8s"), Path("k8s/kubepods")]
SECOND = 1_000_000
TICK = 4_000


def above(*servers: tuple[int, int]) -> tuple[int, int]:
    return least_ancestor_budget(servers, SECOND, TICK), SECOND


def run(world: ContainerWorld, number: int, name: str = "ctl", *, id_: int = 0) -> int:
    cgroup = world.container(number, id_=id_ or number)
    return world.system.spawn(cgroup, name, other_cgroup="/" + str(cgroup.relative_to(CPU)))


def one_pod() -> tuple[ContainerWorld, int, Path]:
    """Pod 1 with (30, 100) ms, its thread enforced."""
    world = container_world(admit=HandMade(grant(1, group=None)))
    world.reserve(1)
    tid = run(world, 1)
    world.look()
    return world, tid, world.system.threads[tid].cgroup


def end(world: ContainerWorld, number: int = 1) -> None:
    world.pods.delete(uid(number))
    world.look()


def test_the_kernel_agrees_before_there_is_a_pod() -> None:
    world = container_world(admit=HandMade(grant(1, group=None)))

    world.reserve(1)

    assert budgets(world) == dict.fromkeys(TOP, above((30_000, 100_000)))


def test_the_thread_stays_in_its_cgroup_which_gets_the_budget() -> None:
    world, tid, cgroup = one_pod()

    thread = world.system.threads[tid]
    assert (thread.policy, thread.priority, thread.affinity) == (FIFO, 90, {1})
    assert thread.cgroup == cgroup
    levels = [*TOP, Path("k8s/kubepods/burstable"), cgroup.parent.relative_to(CPU)]
    assert budgets(world) == {
        **dict.fromkeys(levels, above((30_000, 100_000))),
        cgroup.relative_to(CPU): (30_000, 100_000),
    }
    assert world.enforcer.threads(uid(1)) == {("main", "ctl"): tid}


def test_parents_come_first_and_the_thread_is_pinned_before_it_is_real_time() -> None:
    world, tid, cgroup = one_pod()

    written = [call[1] for call in world.system.calls if call[0] == "write"]
    runtimes = [path.parent for path in written if path.name == "cpu.rt_runtime_us"]
    assert runtimes == [CPU / "k8s", KUBEPODS, KUBEPODS / "burstable", cgroup.parent, cgroup]
    last = [call[0] for call in world.system.calls if tid in call[1:]]
    assert last == ["set_affinity", "set_policy"]


def test_a_second_look_writes_nothing() -> None:
    world, _, _ = one_pod()
    world.system.calls.clear()

    world.look()

    assert world.system.calls == []


def test_two_containers_of_a_pod_have_one_each() -> None:
    granted = (grant(1, group=None), grant(1, "two", group=None, container="side", highest=80))
    world = container_world(admit=HandMade(*granted))
    world.reserve(1, task(), task("two", container="side"))
    tids = [run(world, 1, "ctl", id_=1), run(world, 1, "two", id_=2)]
    ids = {"main": container_id(1), "side": container_id(2)}
    world.pods.upsert(pod(1, node=NODE, containers=("main", "side"), container_ids=ids))

    world.look()

    held = budgets(world)
    server = (30_000, 100_000)
    pod_group = world.system.threads[tids[0]].cgroup.parent
    assert held[pod_group.relative_to(CPU)] == above(server, server)
    for tid in tids:
        assert world.system.threads[tid].policy == FIFO
        assert held[world.system.threads[tid].cgroup.relative_to(CPU)] == server


def test_a_thread_that_made_itself_real_time_becomes_ordinary_again() -> None:
    world, tid, cgroup = one_pod()
    other = world.system.spawn(cgroup, "wild")
    world.system.set_policy(other, os.SCHED_FIFO, 99)

    world.look()

    assert world.system.threads[other].policy == os.SCHED_OTHER
    assert world.system.threads[tid].policy == FIFO


def test_the_leaf_goes_first_and_what_is_above_after_a_period_of_it() -> None:
    world, tid, cgroup = one_pod()

    end(world)

    assert world.system.threads[tid].policy == os.SCHED_OTHER
    assert world.system.threads[tid].affinity == {0, 1}
    assert world.system.budget(cgroup)[0] == 0
    assert world.system.budget(KUBEPODS) == above((30_000, 100_000))
    assert world.book.find(uid(1)) is not None
    world.seconds += 1.2
    world.look()
    assert budgets(world) == {}
    assert world.book.find(uid(1)) is None


def test_the_neighbours_share_stays_when_one_goes() -> None:
    world = container_world(admit=HandMade(grant(1, group=None), grant(2, group=None, highest=80)))
    world.reserve(1)
    world.reserve(2)
    run(world, 1)
    neighbour = run(world, 2)
    world.look()
    assert world.system.budget(KUBEPODS)[0] == 2 * above((30_000, 100_000))[0]

    end(world)
    world.seconds += 1.2
    world.look()

    held = budgets(world)
    assert world.system.threads[neighbour].policy == FIFO
    assert held.pop(world.system.threads[neighbour].cgroup.relative_to(CPU)) == (30_000, 100_000)
    assert set(held.values()) == {above((30_000, 100_000))}


def test_what_no_thread_has_used_is_given_back_at_once() -> None:
    world = container_world(admit=HandMade(grant(1, group=None)))
    world.reserve(1)

    assert world.reservations.release(uid(1))

    assert budgets(world) == {}
    assert world.book.find(uid(1)) is None


def test_the_pod_may_be_gone_before_it_is_released() -> None:
    world, tid, cgroup = one_pod()
    world.system.kill(tid)
    for path in (cgroup, cgroup.parent):
        world.system.remove_directory(path)

    end(world)
    world.seconds += 1.2
    world.look()

    assert budgets(world) == {}


def test_a_newcomer_does_not_pay_for_a_pod_of_its_class_that_has_just_gone() -> None:
    world = container_world(admit=HandMade(grant(1, group=None), grant(2, group=None, highest=80)))
    world.reserve(1)
    tid = run(world, 1)
    world.look()
    cgroup = world.system.threads[tid].cgroup
    world.system.kill(tid)
    for path in (cgroup, cgroup.parent):
        world.system.remove_directory(path)
    end(world)

    world.reserve(2)
    run(world, 2)
    world.look()

    server = (30_000, 100_000)
    assert world.system.budget(KUBEPODS / "burstable") == above(server, server)


def test_a_new_process_leaves_everything_as_it_is() -> None:
    world, tid, _ = one_pod()
    before = budgets(world)
    world.system.calls.clear()

    world = world.again()
    world.look()

    assert world.system.calls == []
    assert budgets(world) == before
    assert world.enforcer.threads(uid(1)) == {("main", "ctl"): tid}


def test_a_live_budget_grows_when_its_turn_has_come_and_its_ancestors_first() -> None:
    granting = HandMade(grant(1, group=None), grant(2, group=None, highest=95))
    world = container_world(admit=granting)
    world.reserve(1)
    tid = run(world, 1)
    world.look()
    granting.others[uid(1)] = grant(1, group=None, budget_ms=35)
    world.reserve(2)
    cgroup = world.system.threads[tid].cgroup

    world.seconds += 1.0
    world.look()

    assert world.system.budget(cgroup) == (35_000, 100_000)
    assert world.system.threads[tid].policy == FIFO
    assert world.system.budget(cgroup.parent) == above((35_000, 100_000))


def test_the_kernel_also_agrees_to_what_others_have_to_grow() -> None:
    granting = HandMade(grant(1, group=None), grant(2, group=None, highest=95))
    world = container_world(admit=granting)
    world.reserve(1)
    granting.others[uid(1)] = grant(1, group=None, budget_ms=35)

    world.reserve(2)

    assert world.system.budget(KUBEPODS) == above((35_000, 100_000), (30_000, 100_000))


def test_after_a_restart_a_live_container_that_has_to_grow_keeps_newcomers_out() -> None:
    granting = HandMade(grant(1, group=None), grant(2, group=None, highest=95))
    world = container_world(admit=granting)
    world.reserve(1)
    tid = run(world, 1)
    world.look()
    granting.others[uid(1)] = grant(1, group=None, budget_ms=35)
    world.reserve(2)
    newcomer = run(world, 2)
    world = world.again()
    world.seconds += 1.0

    world.look()

    assert world.system.budget(world.system.threads[tid].cgroup) == (30_000, 100_000)
    assert world.system.threads[newcomer].policy == os.SCHED_OTHER
    world.seconds += 1.0
    world.look()
    assert world.system.budget(world.system.threads[tid].cgroup) == (35_000, 100_000)
    assert world.system.threads[newcomer].policy == os.SCHED_OTHER
    world.seconds += 1.0
    world.look()
    assert world.system.threads[newcomer].policy == FIFO


def test_more_than_the_book_grants_is_taken_back_through_an_empty_group() -> None:
    world, tid, cgroup = one_pod()
    world.system.groups[cgroup].runtime = 34_000
    world.system.calls.clear()

    world.look()
    assert world.system.threads[tid].policy == os.SCHED_OTHER
    world.seconds += 0.2
    world.look()

    assert world.system.budget(cgroup) == (30_000, 100_000)
    policies = [call[2] for call in world.system.calls if call[0] == "set_policy"]
    assert policies == [os.SCHED_OTHER, FIFO]
    assert world.system.threads[tid].affinity == {1}


def test_a_container_that_starts_again_gets_a_budget_when_the_former_would_be_refilled() -> None:
    world, tid, cgroup = one_pod()
    world.system.kill(tid)
    world.system.remove_directory(cgroup)

    again = run(world, 1, id_=7)
    world.report_status(1, id_=7)
    world.look()
    world.seconds += 0.19
    world.look()
    assert world.system.threads[again].policy == os.SCHED_OTHER
    world.seconds += 0.02
    world.look()

    assert world.system.threads[again].policy == FIFO
    assert world.system.budget(world.system.threads[again].cgroup) == (30_000, 100_000)


def test_a_class_that_kubelet_made_anew_gets_its_budget_again() -> None:
    world, _, cgroup = one_pod()
    for path in (cgroup, cgroup.parent, KUBEPODS / "burstable"):
        world.system.groups[path].runtime = 0

    world.look()

    assert world.system.budget(KUBEPODS / "burstable") == above((30_000, 100_000))
    assert world.system.budget(cgroup) == (30_000, 100_000)


def test_budgets_of_others_are_counted_and_told_and_not_touched() -> None:
    world = container_world(admit=HandMade(grant(1, group=None)))
    for path, runtime in (
        (CPU / "k8s", 300_000),
        (KUBEPODS, 300_000),
        (KUBEPODS / f"pod{uid(9)}", 100_000),
    ):
        world.system.groups[path] = Group(runtime=runtime)

    world.reserve(1)
    run(world, 1)
    world.look()

    foreign = least_ancestor_budget([(100_000, SECOND)], SECOND, TICK)
    assert world.rt.foreign() == {f"k8s/kubepods/pod{uid(9)}": pytest.approx(foreign / SECOND)}
    assert world.system.budget(KUBEPODS)[0] == foreign + above((30_000, 100_000))[0]
    end(world)
    world.seconds += 1.2
    world.look()
    assert world.system.budget(KUBEPODS / f"pod{uid(9)}") == (100_000, SECOND)
    assert world.system.budget(KUBEPODS)[0] == foreign


def test_a_budget_of_another_container_of_the_pod_outlives_the_reservation() -> None:
    world, _, cgroup = one_pod()
    side = world.container(1, id_=5)
    world.system.groups[side].runtime = 20_000
    foreign = least_ancestor_budget([(20_000, SECOND)], SECOND, TICK)

    world.enforcer.sweep()
    world.look()

    assert world.rt.foreign() == {str(side.relative_to(CPU)): pytest.approx(foreign / SECOND)}
    assert world.system.budget(cgroup.parent)[0] == foreign + above((30_000, 100_000))[0]
    end(world)
    world.seconds += 1.2
    world.look()
    assert world.system.budget(side) == (20_000, SECOND)
    assert world.system.budget(cgroup.parent)[0] == foreign
    assert world.book.find(uid(1)) is None


def test_what_others_gave_up_is_not_taken_from_those_above_within_the_second() -> None:
    world = container_world(admit=HandMade(grant(1, group=None), grant(2, group=None, highest=80)))
    foreign = KUBEPODS / f"pod{uid(9)}"
    for path, runtime in ((CPU / "k8s", 200_000), (KUBEPODS, 200_000), (foreign, 100_000)):
        world.system.groups[path] = Group(runtime=runtime)
    world.reserve(1)
    run(world, 1)
    world.look()
    world.reserve(2)
    before = world.system.budget(KUBEPODS)

    world.system.groups[foreign].runtime = 0
    world.reservations.release(uid(2))
    world.look()

    assert world.system.budget(KUBEPODS) == before
    world.seconds += 1.2
    world.look()
    assert world.system.budget(KUBEPODS) == above((30_000, 100_000))


def test_what_is_above_in_another_period_is_somebody_elses() -> None:
    world = container_world(admit=HandMade(grant(1, group=None)))
    world.system.groups[CPU / "k8s"] = Group(runtime=100_000, period=500_000)

    with pytest.raises(KernelError, match="k8s has a budget in 500000us"):
        world.reserve(1)

    assert world.book.entries() == ()


def test_without_kubepods_nothing_is_reserved() -> None:
    world = container_world(admit=HandMade(grant(1, group=None)))
    for path in (KUBEPODS / "burstable", KUBEPODS / "besteffort", KUBEPODS):
        world.system.remove_directory(path)

    with pytest.raises(KernelError, match="kubepods"):
        world.reserve(1)


def test_a_thread_in_a_cgroup_below_its_containers_is_refused() -> None:
    world = container_world(admit=HandMade(grant(1, group=None)))
    world.reserve(1)
    inner = world.system.make_groups(world.container(1) / "inner")
    world.system.spawn(inner, "ctl", other_cgroup="/" + str(inner.relative_to(CPU)))

    world.look()

    (condition,) = world.enforcer.conditions()
    assert "not in its container's own cgroup" in condition.detail


def test_of_a_containers_reservations_on_two_cores_one_is_served_and_the_other_told() -> None:
    on_two = (grant(1, group=None), grant(1, "two", group=None, core=0, budget_ms=10))
    world = container_world(admit=HandMade(*on_two))
    world.reserve(1, task(), task("two"))
    tid = run(world, 1)
    cgroup = world.system.threads[tid].cgroup
    other = world.system.spawn(cgroup, "two", pid=tid)

    for _ in range(2):
        world.look()
        world.seconds += 1.0

    (condition,) = world.enforcer.conditions()
    assert "serves another reservation" in condition.detail
    assert world.system.budget(cgroup) == (30_000, 100_000)
    policies = [world.system.threads[each].policy for each in (tid, other)]
    assert policies == [FIFO, os.SCHED_OTHER]


def test_what_a_former_process_left_above_is_taken_back() -> None:
    world, tid, cgroup = one_pod()
    end(world)
    world.store.texts.clear()
    world.system.kill(tid)
    for path in (cgroup, cgroup.parent):
        world.system.groups[path].runtime = 0
        world.system.remove_directory(path)
    world = world.again()

    world.enforcer.sweep()
    assert budgets(world)
    world.seconds += 1.2
    (stray,) = world.enforcer.sweep()

    assert (stray.what, stray.idle) == ("budgets above containers", True)
    assert budgets(world) == {}


def test_groups_of_another_setting_are_emptied_and_removed() -> None:
    world, tid, cgroup = one_pod()
    left = CPU / "rt-test-shared-3"
    world.system.groups[left] = Group(runtime=10_000)
    other = world.system.spawn(left, "old", other_cgroup="/" + str(cgroup.relative_to(CPU)))
    world.system.set_policy(other, FIFO, 60)

    world.enforcer.sweep()

    assert left not in world.system.groups
    assert world.system.threads[other].cgroup == cgroup
    assert world.system.threads[other].policy == os.SCHED_OTHER
    assert world.system.threads[tid].policy == FIFO

"""Budget groups that serve reservations of several pods, on different cores."""

import errno
import os
from fractions import Fraction
from pathlib import Path

import pytest

from k40s.errors import KernelError
from k40s.reasons import Reason
from tests.fakes.rubicante.api_server import NODE
from tests.fakes.rubicante.grants import HandMade, grant
from tests.fakes.rubicante.kernel import CPU, FIFO, Group
from tests.fakes.rubicante.world import PREFIX, World, ask, container_id, pod, task, uid


def shared(number: int = 0) -> Path:
    return CPU / f"{PREFIX}-shared-{number}"


def run(world: World, number: int, name: str = "ctl") -> int:
    """A thread of that pod, in all hierarchies where a container's is."""
    cgroup = world.container(number, id_=number)
    return world.system.spawn(cgroup, name, other_cgroup="/" + str(cgroup.relative_to(CPU)))


def two_pods() -> tuple[World, int, int]:
    """Pods 1 and 2 in group 0, on the cores 0 and 1, their threads enforced."""
    world = World(admit=HandMade(grant(1, core=0), grant(2, core=1)))
    world.reserve(1)
    world.reserve(2)
    first, second = run(world, 1), run(world, 2)
    world.look()
    return world, first, second


def is_enforced(world: World, tid: int, core: int) -> bool:
    thread = world.system.threads[tid]
    return (thread.cgroup, thread.policy, thread.affinity) == (shared(), FIFO, {core})


def is_home(world: World, tid: int) -> bool:
    thread = world.system.threads[tid]
    own = "/" + str(thread.cgroup.relative_to(CPU)) == thread.other_cgroup
    return own and (thread.policy, thread.affinity) == (os.SCHED_OTHER, {0, 1})


def test_threads_on_two_cores_share_one_group_that_counts_once() -> None:
    world, first, second = two_pods()

    assert is_enforced(world, first, 0)
    assert is_enforced(world, second, 1)
    assert world.system.admitted() == Fraction(30, 100)


def test_a_child_goes_home_and_the_other_pods_thread_stays() -> None:
    world, first, second = two_pods()

    child = world.system.fork(first, "ctl")
    world.look()

    assert is_home(world, child)
    assert is_enforced(world, first, 0)
    assert is_enforced(world, second, 1)


def test_the_group_goes_with_its_last_pod() -> None:
    world, first, second = two_pods()

    world.pods.delete(uid(1))
    world.look()
    between = is_home(world, first), is_enforced(world, second, 1), world.book.find(uid(1))
    world.pods.delete(uid(2))
    world.look()

    assert between == (True, True, None)
    assert shared() not in world.system.groups
    assert is_home(world, second)


def test_a_new_process_finds_everyone_where_they_are_and_writes_nothing() -> None:
    world, first, second = two_pods()
    restarted = world.restarted()
    world.system.calls.clear()

    restarted.look()

    assert world.system.calls == []
    assert restarted.enforcer.sweep() == ()
    assert restarted.enforcer.threads(uid(1)) == {("main", "ctl"): first}
    assert restarted.enforcer.threads(uid(2)) == {("main", "ctl"): second}


def test_a_new_process_tells_threads_that_show_no_home_by_their_cores() -> None:
    world, first, second = two_pods()
    for tid in (first, second):
        world.system.threads[tid].other_cgroup = "/"
        world.system.spawn(world.container(tid - first + 1, id_=tid - first + 1), "python3")
    restarted = world.restarted()

    restarted.look()

    assert restarted.enforcer.threads(uid(1)) == {("main", "ctl"): first}
    assert restarted.enforcer.threads(uid(2)) == {("main", "ctl"): second}
    assert restarted.enforcer.sweep() == ()


def test_a_restarted_container_is_enforced_anew_beside_the_other_pod() -> None:
    world, first, second = two_pods()
    world.system.kill(first)
    del world.system.groups[world.container(1, id_=1)]
    cgroup = world.container(1, id_=11)
    world.look()

    again = world.system.spawn(cgroup, "ctl", other_cgroup="/" + str(cgroup.relative_to(CPU)))
    world.look()

    assert is_enforced(world, again, 0)
    assert is_enforced(world, second, 1)


def test_a_thread_that_nobody_reserved_for_is_expelled_from_a_shared_group() -> None:
    world, first, _ = two_pods()
    cgroup = world.container(9, id_=9)
    stranger = world.system.spawn(shared(), "x", other_cgroup="/" + str(cgroup.relative_to(CPU)))

    (stray,) = world.enforcer.sweep()

    assert stray.what == f"thread {stranger} in {shared().name}"
    assert world.system.threads[stranger].cgroup == cgroup
    assert is_enforced(world, first, 0)


def test_a_shared_group_without_any_reservation_is_swept() -> None:
    world = World(admit=HandMade())
    left = world.system.make_groups(shared(7))
    world.system.groups[left].runtime = 50_000
    similar = world.system.make_groups(CPU / f"{PREFIX}-shared-x")

    (stray,) = world.enforcer.sweep()

    assert (stray.what, stray.idle) == (left.name, True)
    assert left not in world.system.groups
    assert similar in world.system.groups


def test_a_number_is_used_again_although_an_ordinary_thread_stayed_inside() -> None:
    world = World(admit=HandMade(grant(2, period_ms=50, budget_ms=10)))
    left = world.system.make_groups(shared())
    world.system.groups[left].runtime = 50_000
    world.system.spawn(left, "child")

    world.reserve(2)

    assert world.system.budget(shared()) == (10_000, 50_000)


def test_a_claim_that_the_kernel_refuses_leaves_other_pods_in_their_group() -> None:
    world, first, second = two_pods()
    admit = HandMade(grant(3, core=0, group=1), grant(3, "b", core=1, group=2, budget_ms=20))
    world.book._admit = admit  # noqa: SLF001  # the third pod is another test's plan
    world.system.groups[CPU / "foreign"] = Group(runtime=300_000)

    world.server.add(pod(3))
    with pytest.raises(KernelError):
        world.reserve(3)

    assert (is_enforced(world, first, 0), is_enforced(world, second, 1)) == (True, True)
    assert [p.name for p in world.system.groups if "-shared-" in p.name] == [shared().name]


def test_what_the_kernel_gives_beyond_the_book_is_taken_back() -> None:
    world, first, second = two_pods()
    world.system.groups[shared()].runtime += 10_000

    world.look()
    world.look()

    assert world.system.budget(shared()) == (30_000, 100_000)
    assert (is_enforced(world, first, 0), is_enforced(world, second, 1)) == (True, True)


def test_one_container_may_use_one_group_on_two_cores() -> None:
    world = World(admit=HandMade(grant(1, "a", core=0), grant(1, "b", core=1)))
    world.reserve(1, task("a"), task("b"))
    tids = [run(world, 1, name) for name in ("b", "a")]

    world.look()
    world.system.threads[tids[0]].affinity = frozenset({0})
    world.look()

    assert is_enforced(world, tids[0], 1)
    assert is_enforced(world, tids[1], 0)
    assert world.enforcer.threads(uid(1)) == {("main", "b"): tids[0], ("main", "a"): tids[1]}


def test_threads_that_exchange_their_names_exchange_their_cores() -> None:
    world = World(admit=HandMade(grant(1, "a", core=0), grant(1, "b", core=1, group=1)))
    world.reserve(1, task("a"), task("b"))
    one, other = run(world, 1, "a"), run(world, 1, "b")
    world.look()

    world.system.threads[one].name, world.system.threads[other].name = "b", "a"
    world.look()

    assert world.system.threads[one].cgroup == shared(1)
    assert (world.system.threads[one].affinity, world.system.threads[one].policy) == ({1}, FIFO)
    assert is_enforced(world, other, 0)


def test_the_main_thread_stands_in_only_where_the_container_has_one_task_in_all() -> None:
    world = World(admit=HandMade(grant(1, "a", core=0), grant(1, "b", core=1)))
    world.reserve(1, task("a"), task("b"))
    main = world.system.spawn(world.container(), "python3", inner_pid=1)
    world.report_status()

    world.look_when_started()

    assert world.system.threads[main].policy == os.SCHED_OTHER


def test_a_group_that_grows_waits_for_its_core_and_a_newcomer_in_it_for_the_group() -> None:
    admit = HandMade(grant(1, core=0), grant(2, core=1, budget_ms=40))
    world = World(admit=admit)
    world.reserve(1)
    running = run(world, 1)
    world.look()
    admit.others = {uid(1): grant(1, core=0, budget_ms=40)}
    world.restarted()  # a moment ago, so that the core is not calm
    restarted = world.restarted()
    restarted.reserve(2)
    newcomer = run(restarted, 2)

    restarted.look()
    early = world.system.budget(shared())[0], world.system.threads[newcomer].policy
    restarted.seconds += 0.3
    restarted.look()

    assert early == (30_000, os.SCHED_OTHER)
    assert world.system.budget(shared())[0] == 40_000
    assert is_enforced(world, running, 0)
    assert is_enforced(world, newcomer, 1)


def test_a_failure_of_one_reservation_hinders_no_other_of_the_pod() -> None:
    world = World(admit=HandMade(grant(1, "a", core=0), grant(1, "b", core=1, group=1)))
    world.reserve(1, task("a"), task("b"))
    first, second = run(world, 1, "a"), run(world, 1, "b")
    world.system.refuse["set_policy"] = [PermissionError(errno.EPERM, "no")]

    world.look()

    assert world.system.threads[first].policy == os.SCHED_OTHER
    assert world.system.threads[second].policy == FIFO
    (condition,) = world.enforcer.conditions()
    assert (condition.trouble, condition.tasks) == ("refused-by-kernel", ("a",))
    world.look()
    assert is_enforced(world, first, 0)
    assert world.enforcer.conditions() == ()


def test_a_mechanism_that_the_node_lacks_is_refused_by_name() -> None:
    world = World(admit=HandMade(grant(1, deadline=True)))
    world.server.add(pod(1))

    answer, _ = world.reservations.reserve(ask(1))

    assert answer.reason is Reason.CPU_KERNEL_REFUSED
    assert "does not enforce by deadline" in answer.detail
    assert world.book.entries() == ()


@pytest.mark.parametrize(
    ("seconds", "name", "ids", "expected"),
    [
        (5, "python3", {"main": container_id(1)}, []),
        (11, "python3", {"main": container_id(1)}, [("thread-missing", ("a", "b"))]),
        (11, "a", {"main": container_id(1)}, [("thread-missing", ("b",))]),
        (11, "runc:[2:INIT]", {}, [("container-unknown", ("a", "b"))]),
    ],
)
def test_what_stays_missing_is_told(
    seconds: float, name: str, ids: dict[str, str], expected: list[tuple[str, tuple[str, ...]]]
) -> None:
    world = World(admit=HandMade(grant(1, "a", "b")))
    world.reserve(1, task("a"), task("b"))
    run(world, 1, name)
    world.pods.upsert(pod(1, node=NODE, container_ids=ids))
    world.look()
    world.seconds += seconds

    world.look()

    assert [(c.trouble, c.tasks) for c in world.enforcer.conditions()] == expected


def test_a_process_that_becomes_another_pods_is_that_pods() -> None:
    world = World(admit=HandMade(grant(1), grant(2)))
    world.reserve(1)
    tid = world.system.spawn(world.container(1, id_=1), "ctl")
    world.look()
    world.pods.delete(uid(1))
    world.look()
    world.reserve(2)
    cgroup = world.container(2, id_=2)
    world.system.write(cgroup / "tasks", str(tid))
    world.look()

    world.pods.delete(uid(2))
    world.look()

    assert world.system.threads[tid].cgroup == cgroup
    assert shared() not in world.system.groups

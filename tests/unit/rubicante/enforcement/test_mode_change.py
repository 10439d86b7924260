"""A core whose threads run is changed one step at a time (docs/theory.md)."""

import errno
import os

import pytest

from daemons.rubicante.enforcement.mode_change import change_priorities
from k40s.criticality import Criticality
from tests.fakes.rubicante.grants import HandMade, grant
from tests.fakes.rubicante.kernel import FIFO
from tests.fakes.rubicante.world import World, pod, task, uid

PATIENCE = 0.4
"""The longest server period and the longest deadline here."""


def run(world: World, number: int, name: str) -> int:
    return world.system.spawn(world.container(number, id_=number), name)


def grown(world: World, *numbers: int) -> list[bool]:
    """Whether each pod's group has what the book grants."""
    return [
        world.system.budget(world.group(n))[0] * 1000
        == world.book.find(uid(n)).reservations[0].server.budget
        for n in numbers
    ]


def crowded() -> tuple[World, list[int]]:
    """Two pods run, the first in the lowest band; a more urgent one makes both grow."""
    one = {"core": 1, "group": None, "period_ms": 200, "highest": 90}
    two = {"core": 1, "group": None, "period_ms": 100, "highest": 91}
    admit = HandMade(
        grant(1, "a", **one, budget_ms=20),
        grant(2, "b", **two, budget_ms=10),
        grant(3, "c", core=1, group=None, budget_ms=10, highest=92),
    )
    world = World(admit=admit)
    for number, name, period in ((1, "a", 200), (2, "b", 100)):
        world.reserve(number, task(name, period_ms=period))
        run(world, number, name)
        for _ in range(3):
            world.look()
            world.seconds += 1
    admit.others = {
        uid(1): grant(1, "a", **one, budget_ms=24),
        uid(2): grant(2, "b", **two, budget_ms=12),
    }
    world.reserve(3, task("c"), criticality=Criticality.HI)
    newcomer = run(world, 3, "c")
    assert grown(world, 1, 2, 3) == [False, False, True]
    return world, [*world.system.threads.keys() - {newcomer}, newcomer]


def test_servers_grow_from_the_lowest_band_and_the_newcomer_waits_for_them() -> None:
    world, (*_, newcomer) = crowded()

    steps = []
    for _ in range(3):
        world.look()
        steps.append((grown(world, 1, 2), world.system.threads[newcomer].policy))
        world.seconds += PATIENCE + 0.01

    assert steps == [
        ([True, False], os.SCHED_OTHER),
        ([True, True], os.SCHED_OTHER),
        ([True, True], FIFO),
    ]


def test_no_step_is_taken_before_the_jobs_of_the_last_one_have_ended() -> None:
    world, (*_, newcomer) = crowded()
    world.look()
    world.seconds += PATIENCE - 0.01
    early = world.look(), grown(world, 1, 2)
    world.seconds += 0.02
    world.look()
    world.seconds += PATIENCE - 0.01
    world.look()

    assert early == (pytest.approx(0.01), [True, False])
    assert grown(world, 1, 2) == [True, True]
    assert world.system.threads[newcomer].policy == os.SCHED_OTHER


def test_threads_that_run_stay_enforced_while_their_core_changes() -> None:
    world, (first, second, _) = crowded()
    world.look()

    world.system.threads[first].policy = os.SCHED_OTHER
    world.look()

    assert [world.system.threads[t].policy for t in (first, second)] == [FIFO, FIFO]


def test_a_newcomer_for_whom_nobody_grows_starts_at_once(world: World) -> None:
    world.reserve(1, task("a", wcet_ms=2))
    run(world, 1, "a")
    world.look()
    world.reserve(2, task("b", wcet_ms=2))
    newcomer = run(world, 2, "b")

    world.look()

    assert world.system.threads[newcomer].policy == FIFO


def test_a_server_that_cannot_grow_keeps_the_newcomer_out_until_it_can() -> None:
    world, (*_, newcomer) = crowded()
    world.system.refuse["write"] = [OSError(errno.EINVAL, "more than the parent has")]

    world.look()
    between = grown(world, 1, 2), world.metric("k40s_rubicante_enforcement_failures_total")
    for _ in range(3):
        world.seconds += PATIENCE + 0.01
        world.look()

    assert between == ([False, False], 1)
    assert grown(world, 1, 2) == [True, True]
    assert world.system.threads[newcomer].policy == FIFO


def test_a_new_process_goes_on_with_a_change_that_the_last_one_began() -> None:
    world, (*_, newcomer) = crowded()
    world.look()
    restarted = world.restarted()

    restarted.look()
    before = grown(restarted, 1, 2), world.system.threads[newcomer].policy
    restarted.seconds += PATIENCE + 0.01
    restarted.look()

    assert before == ([True, False], os.SCHED_OTHER)
    assert grown(restarted, 1, 2) == [True, True]
    assert world.system.threads[newcomer].policy == os.SCHED_OTHER
    restarted.seconds += PATIENCE + 0.01
    restarted.look()
    assert world.system.threads[newcomer].policy == FIFO


def test_a_pod_that_goes_need_not_be_waited_for() -> None:
    world, _ = crowded()
    world.pods.upsert(pod(3, node="edge-1"))

    world.pods.delete(uid(3))
    world.look()

    assert world.book.find(uid(3)) is None


def test_a_newcomer_waits_for_the_jobs_that_a_departed_pod_delayed(world: World) -> None:
    for number, name in ((1, "a"), (2, "b")):
        world.reserve(number, task(name, wcet_ms=2))
        run(world, number, name)
        world.look()
    world.pods.delete(uid(1))
    world.look()
    world.reserve(3, task("c", wcet_ms=2))
    newcomer = run(world, 3, "c")

    policies = []
    for _ in range(2):
        world.look()
        policies.append(world.system.threads[newcomer].policy)
        world.seconds += PATIENCE

    assert policies == [os.SCHED_OTHER, FIFO]


def test_nobody_waits_for_a_pod_that_departs_before_it_ran(world: World) -> None:
    world.reserve(1, task("a", wcet_ms=2))
    world.look()
    world.reservations.release(uid(1))
    world.reserve(2, task("b", wcet_ms=2))
    newcomer = run(world, 2, "b")

    world.look()

    assert world.system.threads[newcomer].policy == FIFO


@pytest.mark.parametrize(
    "after",
    [(97, 96, 95), (98, 97, 96), (94, 93, 92), (98, 95, 94), (96, 95, 93)],
    ids=["same", "up", "down", "apart", "mixed"],
)
def test_bands_move_without_any_two_threads_changing_their_order(
    world: World, after: tuple[int, int, int]
) -> None:
    world.reserve(1, task("a"), task("b"), task("c"))
    tids = [run(world, 1, name) for name in ("a", "b", "c")]
    world.look()
    threads = world.kernel.threads
    wanted = [(threads.find(tid), priority) for tid, priority in zip(tids, after, strict=True)]
    now = dict(zip(tids, (97, 96, 95), strict=True))
    for tid, priority in now.items():
        world.system.threads[tid].priority = priority
    world.system.calls.clear()

    change_priorities(
        threads, [(found, priority) for found, priority in wanted if found is not None]
    )

    for call, tid, _, priority in world.system.calls:
        now[tid] = priority
        assert call == "set_policy"
        assert now[tids[0]] > now[tids[1]] > now[tids[2]]
    assert tuple(now.values()) == after


@pytest.mark.parametrize(
    "after",
    [(98, 95, 95, 93), (96, 95, 95, 94), (94, 90, 90, 89), (98, 97, 97, 96)],
    ids=["apart", "down", "far down", "up"],
)
def test_threads_of_one_level_move_without_anyone_passing_another_level(
    world: World, after: tuple[int, ...]
) -> None:
    names = ("a", "b", "c", "d")
    world.reserve(1, *map(task, names))
    tids = [run(world, 1, name) for name in names]
    world.look()
    threads = world.kernel.threads
    now = dict(zip(tids, (97, 96, 96, 95), strict=True))
    for tid, priority in now.items():
        world.system.threads[tid].priority = priority
    wanted = [(threads.find(tid), priority) for tid, priority in zip(tids, after, strict=True)]
    world.system.calls.clear()

    change_priorities(
        threads, [(found, priority) for found, priority in wanted if found is not None]
    )

    for _call, tid, _, priority in world.system.calls:
        now[tid] = priority
        upper, one, other, lower = (now[tid] for tid in tids)
        assert upper > max(one, other)
        assert min(one, other) > lower
    assert tuple(now.values()) == after


def test_a_thread_that_is_another_by_now_keeps_its_priority(world: World) -> None:
    world.reserve()
    tid = run(world, 1, "ctl")
    world.look()
    thread = world.kernel.threads.find(tid)
    world.system.threads[tid].started += 1
    before = world.system.threads[tid].priority

    change_priorities(world.kernel.threads, [(thread, before - 1)])

    assert world.system.threads[tid].priority == before


def test_a_band_that_the_kernel_refuses_to_move_stops_those_behind_it(world: World) -> None:
    world.reserve(1, task("a"), task("b"))
    tids = [run(world, 1, name) for name in ("a", "b")]
    world.look()
    before = [world.system.threads[tid].priority for tid in tids]
    threads = world.kernel.threads
    world.system.refuse["set_policy"] = [PermissionError(errno.EPERM, "no")]

    change_priorities(
        threads, [(threads.find(tid), p - 1) for tid, p in zip(tids, before, strict=True)]
    )

    assert [world.system.threads[tid].priority for tid in tids] == before

"""Servers of a live core are exchanged, one reservation after the other, so that a pod fits."""

import errno
from dataclasses import replace
from fractions import Fraction

import pytest

from k40s.reasons import Reason
from tests.fakes.rubicante.exchange_scene import DRAIN, Exchanging, wanted
from tests.fakes.rubicante.kernel import FIFO
from tests.fakes.rubicante.world import ask, pod, task, uid


@pytest.fixture
def scene() -> Exchanging:
    """Two pods run."""
    scene = Exchanging()
    for number in (1, 2):
        assert scene.admit(number)
        scene.settle(DRAIN)
    return scene


def test_a_pod_without_room_gets_it_and_the_others_stay_enforced(scene: Exchanging) -> None:
    before = scene.numbers()

    assert scene.admit(3)
    seen = set()
    for _ in range(200):
        scene.settle(0.05)
        seen.add(scene.numbers())
        assert None not in (scene.group(1), scene.group(2))

    assert scene.group(3) is not None
    assert scene.world.book.exchanges() == ()
    held = {r.group: r.server for r in scene.world.book.node().reservations}
    assert {n: scene.world.groups.server(n) for n in scene.numbers()} == held
    assert len(held) == 3
    assert any(len(numbers) == 3 and set(before) < set(numbers) for numbers in seen)
    assert scene.world.metric("k40s_rubicante_exchange_moves_total", {"how": "asleep"}) == 1
    assert scene.world.metric("k40s_rubicante_exchanges_begun_total") == 1
    ended = scene.world.metric("k40s_rubicante_exchanges_ended_total", {"outcome": "completed"})
    assert ended == 1


def test_without_the_setting_the_pod_is_refused_for_room(scene: Exchanging) -> None:
    scene.world.find_exchange = None
    scene.restart()

    assert not scene.admit(3)
    assert scene.world.book.exchanges() == ()


def test_the_preview_foretells_the_exchange_and_changes_nothing(scene: Exchanging) -> None:
    generation = scene.world.book.generation

    answer = scene.world.reservations.preview(ask(3, wanted(3)))

    assert answer.schedulable
    assert answer.granted[0].pod_uid == uid(3)
    assert (scene.world.book.generation, scene.world.book.exchanges()) == (generation, ())


def test_no_other_pod_is_admitted_to_the_core_meanwhile(scene: Exchanging) -> None:
    assert scene.admit(3)
    scene.world.server.add(pod(4))

    answer, _ = scene.world.reservations.reserve(ask(4))

    assert answer.reason is Reason.CPU_CORE_CHANGING


def test_a_pod_cannot_change_its_contract_while_its_core_changes(scene: Exchanging) -> None:
    scene.world.server.add(pod(3))
    scene.world.reservations.reserve(ask(3, wanted(3)))

    answer, _ = scene.world.reservations.reserve(ask(3, wanted(1)))

    assert answer.reason is Reason.CPU_CORE_CHANGING


def test_a_thread_moves_only_when_it_sleeps(scene: Exchanging) -> None:
    moving = scene.tids[1]
    scene.world.system.threads[moving].state = "R"
    assert scene.admit(3)
    first = scene.group(1)

    scene.settle(0.8)
    running = scene.group(1), scene.world.system.threads[moving].policy
    scene.world.system.threads[moving].state = "S"
    scene.settle(0.1)

    assert running == (first, FIFO)
    assert scene.group(1) not in (first, None)


def test_a_thread_that_never_sleeps_is_moved_after_its_deadline_and_that_is_counted(
    scene: Exchanging,
) -> None:
    scene.world.system.threads[scene.tids[1]].state = "R"
    assert scene.admit(3)
    first = scene.group(1)

    scene.settle(3)

    assert scene.group(1) not in (first, None)
    assert scene.world.metric("k40s_rubicante_exchange_moves_total", {"how": "awake"}) == 1
    ((told, text),) = scene.world.enforcer.take_move_notices()
    assert told == uid(1)
    assert "in the middle of a job" in text
    assert scene.group(3) is not None


def test_threads_that_cannot_be_moved_hold_the_exchange_up_and_that_is_told(
    scene: Exchanging,
) -> None:
    assert scene.admit(3)
    scene.settle(0.1)
    first = scene.group(1)
    scene.world.system.refuse["write"] = [OSError(errno.EINVAL, "no")] * 10_000

    scene.settle(4)
    stuck = scene.world.enforcer.exchange_causes(), scene.group(1)
    scene.world.system.refuse.clear()
    scene.settle(2 * DRAIN)

    assert "stay in the group" in stuck[0][1]
    assert stuck[1] == first
    assert scene.group(1) != first
    assert scene.group(3) is not None


def test_nobody_moves_before_the_wait_of_rule_3(scene: Exchanging) -> None:
    assert scene.admit(3)
    first = scene.group(1)
    scene.settle(0.05)
    begun = scene.numbers()

    scene.settle(0.2)

    assert len(begun) == 3
    assert scene.group(1) == first


def test_the_newcomer_waits_after_the_last_step(scene: Exchanging) -> None:
    assert scene.admit(3)
    while scene.world.book.exchanges():
        scene.settle(0.05)

    scene.settle(0.2)
    early = scene.group(3)
    scene.settle(DRAIN)

    assert early is None
    assert scene.group(3) is not None


def test_a_newcomer_that_leaves_before_a_step_begins_leaves_everything_as_it_was(
    scene: Exchanging,
) -> None:
    before = scene.world.book.node()
    scene.world.server.add(pod(3))
    scene.world.reservations.reserve(ask(3, wanted(3)))

    scene.world.reservations.release(uid(3))

    assert scene.world.book.node() == before
    assert scene.world.book.exchanges() == ()


def test_a_newcomer_that_leaves_in_the_middle_of_a_step_lets_it_end(scene: Exchanging) -> None:
    assert scene.admit(3)
    scene.settle(0.1)
    assert scene.world.book.exchanges()[0].overlaps

    scene.end(3)
    scene.settle(2 * DRAIN)

    assert scene.world.book.exchanges() == ()
    assert len(scene.numbers()) == 2
    assert None not in (scene.group(1), scene.group(2))
    ended = scene.world.metric("k40s_rubicante_exchanges_ended_total", {"outcome": "withdrawn"})
    assert ended == 1


@pytest.mark.parametrize("gone", [1, 2])
def test_when_another_pod_leaves_the_newcomer_arrives_all_the_same(
    scene: Exchanging, gone: int
) -> None:
    assert scene.admit(3)
    scene.settle(0.1)

    scene.end(gone)
    scene.settle(3 * DRAIN)

    assert scene.world.book.exchanges() == ()
    assert scene.group(3) is not None
    assert len(scene.numbers()) == 2


def test_a_container_that_starts_again_enters_the_second_group(scene: Exchanging) -> None:
    assert scene.admit(3)
    scene.settle(0.1)
    first = scene.group(1)
    old = scene.tids[1]
    cgroup = scene.world.system.threads[old].other_cgroup
    scene.world.system.kill(old)
    home = scene.world.container(1, id_=1)
    scene.tids[1] = scene.world.system.spawn(home, "ctl", other_cgroup=cgroup)

    scene.settle(3 * DRAIN)

    assert scene.group(1) not in (first, None)
    assert scene.world.book.exchanges() == ()


@pytest.mark.parametrize("looks", range(0, 40, 3))
def test_a_new_process_goes_on_wherever_the_last_one_stopped(scene: Exchanging, looks: int) -> None:
    assert scene.admit(3)
    scene.settle(looks * 0.05)

    scene.restart()
    scene.settle(4 * DRAIN)

    assert scene.world.book.exchanges() == ()
    assert None not in (scene.group(1), scene.group(2), scene.group(3))
    assert len(scene.numbers()) == 3


def test_a_kernel_that_refuses_the_second_group_is_asked_again(scene: Exchanging) -> None:
    assert scene.admit(3)
    scene.world.system.refuse["make_directory"] = [OSError(errno.ENOSPC, "no room")]

    scene.settle(0.01)
    cause = scene.world.enforcer.exchange_causes()
    scene.settle(3 * DRAIN)

    assert "no room" in cause[1]
    assert scene.group(3) is not None
    assert scene.world.metric("k40s_rubicante_exchange_hold_ups_total") == 1


def test_an_exchange_waits_while_the_node_has_less_than_was_planned_for(
    scene: Exchanging,
) -> None:
    assert scene.admit(3)
    world = scene.world
    had = world.base
    world.book.describe(replace(world.base, node_capacity=Fraction(1, 4)))

    scene.settle(DRAIN)
    waits = world.book.exchanges(), world.enforcer.exchange_causes()
    world.book.describe(had)
    scene.settle(3 * DRAIN)

    assert not waits[0][0].overlaps
    assert "do not hold" in waits[1][1]
    assert scene.group(3) is not None


def test_a_departure_lets_a_waiting_pod_in_by_an_exchange(scene: Exchanging) -> None:
    world = scene.world
    assert scene.admit(4, task(wcet_ms=20, period_ms=300))
    scene.settle(DRAIN)
    refused = scene.admit(3)
    generation = world.book.generation

    scene.end(4)
    scene.settle(0.1)
    changed = world.book.generation
    admitted = scene.admit(3)

    assert (refused, admitted) == (False, True)
    assert changed > generation
    assert world.book.exchanges() != ()

"""SCHED_DEADLINE beside budget groups: when threads enter, and when bandwidth is given back."""

import os
from typing import NamedTuple

import pytest

from k40s.cpu.model import ANY_CORE, Mechanism
from tests.fakes.rubicante.deadline import FakeDeadline
from tests.fakes.rubicante.grants import HandMade, grant
from tests.fakes.rubicante.kernel import FIFO
from tests.fakes.rubicante.world import World, pod, task, uid


class Node(NamedTuple):
    """A world with a back end for SCHED_DEADLINE, and its plan of grants."""

    world: World
    deadline: FakeDeadline
    admit: HandMade

    def run(self, number: int, name: str = "ctl") -> int:
        return self.world.system.spawn(self.world.container(number, id_=number), name)

    def entered(self) -> list[int]:
        return [tid for tids in self.deadline.inside.values() for tid in tids]


def make(*granted: object) -> Node:
    deadline = FakeDeadline()
    admit = HandMade(*granted)  # type: ignore[arg-type]  # reservations, from grant()
    return Node(
        World(admit=admit, back_ends={Mechanism.DEADLINE: deadline}, seconds=100.0),
        deadline,
        admit,
    )


def test_each_reservation_is_enforced_by_its_own_mechanism() -> None:
    node = make(grant(1, "a", deadline=True), grant(1, "b", container="side"))
    node.world.reserve(1, task("a"), task("b", container="side"), containers=("main", "side"))
    one, other = (node.world.container(1, id_=n) for n in (1, 2))
    first, second = node.world.system.spawn(one, "a"), node.world.system.spawn(other, "b")
    ids = {"main": one.name, "side": other.name}
    node.world.pods.upsert(pod(1, node="edge-1", containers=("main", "side"), container_ids=ids))

    node.world.look()

    assert node.entered() == [first]
    assert (node.deadline.origins[0].cgroup, node.deadline.origins[0].pod) == (one, one.parent)
    assert node.world.system.threads[first].policy == os.SCHED_OTHER
    assert node.world.system.threads[second].policy == FIFO


@pytest.mark.parametrize("core", [1, ANY_CORE])
def test_a_newcomer_enters_when_the_groups_of_its_core_have_grown_and_their_jobs_ended(
    core: int,
) -> None:
    node = make(grant(1, core=1), grant(2, core=core, deadline=True))
    world = node.world
    world.reserve(1)
    node.run(1)
    world.look()
    node.admit.others = {uid(1): grant(1, core=1, budget_ms=50)}
    world.reserve(2)
    newcomer = node.run(2)

    world.look()
    early = world.system.admitted(), node.entered()
    world.seconds += 0.21
    world.look()

    assert early == (0.5, [])
    assert node.entered() == [newcomer]


def test_a_newcomer_on_another_core_enters_at_once() -> None:
    node = make(grant(1, core=1), grant(2, core=0, deadline=True))
    node.world.reserve(1)
    node.run(1)
    node.world.look()
    node.admit.others = {uid(1): grant(1, core=1, budget_ms=50)}
    node.world.reserve(2)
    newcomer = node.run(2)

    node.world.look()

    assert node.entered() == [newcomer]


def test_bandwidth_in_use_is_given_back_a_period_after_the_thread_was_dropped() -> None:
    node = make(grant(1, deadline=True, period_ms=400))
    node.world.reserve(1)
    node.run(1)
    node.world.look()

    node.world.pods.delete(uid(1))
    delay = node.world.look()
    early = node.entered(), node.world.book.find(uid(1)) is not None
    node.world.seconds += 0.39
    node.world.look()
    later = node.world.book.find(uid(1)) is not None
    node.world.seconds += 0.02
    node.world.look()

    assert delay == pytest.approx(0.4)
    assert (early, later) == (([], True), True)
    assert node.world.book.find(uid(1)) is None


def test_bandwidth_that_no_thread_used_is_given_back_at_once() -> None:
    node = make(grant(1, deadline=True))
    node.world.reserve(1)

    node.world.reservations.release(uid(1))

    assert node.world.book.find(uid(1)) is None


def test_a_new_process_takes_bandwidth_of_before_for_used() -> None:
    node = make(grant(1, deadline=True, period_ms=400))
    node.world.reserve(1)
    again = node.world.restarted()

    again.reservations.release(uid(1))
    early = again.book.find(uid(1)) is not None
    again.seconds += 0.41
    again.look()

    assert early
    assert again.book.find(uid(1)) is None


def test_a_thread_that_is_no_task_any_more_is_sent_home() -> None:
    node = make(grant(1, "a", deadline=True))
    node.world.reserve(1, task("a"))
    first = node.run(1, "a")
    node.world.look()
    node.world.system.kill(first)
    second = node.run(1, "a")

    node.world.look()

    assert node.entered() == [second]

"""No pod is refused for what it holds itself, whatever of the node's state is known."""

from fractions import Fraction

import pytest

from extender.placement.admission_cache import AdmissionCache, may_hold
from k40s.node_api.client import DaemonError
from k40s.reasons import Reason
from k40s.units import Nanoseconds
from tests.fakes.extender.world import (
    World,
    built_in,
    make_cpu_node,
    make_cpu_state,
    make_node,
    make_pod,
    make_task,
)

OWN, OTHER = "0a1b2c3d-0000-4000-8000-000000000001", "4e5f6a7b-0000-4000-8000-000000000002"
FULL = make_task("60ms")
"""Two of them do not fit on the one core."""
LOST = DaemonError("timed out", reason=Reason.CPU_DAEMON_BUSY)


def pod(uid: str, name: str = "own") -> dict[str, object]:
    return make_pod(name, uid=uid, criticality="HI", tasks=[FULL])


@pytest.fixture
def world() -> World:
    world = World(admissions=AdmissionCache(tests=built_in))
    world.add(make_node("a", level=20, cpu=make_cpu_state()))
    return world


def lose_the_answer(world: World) -> None:
    """The node reserves; neither that nor the withdrawal gets through in time."""
    world.filter(pod(OWN), ["a"])
    world.cpu.loses_answers, world.cpu.release_fault = True, LOST
    assert world.bind(pod(OWN), "a").startswith("cpu.daemon-busy")
    world.cpu.loses_answers, world.cpu.release_fault = False, None
    assert world.cpu.node.reservations != ()


def publish(world: World, *, complete: bool, leased: frozenset[str] | None = frozenset()) -> None:
    """The node publishes the state that it is in now."""
    node = world.cpu.node
    state = make_cpu_state(node, generation=2, complete=complete, leased=leased)
    world.add(make_node("a", level=20, cpu=state))


def fits(world: World, uid: str, name: str = "own") -> bool:
    return bool(world.filter(pod(uid, name), ["a"])["NodeNames"])


@pytest.mark.parametrize("published", ["nothing yet", "all", "too much, named", "too much"])
@pytest.mark.parametrize("first", ["own", "other"])
def test_after_a_lost_answer_the_pod_fits_and_no_other_does(
    world: World, published: str, first: str
) -> None:
    lose_the_answer(world)
    match published:
        case "all":
            publish(world, complete=True)
        case "too much, named":
            publish(world, complete=False, leased=frozenset({OWN[:8]}))
        case "too much":
            publish(world, complete=False, leased=None)

    order = [OWN, OTHER] if first == "own" else [OTHER, OWN]
    found = {uid: fits(world, uid, uid) for uid in [*order, *order]}

    assert found[OWN]
    assert found[OTHER] == (published == "nothing yet")


@pytest.mark.parametrize("leased", [frozenset({OWN[:8]}), None], ids=["named", "not named"])
def test_what_was_found_for_others_is_not_held_against_the_holder(
    world: World, leased: frozenset[str] | None
) -> None:
    lose_the_answer(world)
    publish(world, complete=False, leased=leased)
    for number in range(3):
        assert not fits(world, f"{number:08}-of-others", f"twin-{number}")

    assert fits(world, OWN)
    assert world.bind(pod(OWN), "a") == ""


def test_what_a_bind_was_refused_is_not_held_against_the_holder(world: World) -> None:
    lose_the_answer(world)
    publish(world, complete=True)
    world.filter(pod(OTHER, "other"), ["a"])
    world.cpu.reserve_reason = Reason.CPU_NO_BANDWIDTH
    world.bind(pod(OTHER, "other"), "a")
    world.cpu.reserve_reason = None

    assert fits(world, OWN)


@pytest.mark.parametrize("complete", [True, False])
def test_a_holder_fits_by_bandwidth_alone_as_well(complete: bool) -> None:
    """No time is left for a test, and the node does not answer."""
    world = World(patience=Nanoseconds(0))
    world.add(make_node("a", level=20, cpu=make_cpu_state()))
    lose_the_answer(world)
    publish(world, complete=complete, leased=frozenset() if complete else frozenset({OWN[:8]}))

    assert fits(world, OWN)
    assert not fits(world, OTHER, "other")


def test_a_node_with_a_test_of_its_own_that_does_not_answer_keeps_its_holder() -> None:
    world = World(admissions=AdmissionCache(tests=lambda _name: None))
    world.add(make_node("a", level=20, cpu=make_cpu_state()))
    lose_the_answer(world)
    publish(world, complete=True)
    world.cpu.query_fault = DaemonError("silent", reason=Reason.CPU_DAEMON_SILENT)

    assert fits(world, OWN)
    assert world.filter(pod(OTHER, "other"), ["a"])["Error"]


def test_a_withdrawn_reservation_leaves_room_for_others(world: World) -> None:
    world.filter(pod(OWN), ["a"])
    world.cpu.loses_answers = True
    world.bind(pod(OWN), "a")
    publish(world, complete=True)

    assert fits(world, OTHER, "other")
    assert world.cpu.node.utilizations() == {1: Fraction(0)}


def test_a_pod_that_moves_on_leaves_nothing_on_the_node_whose_answer_was_lost() -> None:
    """The withdrawal frees the first node before the pod is bound to the second."""
    world = World(node=make_cpu_node())
    world.add(make_node("a", level=20, cpu=make_cpu_state()))
    world.filter(pod(OWN), ["a"])
    world.cpu.loses_answers = True

    world.bind(pod(OWN), "a")

    assert world.journal[-1].startswith(f"withdraw {OWN}")
    assert world.cpu.node.reservations == ()


def test_a_state_that_names_nobody_is_one_where_anybody_may_hold() -> None:
    state = make_cpu_state(complete=False, leased=None)
    world = World()
    world.add(make_node("a", level=20, cpu=state))

    view = world.cache.snapshot().nodes["a"]

    assert view.holders is None
    assert may_hold(view, "anybody!")

"""Room that a pod claims is not given to others, in filter, dry run and bind."""

import json

import pytest

from k40s.annotations import PREEMPTION_KEY
from k40s.reasons import Reason
from k40s.units import Nanoseconds
from tests.fakes.extender.full_nodes import claiming, fill, publish, rt_pod, with_pod
from tests.fakes.extender.networks import make_stations, make_tdma, slot
from tests.fakes.extender.world import (
    World,
    make_cpu_node,
    make_cpu_state,
    make_node,
    make_pod,
    make_task,
    record_of,
)

EXACT = make_cpu_node(tick=Nanoseconds(0))
"""A node on which budgets are little more than WCETs, so that the figures here tell what fits."""
HI = rt_pod("hi", "HI", "40ms")
THIRD = rt_pod("third", "LOW", "20ms")
SMALL = rt_pod("small", "LOW", "5ms")
HELD = f"{Reason.CLAIM_HELD.value}: {Reason.CLAIM_HELD.text}"


@pytest.fixture
def world() -> World:
    """HI claims node a, on which LOW still runs; LOW leaves room for one like THIRD or SMALL."""
    world = World()
    fill(world, "a", rt_pod("low1", wcet="60ms"), node=EXACT)
    world.watch_pod(claiming(world, HI, "a", "low1"))
    return world


def fits(world: World, pod: dict[str, object], node: str = "a") -> bool:
    return world.filter(pod, [node])["NodeNames"] == [node]


def test_a_pod_that_would_take_the_room_is_refused_by_name(world: World) -> None:
    node = EXACT
    publish(world, "a", node, generation=2)  # the victim is gone

    answer = world.filter(rt_pod("third", "LOW", "50ms"), ["a"])

    assert answer["FailedAndUnresolvableNodes"] == {"a": HELD}
    assert world.dry_run(rt_pod("third", "LOW", "50ms"), ["a"]) == answer


def test_a_pod_beside_which_the_claimant_still_fits_is_passed(world: World) -> None:
    assert fits(world, THIRD)
    assert fits(world, SMALL)


def test_what_is_passed_beside_the_victims_counts_when_they_are_gone(world: World) -> None:
    """Two pods beside the victim: with both of them the claimant would not fit."""
    node = with_pod(world, EXACT, rt_pod("low1", wcet="10ms"))
    publish(world, "a", with_pod(world, node, rt_pod("low2", wcet="20ms")), generation=2)
    world.watch_pod(claiming(world, HI, "a", "low1"))

    assert not fits(world, THIRD)
    world.watch_pod(claiming(world, HI, "a", "low1", "low2"))
    assert fits(world, THIRD)


def test_the_claimant_itself_is_filtered_as_always(world: World) -> None:
    assert not fits(world, HI)
    publish(world, "a", EXACT, generation=2)

    assert fits(world, HI)


def test_other_nodes_and_pods_without_real_time_tasks_are_not_held_up(world: World) -> None:
    publish(world, "b", EXACT)

    assert fits(world, rt_pod("third", "LOW", "50ms"), "b")
    assert fits(world, make_pod("plain"))
    assert fits(world, make_pod("low", criticality="LOW"))


def test_a_pod_of_higher_criticality_is_not_held_up() -> None:
    world = World()
    publish(world, "a", EXACT)
    world.watch_pod(claiming(world, rt_pod("low", "LOW", "40ms"), "a"))

    assert fits(world, rt_pod("hi", "HI", "60ms"))
    assert not fits(world, rt_pod("third", "LOW", "60ms"))


def end_by_time(world: World) -> None:
    world.clock.advance(61)
    world.beat("a")


def end_by_bound(world: World) -> None:
    record = claiming(world, HI, "a", "low1")
    world.watch_pod(record_of(HI, node="b", annotations=record.annotations))


def end_by_withdrawal(world: World) -> None:
    world.watch_pod(record_of(HI))


def end_by_deletion(world: World) -> None:
    world.tables.pod_feed.delete("hi")


def end_by_terminating(world: World) -> None:
    record = claiming(world, HI, "a", "low1")
    world.watch_pod(record_of(HI, deleting=True, annotations=record.annotations))


def end_by_list(world: World) -> None:
    world.tables.pod_feed.replace([])


def end_by_an_annotation_that_cannot_be_read(world: World) -> None:
    world.watch_pod(record_of(HI, annotations={PREEMPTION_KEY: "{"}))


@pytest.mark.parametrize(
    "end",
    [
        end_by_time,
        end_by_bound,
        end_by_withdrawal,
        end_by_deletion,
        end_by_terminating,
        end_by_list,
        end_by_an_annotation_that_cannot_be_read,
    ],
)
def test_a_claim_ends(world: World, end: object) -> None:
    publish(world, "a", EXACT, generation=2)
    other = rt_pod("third", "LOW", "50ms")
    before = fits(world, other)

    assert callable(end)
    end(world)

    assert (before, fits(world, other)) == (False, True)
    assert world.claims.on("a") == ()
    assert not world.claims.by_node


def test_where_nobody_can_tell_the_claimed_node_is_kept(world: World) -> None:
    state = make_cpu_state(EXACT, complete=False)
    world.add(make_node("a", level=20, cpu=state))

    assert not fits(world, SMALL)


def test_bind_refuses_what_would_take_the_room(world: World) -> None:
    other = rt_pod("third", "LOW", "50ms")
    publish(world, "a", EXACT, generation=2)
    world.filter(other, ["a"])

    assert world.bind(other, "a") == HELD
    assert not [call for call in world.journal if call.startswith("reserve")]


def test_of_two_binds_at_once_the_second_sees_the_first(world: World) -> None:
    """Each of them alone would leave the claimant its room; the node publishes neither yet."""
    publish(world, "a", EXACT, generation=2)
    first, second = rt_pod("t1", "LOW", "20ms"), rt_pod("t2", "LOW", "20ms")
    passed = [fits(world, pod) for pod in (first, second)]

    assert passed == [True, True]
    assert [world.bind(first, "a"), world.bind(second, "a")] == ["", HELD]


def test_of_two_binds_at_two_replicas_the_node_refuses_the_second(world: World) -> None:
    """Each leaves the claimant its room by the state that both replicas have seen."""
    world.cpu.node = EXACT
    other = World(cpu=world.cpu, name="other")
    other.watch_pod(claiming(other, HI, "a", "low1"))
    first, second = rt_pod("t1", "LOW", "20ms"), rt_pod("t2", "LOW", "20ms")
    for replica, pod in ((world, first), (other, second)):
        publish(replica, "a", EXACT, generation=2)
        fits(replica, pod)

    answers = [world.bind(first, "a"), other.bind(second, "a")]
    publish(other, "a", world.cpu.node, generation=world.cpu.generation)

    assert answers[0] == ""
    assert answers[1].startswith(Reason.CPU_STALE_GENERATION.value)
    assert other.bind(second, "a") == HELD


def test_a_bind_that_was_refused_gives_its_room_back(world: World) -> None:
    publish(world, "a", EXACT, generation=2)
    first, second = rt_pod("t1", "LOW", "20ms"), rt_pod("t2", "LOW", "20ms")
    for pod in (first, second):
        fits(world, pod)
    world.cpu.reserve_reason = Reason.CPU_KERNEL_REFUSED
    refused = world.bind(first, "a")
    world.cpu.reserve_reason = None

    assert refused.startswith("cpu.kernel-refused")
    assert world.bind(second, "a") == ""


def test_the_claimant_is_bound_as_always(world: World) -> None:
    publish(world, "a", EXACT, generation=2)
    fits(world, HI)

    assert world.bind(HI, "a") == ""


def test_a_plan_does_not_take_what_another_pod_claims() -> None:
    world = World()
    fill(world, "a", rt_pod("low1", wcet="50ms"))
    world.watch_pod(claiming(world, rt_pod("first", "HI", "60ms"), "a", "low1"))
    world.filter(HI, ["a"])

    assert world.plan("hi")["Outcome"] == "none"


def test_networks_are_not_held() -> None:
    """Only the CPU part of a claim is held: slots of a claimant may be taken by others."""
    world = World()
    publish(world, "a", EXACT)
    world.add(make_node("a", level=20, cpu=make_cpu_state(EXACT), stations=make_stations()))
    world.declare(make_tdma(nodes=["a"]))
    needs = {"tasks": [make_task("10ms", "100ms")], "networks": [slot(payload="1400B")]}
    world.watch_pod(claiming(world, make_pod("hi", criticality="HI", **needs), "a"))  # type: ignore[arg-type]  # as make_pod takes them

    assert fits(world, make_pod("third", networks=[slot(payload="1400B")]))


def test_a_cold_filter_enters_no_file_for_claims_while_there_are_none() -> None:
    world = World()

    assert not world.claims.by_node
    assert json.loads(world.verbs.filter(b'{"Pod":{}}'))["Error"]

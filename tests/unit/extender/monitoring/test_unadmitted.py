"""A pod with real-time tasks and no grant is counted and reported, whoever placed it."""

import pytest

from k40s.annotations import (
    ALLOCATION_KEY,
    CRITICALITY_KEY,
    NETWORK_GRANT_KEY,
    NETWORK_KEY,
    TASKS_KEY,
)
from k40s.errors import UnavailableError
from k40s.kube.transport import NotFoundError, RefusedError
from k40s.reasons import NOT_ADMITTED
from tests.fakes.extender.world import World, make_cpu_state, make_node, make_pod_record

TASKS = {CRITICALITY_KEY: "LOW", TASKS_KEY: '[{"name":"t","period":"10ms","wcet":"1ms"}]'}
GRANTED = {**TASKS, ALLOCATION_KEY: "{}"}
EVENT = {("u", "u.not-admitted"): f"NotAdmitted: {NOT_ADMITTED}"}


@pytest.fixture
def world() -> World:
    world = World()
    world.add(make_node("general", level=20), make_node("rt", level=20, cpu=make_cpu_state()))
    return world


def place(world: World, node: str = "general", uid: str = "u", **changes: object) -> None:
    facts = {"annotations": TASKS, "name": uid} | changes
    world.watched_pods.upsert(make_pod_record(uid, node=node, **facts))  # type: ignore[arg-type]


def look_for(world: World, seconds: int) -> None:
    world.unadmitted.look()
    for _ in range(seconds):
        world.clock.advance(1)
        world.beat("general")
        world.unadmitted.look()


def counted(world: World, cause: str) -> float | None:
    return world.registry.get_sample_value("k40s_extender_misplaced_pods", {"cause": cause})


@pytest.mark.parametrize("node", ["general", "a node that nobody knows"])
@pytest.mark.parametrize("tasks", [TASKS[TASKS_KEY], "?", "[]"])
def test_a_pod_without_a_grant_is_told_within_seconds_and_once(
    world: World, node: str, tasks: str
) -> None:
    place(world, node, annotations={**TASKS, TASKS_KEY: tasks})

    look_for(world, 2)
    at_once = dict(world.pods.events)
    look_for(world, 60)

    assert at_once == {}
    assert world.pods.events == EVENT
    assert world.journal == ["event u"]
    assert counted(world, "not-admitted") == 1


def test_pods_that_were_there_before_are_told_as_well(world: World) -> None:
    world.watched_pods.replace([make_pod_record("u", node="general", annotations=TASKS)])

    look_for(world, 6)

    assert world.pods.events == EVENT


@pytest.mark.parametrize(
    "changes",
    [
        {"annotations": GRANTED},
        {"annotations": {CRITICALITY_KEY: "HI"}},
        {"annotations": {}},
        {"phase": "Succeeded"},
        {"node": ""},
    ],
    ids=["granted", "no tasks", "no demands", "ended", "unbound"],
)
def test_others_are_left_alone(world: World, changes: dict[str, object]) -> None:
    place(world, **changes)  # type: ignore[arg-type]  # names of changes

    look_for(world, 60)

    assert world.pods.events == {}
    assert counted(world, "not-admitted") == 0


def test_a_pod_whose_tasks_are_added_after_it_was_bound_is_told(world: World) -> None:
    place(world, annotations={})
    look_for(world, 60)
    place(world)
    look_for(world, 6)

    assert world.pods.events == EVENT


def test_on_a_node_with_a_live_daemon_that_daemon_tells_it(world: World) -> None:
    place(world, "rt")
    world.beat("rt")

    look_for(world, 20)
    counted_there, told_there = counted(world, "not-admitted"), dict(world.pods.events)
    look_for(world, 20)  # the daemon has been silent for its lease

    assert (counted_there, told_there) == (1, {})
    assert world.pods.events == EVENT


def test_a_pod_that_goes_in_time_is_not_told(world: World) -> None:
    place(world)
    look_for(world, 3)
    world.watched_pods.delete("u")
    look_for(world, 60)

    assert world.pods.events == {}
    assert counted(world, "not-admitted") == 0


def test_two_replicas_write_one_event(world: World) -> None:
    world.pods.events = dict(EVENT)
    place(world)

    look_for(world, 60)

    assert world.pods.events == EVENT
    assert world.journal == ["event u"]


def test_an_api_server_that_is_away_is_told_later(world: World) -> None:
    world.pods.event_fault = UnavailableError("timeout")
    place(world)
    look_for(world, 10)
    world.pods.event_fault = None
    look_for(world, 1)

    assert world.pods.events == EVENT


@pytest.mark.parametrize("fault", [RefusedError("403"), NotFoundError("404")])
def test_an_event_that_may_not_be_written_is_not_tried_for_ever(
    world: World, fault: Exception
) -> None:
    world.pods.event_fault = fault
    place(world)

    look_for(world, 60)

    assert world.journal == ["event u"]


def test_events_are_few_and_every_pod_is_told_in_the_end(world: World) -> None:
    for number in range(100):
        place(world, uid=f"u{number}")

    look_for(world, 20)
    in_the_first_minute = len(world.pods.events)
    look_for(world, 400)

    assert in_the_first_minute == 30
    assert len(world.pods.events) == 100


def test_pods_below_the_assurance_they_need_and_unreadable_ones_are_counted(world: World) -> None:
    world.add(make_node("weak", level=3))
    place(world, "weak", uid="hi", annotations={CRITICALITY_KEY: "HI"})
    place(world, "general", uid="well", annotations={CRITICALITY_KEY: "HI"})
    place(world, "weak", uid="spelt", annotations={CRITICALITY_KEY: "high"})

    look_for(world, 1)

    assert counted(world, "assurance") == 1
    assert counted(world, "invalid-annotation") == 1
    assert world.pods.events == {}


@pytest.mark.parametrize(("granted", "count"), [({}, 1), ({NETWORK_GRANT_KEY: "[]"}, 0)])
@pytest.mark.parametrize("needs", ['[{"network":"lan","peer":"a","delay":"1ms"}]', "?"])
def test_a_pod_that_requires_networks_and_has_no_grant_is_counted(
    world: World, granted: dict[str, str], needs: str, count: int
) -> None:
    place(world, annotations={NETWORK_KEY: needs, **granted})

    look_for(world, 2)

    assert counted(world, "not-reserved") == count
    assert counted(world, "not-admitted") == 0
    assert world.pods.events == {}

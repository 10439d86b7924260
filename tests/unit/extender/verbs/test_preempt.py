"""The verb preempt: a guard of kube-scheduler's own preemption."""

import json

import pytest

from extender.verbs.preempt import Preempt
from k40s.errors import InvalidInputError
from tests.fakes.extender.full_nodes import fill, publish, rt_pod
from tests.fakes.extender.world import (
    World,
    make_cpu_node,
    make_node,
    make_pod,
    make_pod_record,
    record_of,
)

HI = rt_pod("hi", "HI", "40ms")


@pytest.fixture
def world() -> World:
    """Node a is filled by one LOW pod, b by two, and an ordinary pod runs on each."""
    world = World()
    fill(world, "a", rt_pod("a1", wcet="50ms"))
    fill(world, "b", rt_pod("b1", wcet="40ms"), rt_pod("b2", wcet="30ms"))
    for node in "ab":
        world.watch_pod(make_pod_record(f"{node}-plain", node=node))
    return world


def preempt(world: World, pod: object = HI, **victims: list[str]) -> dict[str, list[str]]:
    """UIDs by node -> UIDs by node."""
    body = {
        "Pod": pod,
        "NodeNameToVictims": None,
        "NodeNameToMetaVictims": {
            node: {"Pods": [{"UID": uid} for uid in uids], "NumPDBViolations": 0}
            for node, uids in victims.items()
        },
    }
    answer = json.loads(world.verbs.preempt(json.dumps(body).encode()))
    return {
        node: [one["UID"] for one in found["Pods"]]
        for node, found in answer["NodeNameToMetaVictims"].items()
    }


def test_the_body_that_the_scheduler_sends_is_answered_in_its_form(world: World) -> None:
    body = {
        "Pod": HI,
        "NodeNameToVictims": None,
        "NodeNameToMetaVictims": {"a": {"Pods": [{"UID": "a1"}], "NumPDBViolations": 2}},
    }

    answer = world.verbs.preempt(json.dumps(body).encode())

    assert answer == (
        b'{"NodeNameToMetaVictims":{"a":{"Pods":[{"UID":"a1"}],"NumPDBViolations":2}}}'
    )


def test_whole_pods_are_understood_as_well(world: World) -> None:
    pods = {"Pods": [record | {"spec": {}} for record in [{"metadata": {"uid": "a1"}}]]}
    body = {"Pod": HI, "NodeNameToVictims": {"a": pods}, "NodeNameToMetaVictims": None}

    answer = json.loads(world.verbs.preempt(json.dumps(body).encode()))

    assert answer["NodeNameToMetaVictims"]["a"]["Pods"] == [{"UID": "a1"}]


def test_an_empty_list_gets_the_victims_that_are_needed(world: World) -> None:
    assert preempt(world, a=[], b=[]) == {"a": ["a1"], "b": ["b1"]}


def test_more_is_added_where_it_is_needed(world: World) -> None:
    assert preempt(world, a=["a-plain"], b=["b2"]) == {
        "a": ["a-plain", "a1"],
        "b": ["b1", "b2"],
    }


@pytest.mark.parametrize("uid", ["nobody", "b1", "waits"])
def test_a_pod_that_is_not_known_on_that_node_drops_the_node(world: World, uid: str) -> None:
    world.watch_pod(make_pod_record("waits"))

    assert preempt(world, a=["a1", uid]) == {}


@pytest.mark.parametrize("word", ["HI", "hi", "LOW"])
def test_equal_higher_and_unreadable_criticality_drop_the_node(world: World, word: str) -> None:
    low = rt_pod("low", "LOW", "60ms")
    annotations = {"k40s.io/criticality": word}
    world.watch_pod(make_pod_record("x", node="a", annotations=annotations))

    assert preempt(world, low, a=["x"]) == {}


def test_a_node_that_would_refuse_even_so_is_dropped(world: World) -> None:
    fill(world, "c", rt_pod("c1", "HI", "50ms"), rt_pod("c2", wcet="10ms"))
    world.add(make_node("d", level=20))
    world.watch_pod(make_pod_record("d-plain", node="d"))

    assert preempt(world, c=["c2"], d=["d-plain"], e=[]) == {}


def test_a_node_that_has_room_without_victims_is_no_candidate(world: World) -> None:
    fill(world, "c")

    assert preempt(world, c=[]) == {}


def test_a_pod_without_criticality_displaces_nobody(world: World) -> None:
    assert preempt(world, make_pod("plain"), a=["a-plain"], b=[]) == {}


def test_a_pod_with_invalid_annotations_displaces_nobody(world: World) -> None:
    assert preempt(world, make_pod("odd", criticality="HIGH"), a=["a-plain"]) == {}


def test_pods_of_the_system_are_not_displaced(world: World) -> None:
    world.watch_pod(
        make_pod_record("s", node="a", annotations={"kubernetes.io/config.mirror": "1"})
    )

    assert preempt(world, a=["a1", "s"]) == {}


def test_while_room_is_on_its_way_nobody_else_has_to_go(world: World) -> None:
    """Else the scheduler evicts on node after node before the first publishes its free room."""
    world.filter(HI, ["a", "b"])
    first = preempt(world, a=["a1"], b=["b1"])
    world.watch_pod(record_of(rt_pod("a1", wcet="50ms"), node="a", deleting=True))
    ending = preempt(world, b=["b1"])
    world.tables.pod_feed.delete("a1")

    assert first == {"a": ["a1"], "b": ["b1"]}
    assert ending == preempt(world, b=["b1"]) == {}


def test_room_on_a_node_that_others_refuse_stops_nothing(world: World) -> None:
    """Such as one without memory left: it was refused by k40s once, and is not asked about."""
    world.filter(HI, ["a"])
    publish(world, "a", make_cpu_node(), generation=2)

    assert preempt(world, b=["b1", "b2"]) == {"b": ["b1", "b2"]}


def test_pods_that_a_node_cannot_tell_apart_are_no_victims(world: World) -> None:
    """A node publishes the first eight characters of a UID."""
    fill(world, "c", rt_pod("12345678", wcet="50ms"))
    world.watch_pod(make_pod_record("12345678-a", node="c"))

    assert preempt(world, c=["12345678"]) == {}
    assert preempt(world, c=[]) == {}


def test_answers_are_counted(world: World) -> None:
    preempt(world, a=["a1"], b=[])
    preempt(world, a=["nobody"])

    name = "k40s_extender_preempt_nodes_total"
    counted = {
        answer: world.registry.get_sample_value(name, {"answer": answer})
        for answer in ("kept", "extended", "dropped")
    }
    assert counted == {"kept": 1, "extended": 1, "dropped": 1}


@pytest.mark.parametrize(
    "nodes",
    [
        {"a": None},
        {"a": {"Pods": [{}]}},
        {"a": {"Pods": "x"}},
        {"a": {"Pods": [], "NumPDBViolations": "two"}},
        [],
    ],
)
def test_an_invalid_body_is_refused(world: World, nodes: object) -> None:
    body = json.dumps({"Pod": HI, "NodeNameToMetaVictims": nodes}).encode()

    with pytest.raises(InvalidInputError):
        world.verbs.preempt(body)
    assert world.verbs.preempt.fault("not ready") is None
    assert Preempt.name == "preempt"

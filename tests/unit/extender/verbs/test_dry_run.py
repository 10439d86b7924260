"""Dry run: filter's answer for a pod that runs already, without a trace in the extender."""

import json

import pytest
from prometheus_client import generate_latest

from extender.verbs.dry_run import DryRun
from k40s.errors import InvalidInputError
from k40s.reasons import Reason
from k40s.units import NS_PER_S, Nanoseconds
from tests.fakes.extender.world import (
    World,
    make_cpu_node,
    make_cpu_state,
    make_node,
    make_pod,
    make_task,
)

NAMES = ["low", "fit", "unknown"]


def two_nodes(**settings: object) -> World:
    world = World(**settings)  # type: ignore[arg-type]  # what the test chooses
    world.add(make_node("low", level=13), make_node("fit", level=14))
    return world


@pytest.mark.parametrize("criticality", ["NO", "LOW", "HI"])
def test_it_answers_as_filter_does(criticality: str) -> None:
    pod = make_pod(criticality=criticality)

    assert two_nodes().dry_run(pod, NAMES) == two_nodes().filter(pod, NAMES)


def test_it_answers_as_filter_does_for_real_time_pods() -> None:
    node = make_cpu_node()
    pod = make_pod(criticality="LOW", tasks=[make_task()])
    worlds = World(node=node), World(node=node)
    for world in worlds:
        world.add(make_node("rt", level=14, cpu=make_cpu_state(node)), make_node("other", level=14))

    asked, filtered = (
        worlds[0].dry_run(pod, ["rt", "other"]),
        worlds[1].filter(pod, ["rt", "other"]),
    )

    assert asked == filtered
    assert asked["NodeNames"] == ["rt"]


def test_an_invalid_pod_is_refused_by_every_node_with_its_fault() -> None:
    answer = two_nodes().dry_run(make_pod(criticality="HIGH"), ["fit"])

    assert Reason.POD_INVALID in str(answer["FailedAndUnresolvableNodes"])


def test_it_keeps_no_pod_and_counts_no_refusal_and_no_verdict() -> None:
    node = make_cpu_node()
    world = World(node=node)
    world.add(make_node("rt", level=14, cpu=make_cpu_state(node)), make_node("low", level=0))
    pod = make_pod(criticality="LOW", tasks=[make_task()])
    before = generate_latest(world.registry)

    world.dry_run(pod, ["rt", "low", "unknown"])
    world.dry_run(make_pod(criticality="HIGH"), ["rt"])

    meta = pod["metadata"]
    assert isinstance(meta, dict)
    assert world.workloads.get(meta["uid"]) is None
    assert generate_latest(world.registry) == before


def test_a_refusal_in_a_dry_run_makes_no_later_call_wait_for_the_informers() -> None:
    world = two_nodes(catch_up_timeout=Nanoseconds(3600 * NS_PER_S))
    pod = make_pod(criticality="HI")

    for _ in range(3):
        assert world.dry_run(pod, ["low"])["NodeNames"] == []

    assert world.filter(pod, ["low"])["NodeNames"] == []


def test_an_invalid_body_is_an_error_and_a_fault_is_told_in_the_reply() -> None:
    world = two_nodes()

    with pytest.raises(InvalidInputError):
        world.verbs.dry_run(b"{")
    fault = world.verbs.dry_run.fault("not ready")

    assert fault is not None
    assert json.loads(fault)["Error"] == "not ready"
    assert DryRun.name == world.verbs.dry_run.name

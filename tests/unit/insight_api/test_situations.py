"""Ten situations of an operator: the first line, or the text below it, names the cause."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from k40s.errors import InvalidInputError
from k40s.explanation.happenings import StoryEvent
from k40s.explanation.model import Explanation, PodStory
from k40s.explanation.story import StoryNode, story
from tests.fakes.controller import preemption
from tests.fakes.controller import running as migration
from tests.fakes.controller.cluster import FakeCluster
from tests.fakes.controller.preemption import FakePlant
from tests.fakes.explained_scenes import refused, running
from tests.fakes.extender.full_nodes import fill, rt_pod
from tests.fakes.extender.networks import make_stations, make_tdma, slot
from tests.fakes.extender.tenants import make_tenant
from tests.fakes.extender.world import (
    World,
    make_cpu_state,
    make_node,
    make_pod,
    make_task,
    record_of,
)
from tests.fixtures.situations import PAGE, missing, situations
from workbench.cluster_tables.explanation import explanation_text
from workbench.cluster_tables.story import story_text
from workbench.inputs.pod_manifests import read_pod_manifests


def one_node(level: int = 20) -> World:
    world = World()
    world.add(make_node("edge-1", level=level, cpu=make_cpu_state(), stations=make_stations()))
    return world


def misspelt_key() -> Explanation:
    pod = make_pod("arm")
    meta = pod["metadata"]
    assert isinstance(meta, dict)
    meta["annotations"]["k40s.io/critcality"] = "HI"
    return one_node().explain(pod)


def no_platform() -> Explanation:
    task = {"name": "control", "period": "100ms", "wcet": {"xeon": "10ms"}}
    return one_node().explain(make_pod("arm", criticality="HI", tasks=[task]))


def node_too_low() -> Explanation:
    return one_node(level=9).explain(make_pod("arm", criticality="HI"))


def slot_full() -> Explanation:
    world = one_node()
    world.declare(make_tdma(nodes=["edge-1", "edge-2"]))
    for number in range(12):
        pod = make_pod(f"camera-{number}", networks=[slot(payload="1400B")])
        if world.filter(pod, ["edge-1"])["NodeNames"]:
            world.bind(pod, "edge-1")
            world.watch_networks()
            world.watch_pod(record_of(pod, node="edge-1"))
    return world.explain(make_pod("arm", networks=[slot(payload="1400B")]))


def silent_daemon() -> Explanation:
    world = one_node()
    world.clock.advance(90)
    world.beat("edge-1", "malacoda")
    return world.explain(make_pod("arm", criticality="HI", tasks=[make_task()]))


def tenants_bound() -> Explanation:
    world = one_node()
    world.bound_by(make_tenant(hi_pods=0))
    return world.explain(make_pod("arm", criticality="HI"))


def full_core() -> Explanation:
    """With a HI pod in the way, whom no preemption displaces."""
    world = World()
    fill(world, "edge-1", rt_pod("vision", "HI", "60ms"))
    return world.explain(rt_pod("arm", "HI", "40ms"))


def told(*events: StoryEvent) -> PodStory:
    pod: dict[str, Any] = {
        "metadata": {"namespace": "default", "name": "arm", "uid": "u"},
        "spec": {"nodeName": "edge-1"},
        "status": {"phase": "Running"},
    }
    return story(pod, node=StoryNode(level=17), events=events)


def event(reason: str, component: str, message: str) -> StoryEvent:
    at = "2026-03-01T12:00:00Z"
    return StoryEvent(at=at, reason=reason, component=component, message=message)


def preempted() -> PodStory:
    text = "evicted from node edge-1: a HI pod needs its room"
    return told(event("PreemptedByMoreCritical", "k40s-controller", text))


def throttled() -> PodStory:
    return told(event("SuspectThrottled", "k40s-malacoda", "throttled for the hazard cpu-system"))


def text_of(found: str | Explanation | PodStory) -> str:
    if isinstance(found, str):
        return found
    if isinstance(found, PodStory):
        return story_text(found, wide=False)
    return explanation_text(found, wide=False)


@pytest.mark.parametrize(
    ("situation", "words"),
    [
        (misspelt_key, ["mind: found the annotation k40s.io/critcality, expected k40s.io/crit"]),
        (no_platform, ["1 cpu.no-wcet", "WCETs for xeon", "k40s.io/platform) is edge"]),
        (node_too_low, ["1 assurance.too-low", "is 9 of 20, and a HI pod needs 14"]),
        (refused, ["1 cpu.no-bandwidth", "it fits without default/vision (LOW"]),
        (slot_full, ["1 network.no-slot", "it fits without default/camera-"]),
        (silent_daemon, ["1 cpu.state-stale", "1m30s ago", "it is silent"]),
        (tenants_bound, ["1 tenant.hi-pods", "it fits once Tenant line may have 1 HI pods"]),
        (preempted, ["a HI pod needs its room"]),
        (throttled, ["is throttled because it is held responsible for a hazard"]),
        (running, ["released from its owner: its replacement starts, then it is evicted"]),
    ],
)
def test_the_cause_is_found_with_one_command(
    situation: Callable[[], Explanation | PodStory], words: list[str]
) -> None:
    text = text_of(situation())

    assert [one for one in words if one not in text] == []


def said_of_a_preempted_pod() -> PodStory:
    plant = FakePlant(nodes={"a": 4})
    plant.add("arm", "LOW", 4, node="a")
    plant.add("high", "HI", 4)
    preemption.Process(plant).run(5)
    return told(
        *(event(why, "k40s-controller", text) for why, pod, text in plant.said if pod == "arm")
    )


def said_of_a_migrated_pod() -> PodStory:
    cluster = FakeCluster(levels_by_node={"a": 10, "b": 16})
    cluster.add_deployment("arm", node="a")
    migration.Process(cluster).run(60)
    of_pod = ((why, text) for why, about, text in cluster.said if about.startswith("Pod "))
    return told(*(event(why, "k40s-controller", text) for why, text in of_pod))


def said_of_a_file() -> str:
    """``k40s explain -f``, before anything is asked."""
    pod = {"kind": "Pod", "apiVersion": "v1", "spec": {"containers": [{"name": "main"}]}}
    annotated = pod | {"metadata": {"name": "arm", "annotations": {"k40s.io/critcality": "HI"}}}
    with pytest.raises(InvalidInputError) as refused:
        read_pod_manifests(json.dumps(annotated), source="pod.yaml")
    return str(refused.value)


BY_CAUSE: dict[str, Callable[[], str | Explanation | PodStory]] = {
    "misspelt key": said_of_a_file,
    "no platform": no_platform,
    "node too low": node_too_low,
    "core full": full_core,
    "slot full": slot_full,
    "silent daemon": silent_daemon,
    "tenant's bound": tenants_bound,
    "preempted": said_of_a_preempted_pod,
    "throttled": throttled,
    "migrated": said_of_a_migrated_pod,
}


@pytest.mark.parametrize("cause", BY_CAUSE)
def test_the_page_shows_texts_of_the_answer(cause: str) -> None:
    assert missing(cause, text_of(BY_CAUSE[cause]())) == []


def test_the_page_has_these_situations_and_texts_for_each() -> None:
    assert list(situations()) == list(BY_CAUSE)
    assert all(situations().values())


@pytest.mark.parametrize("shown", [no_platform, slot_full])
def test_every_whole_answer_of_the_page_is_the_real_one(
    shown: Callable[[], Explanation | PodStory],
) -> None:
    assert text_of(shown()) in PAGE.read_text(encoding="utf-8")


def test_the_answer_names_no_pod_that_is_hidden() -> None:
    found = refused()
    nodes = tuple(
        replace(
            node,
            obstacles=tuple(replace(one, namespace="", pod="") for one in node.obstacles),
            remedies=(),
        )
        for node in found.nodes
    )

    text = explanation_text(replace(found, nodes=nodes), wide=True)

    assert "vision" not in text
    assert "a pod that you may not see (LOW)" in text


def test_the_way_out_is_that_of_a_node_which_refuses_likewise_and_has_one() -> None:
    found = slot_full()
    (helped,) = found.nodes
    without = replace(helped, name="edge-0", remedies=())

    text = text_of(replace(found, nodes=(without, helped)))

    assert "Nearest is edge-1: it fits without default/camera-0 (NO)." in text

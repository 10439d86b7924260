"""Prioritize: HI to the highest, LOW to the least that suffices, NO packed, real-time with room."""

import pytest

from extender.cache.assurance_tables import clamp, score_assurance
from extender.placement.score import score_remaining
from k40s.criticality import Criticality
from tests.fakes.extender.world import (
    World,
    make_cpu_node,
    make_cpu_state,
    make_node,
    make_pod,
    make_pod_record,
    make_task,
)


@pytest.fixture
def world() -> World:
    world = World()
    for level in (20, 17, 14, 7, 6):
        world.add(make_node(f"n{level}", level=level))
    return world


NAMES = ["n20", "n17", "n14", "n7", "n6"]


def test_hi_spreads_toward_the_highest_assurance(world: World) -> None:
    scores = world.prioritize(make_pod(criticality="HI"), NAMES)

    assert scores == {"n20": 10, "n17": 5, "n14": 0, "n7": 0, "n6": 0}


def test_low_prefers_the_least_assurance_that_suffices(world: World) -> None:
    scores = world.prioritize(make_pod(criticality="LOW"), NAMES)

    assert scores["n7"] == 10
    assert scores["n7"] > scores["n14"] > scores["n17"] > scores["n20"] == 0
    assert scores["n6"] == 0


def test_no_packs_onto_the_nodes_that_are_used_most(world: World) -> None:
    world.cache.pods.replace(
        [
            make_pod_record("a", node="n7", millis=1000),
            make_pod_record("b", node="n7", millis=1000),
            make_pod_record("c", node="n6", millis=1000),
            make_pod_record("d", node="n20", phase="Succeeded", millis=4000),
            make_pod_record("e", millis=4000),
        ]
    )

    scores = world.prioritize(make_pod(), NAMES)

    assert scores == {"n20": 1, "n17": 1, "n14": 1, "n7": 10, "n6": 5}


def test_no_leaves_real_time_nodes_alone_however_full_they_are(world: World) -> None:
    world.add(make_node("rt", level=20, cpu=make_cpu_state()))
    world.cache.pods.upsert(make_pod_record("a", node="rt", millis=9000))
    world.cache.pods.upsert(make_pod_record("b", node="n6", millis=100))

    scores = world.prioritize(make_pod(), ["rt", "n6", "n7"])

    assert scores == {"rt": 0, "n6": 10, "n7": 1}


def test_a_bound_pod_counts_before_the_watch_says_so(world: World) -> None:
    world.cache.pods.upsert(make_pod_record("uid-pod"))
    pod = make_pod()
    world.filter(pod, NAMES)

    world.bind(pod, "n14")

    assert world.prioritize(make_pod("next"), NAMES)["n14"] == 10


def test_real_time_adds_what_the_least_loaded_core_has_left() -> None:
    world = World()
    half = make_cpu_node(cores=(0, 1))
    world.add(
        make_node("idle", level=20, cpu=make_cpu_state(half)),
        make_node("general", level=20),
        make_node("low", level=14, cpu=make_cpu_state(half)),
    )
    pod = make_pod(criticality="HI", tasks=[make_task()])

    scores = world.prioritize(pod, ["idle", "general", "low"])

    assert scores == {"idle": 10, "general": 0, "low": 5}


def test_an_invalid_pod_scores_nothing(world: World) -> None:
    assert world.prioritize(make_pod(criticality="high"), ["n20"]) == {"n20": 0}


def test_scores_repeat(world: World) -> None:
    pod = make_pod(criticality="LOW")

    assert world.prioritize(pod, NAMES) == world.prioritize(pod, list(reversed(NAMES)))


@pytest.mark.parametrize(("raw", "score"), [(-5, 0), (0, 0), (7, 7), (10, 10), (99, 10)])
def test_scores_are_clamped(raw: int, score: int) -> None:
    assert clamp(raw) == score


def test_thresholds_at_the_top_leave_no_span() -> None:
    assert score_assurance(20, criticality=Criticality.HI, threshold=20) == 0


@pytest.mark.parametrize(("remaining", "score"), [(0.0, 5), (0.5, 8), (1.0, 10)])
def test_remaining_utilization_counts_half(remaining: float, score: int) -> None:
    assert score_remaining(10, remaining) == score

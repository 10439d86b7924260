"""The controller dies before or after any of its requests, and the next one goes on."""

import pytest

from k40s.annotations import PREEMPTIONS_KEY
from k40s.annotations.preemption_history import parse_preemptions
from k40s.errors import UnavailableError
from k40s.kube.transport import RefusedError, TooManyRequestsError
from tests.fakes.controller.preemption import FakePlant, Process

REQUESTS = 19
"""Of a whole preemption of two victims, from the first question to the withdrawal."""


def scene(grace_s: int = 2) -> FakePlant:
    plant = FakePlant(nodes={"a": 4, "b": 4}, grace_s=grace_s)
    plant.add("low-1", "LOW", 2, node="a")
    plant.add("low-2", "LOW", 2, node="a")
    plant.add("peer", "HI", 4, node="b")
    plant.add("high", "HI", 4)
    return plant


def begun(plant: FakePlant) -> list[str]:
    return [one.uid for one in parse_preemptions(plant.notes[PREEMPTIONS_KEY]).entries]


def check(plant: FakePlant) -> None:
    """Exactly once, and nothing is left."""
    assert plant.node_of("high") == "a"
    assert sorted(plant.evicted) == ["low-1", "low-2"]
    assert plant.claims() == []
    assert begun(plant) == ["uid-high"]


def test_a_whole_preemption_has_so_many_requests() -> None:
    plant = scene()

    Process(plant).run(30)

    assert len(plant.requests) == REQUESTS
    check(plant)


@pytest.mark.parametrize("number", range(REQUESTS))
@pytest.mark.parametrize("after", [False, True])
def test_whatever_the_step_the_next_leader_finishes_and_evicts_nobody_twice(
    number: int, *, after: bool
) -> None:
    plant = scene()
    plant.crash_at, plant.crash_after = number, after

    crashed = Process(plant).crashes(30)
    plant.crash_at = None
    Process(plant).run(60)

    assert crashed
    check(plant)


@pytest.mark.parametrize("number", range(REQUESTS))
@pytest.mark.parametrize("after", [False, True])
def test_nothing_is_left_of_a_pod_that_goes_while_nobody_leads(number: int, *, after: bool) -> None:
    plant = scene()
    plant.crash_at, plant.crash_after = number, after

    Process(plant).crashes(30)
    evicted = list(plant.evicted)
    plant.crash_at = None
    del plant.items["uid-high"]
    Process(plant).run(60)

    assert plant.evicted == evicted
    assert plant.claims() == []


@pytest.mark.parametrize("number", range(REQUESTS))
def test_a_claim_outlived_by_a_long_outage_is_withdrawn(number: int) -> None:
    plant = scene()
    plant.places = False
    plant.crash_at, plant.crash_after = number, True

    Process(plant).crashes(30)
    plant.crash_at = None
    plant.now += 3600 * 10**9
    plant.pass_time(0)
    Process(plant).run(0.5)

    assert plant.claims() == []


CALLS = ("plan", "budgets", "evict", "pod", "set_claim", "annotate")
ERRORS = (UnavailableError, RefusedError, TooManyRequestsError)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("place", range(2))
@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("after", [False, True])
def test_a_request_that_fails_evicts_nobody_twice(
    call: str, place: int, error: type[Exception], *, after: bool
) -> None:
    plant = scene()
    method, calls = getattr(plant, call), []

    def failing(*arguments: object, **named: object) -> object:
        calls.append(call)
        if len(calls) != place + 1:
            return method(*arguments, **named)
        if after:
            method(*arguments, **named)
        raise error(call)

    setattr(plant, call, failing)

    Process(plant).run(60)

    check(plant)


def test_a_victim_that_is_ending_counts_as_evicted() -> None:
    plant = scene(grace_s=20)
    process = Process(plant)
    process.run(1.5)
    assert plant.claims() == ["high"]
    plant.evict("default", "low-1", uid="uid-low-1")

    process.run(60)

    assert sorted(plant.evicted) == ["low-1", "low-2"]
    assert plant.node_of("high") == "a"


def test_a_new_pod_of_a_victims_name_is_left_alone() -> None:
    plant = scene()
    plant.crash_at = plant_requests_before_the_first_eviction()
    Process(plant).crashes(30)
    plant.crash_at = None
    del plant.items["uid-low-1"]
    plant.nodes["a"] = 6
    plant.add("low-1", "LOW", 2, node="a")
    plant.items["uid-again"] = plant.items.pop("uid-low-1")
    plant.items["uid-again"]["metadata"]["uid"] = "uid-again"

    Process(plant).run(60)

    assert plant.evicted == ["low-2"]
    assert plant.node_of("high") == "a"
    assert "uid-again" in plant.items


def plant_requests_before_the_first_eviction() -> int:
    plant = scene()
    Process(plant).run(30)
    return plant.requests.index("evict")

"""Whom the plan would move, and each reason why not."""

from dataclasses import replace

import pytest

from k40s.assurance.level import DEFAULT_THRESHOLDS
from k40s.assurance.migration.candidates import (
    Obstacle,
    PlacedPod,
    destinations,
    find_limit,
    find_obstacle,
    order,
    track,
)
from k40s.assurance.migration.policy import HOUR, MigrationPolicy
from k40s.assurance.migration.progress import Step, find_step, is_in_progress, is_replaced
from k40s.assurance.migration.record import History, PastMove, Phase, Release
from k40s.criticality import Criticality
from k40s.units import NS_PER_S, Nanoseconds

NOW = 10**18
POLICY = MigrationPolicy()
POD = PlacedPod(
    uid="u",
    namespace="default",
    name="web-1",
    node="a",
    criticality=Criticality.HI,
    kind="ReplicaSet",
    owner="Deployment default/web",
    created=NOW - 86_400 * NS_PER_S,
)
SINCE = {("a", Criticality.HI): NOW - 3600 * NS_PER_S}


def ago(seconds: float, *, owner: str = POD.owner, node: str = "z") -> PastMove:
    return PastMove(at=NOW - int(seconds * NS_PER_S), owner=owner, pod="default/p", node=node)


def obstacle(pod: PlacedPod = POD, *moves: PastMove) -> Obstacle | None:
    return find_obstacle(pod, SINCE, History(moves=moves), POLICY, NOW)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, None),
        ({"kind": ""}, Obstacle.NO_CONTROLLER),
        ({"kind": "DaemonSet"}, Obstacle.DAEMON_SET),
        ({"kind": "Node"}, Obstacle.STATIC),
        ({"static": True}, Obstacle.STATIC),
        ({"returned": NOW - 599 * NS_PER_S}, Obstacle.POD_COOLDOWN),
        ({"returned": NOW - 600 * NS_PER_S}, None),
    ],
)
def test_what_a_pod_is_may_keep_it_there(
    changes: dict[str, object], found: Obstacle | None
) -> None:
    assert obstacle(replace(POD, **changes)) is found  # type: ignore[arg-type]  # fields of it


@pytest.mark.parametrize(("since", "found"), [(4.9, Obstacle.HOLD_OFF), (5, None)])
def test_a_level_has_to_be_too_low_for_the_hold_off(since: float, found: Obstacle | None) -> None:
    insufficient = {("a", Criticality.HI): NOW - int(since * NS_PER_S)}

    assert find_obstacle(POD, insufficient, History(), POLICY, NOW) is found


@pytest.mark.parametrize(
    ("seconds", "found"), [(59, Obstacle.OWNER_COOLDOWN), (60, None), (1799, None)]
)
def test_an_older_pod_waits_only_for_its_owners_cooldown(
    seconds: float, found: Obstacle | None
) -> None:
    assert obstacle(POD, ago(seconds)) is found


@pytest.mark.parametrize(
    ("created", "moved", "found"),
    [
        (100, 101, Obstacle.RESTING),
        (100, 99, Obstacle.RESTING),  # clocks differ
        (140, 100, None),  # older than the move for certain
        (1700, 1799, Obstacle.RESTING),
        (1700, 1801, None),
    ],
)
def test_what_was_created_after_a_move_of_its_owner_rests(
    created: float, moved: float, found: Obstacle | None
) -> None:
    pod = replace(POD, created=NOW - int(created * NS_PER_S))

    assert obstacle(pod, ago(moved)) is found


def test_moves_of_other_owners_do_not_count_for_it() -> None:
    pod = replace(POD, created=NOW)

    assert obstacle(pod, ago(1, owner="Deployment default/other")) is None


@pytest.mark.parametrize(
    ("moves", "in_progress", "found"),
    [
        ((), False, None),
        ((), True, Obstacle.IN_PROGRESS),
        ((9,), False, Obstacle.INTERVAL),
        ((10,), False, None),
        (range(100, 3400, 300), False, None),
        (range(100, 3600, 300), False, Obstacle.PER_HOUR),
    ],
)
def test_limits_of_the_cluster(
    moves: tuple[int, ...],
    in_progress: bool,
    found: Obstacle | None,  # a parameter
) -> None:
    history = History(moves=tuple(map(ago, sorted(moves, reverse=True))))

    assert find_limit(history, POLICY, NOW, in_progress=in_progress) is found


@pytest.mark.parametrize(
    ("namespace", "moves", "found"),
    [
        ("default", POLICY.per_namespace, Obstacle.PER_NAMESPACE),
        ("default", POLICY.per_namespace - 1, None),
        ("other", POLICY.per_namespace, None),
        ("def", POLICY.per_namespace, None),
    ],
)
def test_one_namespace_does_not_use_up_the_moves_of_the_others(
    namespace: str, moves: int, found: Obstacle | None
) -> None:
    pod = replace(POD, namespace=namespace, owner=f"Deployment {namespace}/late")
    history = [ago(100 + n, owner=f"Deployment default/{n}") for n in range(moves)]

    assert obstacle(pod, *history, ago(3601), ago(3700)) is found


def test_a_move_leaves_the_hour_after_an_hour() -> None:
    history = History(moves=tuple(ago(HOUR // NS_PER_S) for _ in range(POLICY.per_hour)))

    assert find_limit(history, POLICY, NOW, in_progress=False) is None


def test_since_when_a_level_is_too_low() -> None:
    first = track({}, {"a": 10, "b": 3, "c": 20, "d": None}, DEFAULT_THRESHOLDS, 1)
    second = track(first, {"a": 13, "b": 8, "c": None}, DEFAULT_THRESHOLDS, 2)
    third = track(second, {"a": 14, "b": 3, "c": 3}, DEFAULT_THRESHOLDS, 3)

    low, high = Criticality.LOW, Criticality.HI
    assert first == {("a", high): 1, ("b", low): 1, ("b", high): 1}
    assert second == {("a", high): 1, ("b", high): 1}
    assert third == {("b", low): 3, ("b", high): 1, ("c", low): 3, ("c", high): 3}


def test_hi_comes_first_then_the_longest_in_danger() -> None:
    low = replace(POD, name="low", criticality=Criticality.LOW)
    early, late = replace(POD, name="z"), replace(POD, name="a", node="b")
    insufficient = {
        ("a", Criticality.LOW): 0,
        ("a", Criticality.HI): 1,
        ("b", Criticality.HI): 2,
    }

    found = order([low, late, early, replace(POD, node="c")], insufficient)

    assert [pod.name for pod in found] == ["z", "a", "low"]


def test_no_destination_is_its_own_node_or_one_that_was_left_lately() -> None:
    history = History(moves=(ago(1801, node="old"), ago(1799, node="left")))

    assert destinations(["a", "b", "left", "old"], POD, history, POLICY, NOW) == ["b", "old"]


RELEASE = Release(
    phase=Phase.RELEASED,
    at=NOW,
    node="a",
    owner=POD.owner,
    replica_set="web-1",
    replica_set_uid="rs",
    template_hash="1",
    wanted=2,
)


@pytest.mark.parametrize(
    ("ready", "desired", "replaced"),
    [(1, 2, False), (2, 2, True), (1, 1, True), (0, 0, True), (2, 5, True)],
)
def test_a_pod_is_replaced_when_as_many_are_ready_as_before(
    ready: int, desired: int, *, replaced: bool
) -> None:
    assert is_replaced(RELEASE, ready=ready, desired=desired) is replaced


@pytest.mark.parametrize(
    ("wanted", "replaced_for", "seconds", "step"),
    [
        (True, None, 0, Step.WAIT),
        (True, None, 119, Step.WAIT),
        (True, None, 120, Step.GIVE_BACK),
        (True, 0.9, 200, Step.WAIT),
        (True, 1, 5, Step.EVICT),
        (True, 1, 200, Step.EVICT),
        (False, None, 0, Step.EVICT),
        (False, 0, 200, Step.EVICT),
    ],
)
def test_the_next_step_of_a_move(
    wanted: bool,  # a parameter
    replaced_for: float | None,
    seconds: int,
    step: Step,
) -> None:
    found = find_step(
        RELEASE,
        wanted=wanted,
        replaced_for=None if replaced_for is None else int(replaced_for * NS_PER_S),
        settle=NS_PER_S,
        policy=POLICY,
        now=NOW + seconds * NS_PER_S,
    )

    assert found is step


def test_a_move_is_in_progress_until_its_timeout() -> None:
    end = NOW + POLICY.surge_timeout

    assert is_in_progress(RELEASE, POLICY, end - 1)
    assert not is_in_progress(RELEASE, POLICY, end)
    assert not is_in_progress(replace(RELEASE, phase=Phase.RETURNED), POLICY, NOW)


@pytest.mark.parametrize(
    "changes",
    [
        {"per_hour": 0},
        {"per_hour": 61},
        {"per_namespace": 0},
        {"rest": Nanoseconds(0)},
        {"rest": Nanoseconds(2 * HOUR + 1)},
        {"hold_off": Nanoseconds(-1)},
        {"surge_timeout": Nanoseconds(0)},
    ],
)
def test_limits_that_make_no_sense_are_refused_with_what_would(changes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"found .*, expected "):
        MigrationPolicy(**changes)  # type: ignore[arg-type]  # fields of it

from dataclasses import replace

import pytest

from k40s.assurance.eviction import (
    EvictionObstacle,
    EvictionPolicy,
    NodePod,
    find_eviction_obstacle,
    remember,
)
from k40s.assurance.migration.policy import HOUR
from k40s.assurance.migration.record import History
from k40s.criticality import Criticality
from k40s.units import NS_PER_S

NOW = 1_800_000_000 * NS_PER_S
NOISY = NodePod(
    uid="noisy",
    namespace="tenant",
    name="noisy-1",
    node="edge-1",
    criticality=Criticality.NO,
    kind="ReplicaSet",
    owner="Deployment tenant/noisy",
)
CRITICAL = replace(
    NOISY, uid="hi", name="hi-1", criticality=Criticality.HI, owner="Deployment a/hi"
)
POLICY = EvictionPolicy(enabled=True)


def obstacle(
    pod: NodePod | None = NOISY,
    *,
    beside: tuple[NodePod, ...] = (CRITICAL,),
    history: History | None = None,
    now: int = NOW,
) -> EvictionObstacle | None:
    return find_eviction_obstacle(pod, beside, history or History(), POLICY, now)


def test_a_less_critical_pod_with_a_controller_may_be_evicted() -> None:
    assert obstacle() is None


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        (None, EvictionObstacle.UNKNOWN_POD),
        (replace(NOISY, ending=True), EvictionObstacle.UNKNOWN_POD),
        (replace(NOISY, system=True), EvictionObstacle.PROTECTED),
        (replace(NOISY, criticality=None), EvictionObstacle.PROTECTED),
        (replace(NOISY, criticality=Criticality.HI), EvictionObstacle.NOT_LOWER),
        (replace(NOISY, kind=""), EvictionObstacle.NO_CONTROLLER),
        (replace(NOISY, kind="DaemonSet"), EvictionObstacle.BOUND_TO_NODE),
        (replace(NOISY, static=True), EvictionObstacle.BOUND_TO_NODE),
    ],
)
def test_who_may_never_be_evicted_stays(pod: NodePod | None, expected: EvictionObstacle) -> None:
    assert obstacle(pod) is expected


@pytest.mark.parametrize("criticality", [Criticality.LOW, Criticality.HI])
def test_the_most_critical_pods_of_a_node_stay_whoever_asks(criticality: Criticality) -> None:
    equal = replace(NOISY, criticality=criticality)
    other = replace(equal, uid="other")
    ending = replace(CRITICAL, ending=True)
    unreadable = replace(CRITICAL, criticality=None)

    for beside in ((), (other,), (other, ending), (other, unreadable)):
        assert obstacle(equal, beside=beside) is EvictionObstacle.NOT_LOWER


@pytest.mark.parametrize(
    ("pod", "seconds", "expected"),
    [
        (NOISY, 10, EvictionObstacle.OWNER_COOLDOWN),
        (replace(NOISY, owner="Deployment tenant/b"), 10, EvictionObstacle.INTERVAL),
        (NOISY, 700, None),
    ],
)
def test_the_next_eviction_waits(
    pod: NodePod, seconds: int, expected: EvictionObstacle | None
) -> None:
    history = remember(History(), NOISY, NOW - seconds * NS_PER_S)

    assert obstacle(pod, history=history) is expected


def evicted(*pods: NodePod) -> History:
    history = History()
    for number, pod in enumerate(pods):
        history = remember(history, pod, NOW - HOUR + (number + 1) * 60 * NS_PER_S)
    return history


def elsewhere(number: int, namespace: str = "tenant") -> NodePod:
    owner = f"Deployment {namespace}/{number}"
    return replace(NOISY, node=f"edge-{number + 2}", namespace=namespace, owner=owner)


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        (evicted(*[replace(NOISY, owner=f"Job x/{n}", namespace="x") for n in range(2)]), "node-"),
        (evicted(*[elsewhere(n) for n in range(3)]), "namespace-"),
        (evicted(*[elsewhere(n, f"n{n}") for n in range(6)]), "per-hour"),
        (evicted(*[elsewhere(n, f"n{n}") for n in range(5)]), None),
    ],
)
def test_node_namespace_and_cluster_have_their_limits_of_an_hour(
    history: History, expected: str | None
) -> None:
    found = obstacle(history=history)

    assert (found is None) if expected is None else str(found).startswith(expected)


def test_the_history_forgets_what_no_limit_looks_at() -> None:
    old = remember(History(), NOISY, NOW - HOUR)

    assert len(remember(old, NOISY, NOW).moves) == 1


@pytest.mark.parametrize("wrong", [{"per_hour": 0}, {"per_node": 61}, {"per_namespace": 0}])
def test_limits_that_make_no_sense_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="evictions per hour"):
        EvictionPolicy(**wrong)  # type: ignore[arg-type]  # numbers alone


def test_a_time_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="interval"):
        EvictionPolicy(interval=HOUR * 2)  # type: ignore[arg-type]  # the same unit

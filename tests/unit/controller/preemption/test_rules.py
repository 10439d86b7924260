"""The rules of preemption, as functions of values."""

from dataclasses import replace

import pytest

from controller.preemption_rules.budgets import Evictable, find_protected
from controller.preemption_rules.candidates import Obstacle, Preemptor, find_limit, order
from controller.preemption_rules.policy import PreemptionPolicy
from controller.preemption_rules.progress import End, Step, find_end, find_step
from controller.preemption_rules.victims import Fault, Target, find_fault
from k40s.annotations import Claim
from k40s.annotations.preemption_history import PastPreemption, PreemptionHistory
from k40s.criticality import Criticality
from k40s.kube.objects.budgets import BudgetRecord
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds
from tests.fakes.controller.preemption import budget

POLICY = PreemptionPolicy()
HOUR = 3600 * NS_PER_S
START = 10 * HOUR


def preemptor(name: str, criticality: Criticality, created: int) -> Preemptor:
    return Preemptor(uid=name, namespace="x", name=name, criticality=criticality, created=created)


def past(uid: str, at: int, victims: int = 1, namespace: str = "x") -> PastPreemption:
    return PastPreemption(at=at, uid=uid, namespace=namespace, victims=victims)


def test_the_order_is_by_criticality_then_turn_then_age_then_name() -> None:
    pods = [
        preemptor("c", Criticality.LOW, 1),
        preemptor("b", Criticality.HI, 2),
        preemptor("a", Criticality.HI, 2),
        preemptor("d", Criticality.HI, 1),
    ]

    due = {"a": 1, "b": 1, "c": 0, "d": 1}
    assert [one.name for one in order(pods, due)] == ["d", "a", "b", "c"]
    assert [one.name for one in order(pods, due | {"b": 0})] == ["b", "d", "a", "c"]


@pytest.mark.parametrize(
    ("entries", "victims", "limit"),
    [
        ([], 15, None),
        ([], 16, Obstacle.NAMESPACE),
        ([], 61, Obstacle.PER_HOUR),
        ([past("p", START - 599 * NS_PER_S)], 1, Obstacle.RESTING),
        ([past("p", START - 600 * NS_PER_S)], 1, None),
        ([past("o", START - NS_PER_S + 1)], 1, Obstacle.INTERVAL),
        ([past("o", START + NS_PER_S - 1)], 1, Obstacle.INTERVAL),
        ([past("o", START + NS_PER_S)], 1, None),
        ([past("o", START + HOUR, 15)], 1, Obstacle.NAMESPACE),
        ([past("o", START + HOUR + 1, 15)], 1, None),
        ([past("p", START + HOUR + 1)], 1, None),
        ([past("o", START - HOUR + 1, 15)], 1, Obstacle.NAMESPACE),
        ([past("o", START - HOUR, 15)], 1, None),
        ([past("o", START - HOUR + 1, 15, "y")], 1, None),
        ([past(str(n), START - HOUR + 1 + n, 15, str(n)) for n in range(4)], 1, Obstacle.PER_HOUR),
    ],
)
def test_limits_look_back_an_hour(
    entries: list[PastPreemption], victims: int, limit: Obstacle | None
) -> None:
    pod, history = preemptor("p", Criticality.HI, 1), PreemptionHistory(entries=tuple(entries))

    assert find_limit(pod, history, POLICY, START, victims=victims) is limit


def test_the_last_quarter_is_for_namespaces_that_have_had_no_victims() -> None:
    others = [past(str(number), START - HOUR + 1, 11, str(number)) for number in range(4)]
    history = PreemptionHistory(entries=(*others, past("o", START - HOUR + 1, 1, "x")))
    served, fresh = (
        preemptor("p", Criticality.HI, 1),
        replace(preemptor("q", Criticality.HI, 1), namespace="fresh"),
    )

    assert POLICY.kept_per_hour == 15
    assert find_limit(served, history, POLICY, START, victims=1) is Obstacle.PER_HOUR
    assert find_limit(fresh, history, POLICY, START, victims=15) is None


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({}, None),
        ({"uid": "p"}, Fault.ITSELF),
        ({"criticality": None}, Fault.UNKNOWN),
        ({"criticality": Criticality.LOW}, Fault.NOT_LESS),
        ({"criticality": Criticality.HI}, Fault.NOT_LESS),
        ({"node": "b"}, Fault.ELSEWHERE),
        ({"static": True}, Fault.STATIC),
        ({"namespace": "kube-system"}, Fault.SYSTEM),
    ],
)
def test_who_may_go(change: dict[str, object], fault: Fault | None) -> None:
    facts: dict[str, object] = {
        "uid": "v",
        "namespace": "x",
        "node": "a",
        "criticality": Criticality.NO,
        "static": False,
        **change,
    }

    found = find_fault(
        Target(**facts),  # type: ignore[arg-type]  # what the test chooses
        preemptor="p",
        criticality=Criticality.LOW,
        node="a",
        system=("kube-system",),
    )

    assert found is fault


def victim(uid: str, *, started: bool = True, ready: bool = True, **labels: str) -> Evictable:
    return Evictable(uid=uid, namespace="default", labels=labels, started=started, ready=ready)


def test_a_budget_protects_as_many_as_it_cannot_spare() -> None:
    victims = [victim(str(number), tier="x") for number in range(4)]

    assert find_protected(victims, [budget("b", 3, tier="x")]) == {"3"}
    assert find_protected(victims, [budget("b", 0, tier="y")]) == frozenset()
    assert find_protected(victims, [budget("b", 0, namespace="other", tier="x")]) == frozenset()
    assert find_protected(victims, [budget("b", 9, tier="x"), budget("c", 9)]) == set("0123")


def test_pods_that_have_not_started_and_unready_ones_count_as_at_the_api_server() -> None:
    closed = budget("b", 0, tier="x")
    sparing = BudgetRecord(
        namespace="default", name="b", selector=closed.selector, allowed=0, spares_unready=True
    )

    assert find_protected([victim("v", started=False, tier="x")], [closed]) == frozenset()
    assert find_protected([victim("v", ready=False, tier="x")], [closed]) == {"v"}
    assert find_protected([victim("v", ready=False, tier="x")], [sparing]) == frozenset()
    assert find_protected([victim("v", tier="x")], [sparing]) == {"v"}


CLAIM = Claim(node="a", at=START, until=START + 60 * NS_PER_S)


@pytest.mark.parametrize(
    ("change", "end"),
    [
        ({}, None),
        ({"claim": None}, End.INVALID),
        ({"node": "a"}, End.BOUND),
        ({"node": "b"}, End.ELSEWHERE),
        ({"wanted": False}, End.UNNEEDED),
        ({"enabled": False}, End.SWITCHED_OFF),
        ({"now": START + 16 * NS_PER_S}, None),
        ({"now": START + 16 * NS_PER_S, "begun": False}, End.STALE),
        ({"now": START + 14 * NS_PER_S, "begun": False}, None),
        ({"now": START + 60 * NS_PER_S}, End.EXPIRED),
        ({"now": START + 60 * NS_PER_S, "remaining": 0}, End.LOST),
        ({"claim": Claim(node="-", at=START, until=START), "begun": False}, End.RECALLED),
    ],
)
def test_when_a_claim_ends(change: dict[str, object], end: End | None) -> None:
    facts: dict[str, object] = {
        "claim": CLAIM,
        "node": "",
        "wanted": True,
        "enabled": True,
        "begun": True,
        "remaining": 1,
        "policy": POLICY,
        "now": START + NS_PER_S,
        **change,
    }

    assert find_end(**facts) is end  # type: ignore[arg-type]  # what the test chooses


@pytest.mark.parametrize(
    ("begun", "untouched", "after", "step"),
    [
        (False, 2, 299 * NS_PER_MS, Step.WAIT),
        (False, 2, 300 * NS_PER_MS, Step.BEGIN),
        (True, 1, 0, Step.EVICT),
        (True, 0, 0, Step.WAIT),
    ],
)
def test_the_next_step(*, begun: bool, untouched: int, after: int, step: Step) -> None:
    found = find_step(CLAIM, begun=begun, untouched=untouched, policy=POLICY, now=START + after)

    assert found is step


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"per_hour": 0}, "found 0, expected 1 to 500"),
        ({"namespace_per_hour": 501}, "found 501, expected 1 to 500"),
        ({"claim": 4 * NS_PER_S}, "claim: found 4s, expected 5s to 3600s"),
        ({"rest": 3601 * NS_PER_S}, "rest: found 3601s"),
        ({"retry": 0}, "retry: found 0ns"),
        ({"interval": -1}, "interval: found -1ns"),
        ({"settle": 16 * NS_PER_S}, "settle: expected at most half of claim"),
    ],
)
def test_a_limit_outside_its_range_is_refused(values: dict[str, int], said: str) -> None:
    with pytest.raises(ValueError, match=r"found|expected") as refused:
        PreemptionPolicy(**{key: Nanoseconds(one) for key, one in values.items()})

    assert said in str(refused.value)

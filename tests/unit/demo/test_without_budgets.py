"""Where a node can hold nobody to a budget, the story says so, and no claim fails for that."""

import json
from fractions import Fraction

import pytest

from demo.chapters.without_budgets import leave_nothing, refuse_what_cannot_be_held
from demo.observer import Observer
from demo.stage import Stage
from demo.story import problems_in
from k40s.annotations import CPU_STATE_KEY, REAL_TIME_LABEL, CpuState, format_cpu_state
from k40s.cpu.model import CpuNode, Mechanism
from k40s.cpu.outcome import ADMISSION_TEST
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds

REFUSAL = "0/2 nodes are available: 2 cpu.no-real-time: the node cannot enforce real-time budgets."


def state(mechanism: str) -> str:
    """What a node publishes that enforces by this, and holds nothing."""
    node = CpuNode(
        cores=(1,),
        tick=Nanoseconds(4 * NS_PER_MS),
        node_capacity=Fraction(0),
        core_capacity=Fraction(9, 10),
        platform="edge",
        platform_factor=Fraction(1),
    )
    return format_cpu_state(
        CpuState(
            generation=1,
            test=ADMISSION_TEST,
            mechanism=mechanism,
            endpoint="https://10.0.0.1:8441",
            lease=Nanoseconds(30 * NS_PER_S),
            node=node,
            utilization=node.utilizations(),
            complete=True,
        )
    )


class Cluster:
    """A node that enforces by ``mechanism``, and a pod that waits."""

    def __init__(self, mechanism: str = "none", *, refused: bool = True) -> None:
        self._mechanism = mechanism
        self._refused = refused
        self.said: list[str] = []

    def __call__(self, *args: str, stdin: str = "") -> str:
        del stdin
        if "node" in args:
            label = "false" if self._mechanism == "none" else "true"
            annotations = {CPU_STATE_KEY: state(self._mechanism)}
            metadata = {"annotations": annotations, "labels": {REAL_TIME_LABEL: label}}
            return json.dumps({"metadata": metadata})
        if "events" in args:
            return json.dumps({"items": [{"message": REFUSAL}] if self._refused else []})
        if "get" in args:
            phase = "Pending" if self._refused else "Running"
            return json.dumps({"metadata": {"uid": "u"}, "status": {"phase": phase}})
        return ""


def stage(cluster: Cluster) -> Stage:
    return Stage(
        observer=Observer(kubectl=cluster, group_prefix="none-"),
        real_time_node="edge-1",
        general_node="edge-2",
        say=cluster.said.append,
    )


def test_a_pod_that_cannot_be_held_waits_and_the_node_says_so() -> None:
    cluster = Cluster()

    checks = refuse_what_cannot_be_held(stage(cluster))

    assert [check.held for check in checks] == [True, True]
    assert checks[0].measured == "Pending: cpu.no-real-time"
    assert REFUSAL in cluster.said[-1]


def test_a_node_that_claims_to_hold_it_all_the_same_is_a_failure() -> None:
    checks = refuse_what_cannot_be_held(stage(Cluster("deadline")))

    assert [check.held for check in checks] == [True, False]


def test_nothing_is_reserved_in_the_end() -> None:
    (check,) = leave_nothing(stage(Cluster()))

    assert (check.held, check.measured) == (True, "0, 0 budgets")


@pytest.mark.parametrize(
    ("published", "found"),
    [
        ("none", None),
        ("deadline", Mechanism.DEADLINE),
        ("rt-cgroup", Mechanism.RT_CGROUP),
        ("rt-cgroup+deadline", Mechanism.RT_CGROUP),
    ],
)
def test_the_mechanism_is_what_the_node_publishes(published: str, found: Mechanism | None) -> None:
    assert stage(Cluster(published)).mechanism() is found


def test_why_a_node_holds_nothing_is_read_from_its_daemons_log() -> None:
    lines = [
        {"message": "starting"},
        {"message": "capability", "problems": ["older"]},
        {"message": "capability", "problems": ["deadline: no root domain", "rt-cgroup: none"]},
        {"message": "published", "problems": ["of something else"]},
    ]
    log = "\n".join(["Traceback", *map(json.dumps, lines)])

    assert problems_in(log) == ["deadline: no root domain", "rt-cgroup: none"]
    assert problems_in("no JSON at all") == []

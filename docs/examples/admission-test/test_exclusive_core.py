"""The example's own tests: ``python -m pytest`` in this directory, with k40s importable."""

from dataclasses import replace
from fractions import Fraction

import pytest
from exclusive_core import admit

from k40s.cpu.admission.invariants import find_breach
from k40s.cpu.model import ContainerDemand, CpuNode, Mechanism, PodDemand, Task
from k40s.cpu.outcome import Admission, Rejection
from k40s.criticality import Criticality
from k40s.reasons import Reason
from k40s.units import NS_PER_MS, Nanoseconds

NODE = CpuNode(
    cores=(1, 2),
    tick=Nanoseconds(4 * NS_PER_MS),
    node_capacity=Fraction(19, 20),
    core_capacity=Fraction(9, 10),
    platform="",
    platform_factor=Fraction(1),
)


def task(wcet_ms: int, period_ms: int = 100, name: str = "t", **changes: int) -> Task:
    return Task(
        name=name,
        wcet=Nanoseconds(wcet_ms * NS_PER_MS),
        period=Nanoseconds(period_ms * NS_PER_MS),
        deadline=Nanoseconds(changes.pop("deadline_ms", period_ms) * NS_PER_MS),
        **changes,  # type: ignore[arg-type]  # core or priority
    )


def pod(*tasks: Task, uid: str = "p", containers: int = 1) -> PodDemand:
    return PodDemand(
        pod_uid=uid,
        criticality=Criticality.HI,
        containers=tuple(
            ContainerDemand(container=f"c{number}", tasks=tasks) for number in range(containers)
        ),
    )


def admitted(node: CpuNode, demand: PodDemand) -> Admission:
    outcome = admit(node, demand)
    assert isinstance(outcome, Admission), outcome
    assert find_breach(node, demand, outcome) is None
    return outcome


def refused(node: CpuNode, demand: PodDemand) -> Reason:
    outcome = admit(node, demand)
    assert isinstance(outcome, Rejection)
    return outcome.reason


def test_each_pod_gets_a_core_for_itself() -> None:
    first = admitted(NODE, pod(task(10), uid="a"))
    second = admitted(first.node, pod(task(10), uid="b"))

    assert [held.core for held in second.node.reservations] == [1, 2]
    assert refused(second.node, pod(task(1), uid="c")) is Reason.CPU_NO_BANDWIDTH


def test_each_container_gets_a_core_for_itself() -> None:
    granted = admitted(NODE, pod(task(10), containers=2)).granted

    assert [(held.container, held.core) for held in granted] == [("c0", 1), ("c1", 2)]


def test_a_pod_that_asks_again_gets_the_same() -> None:
    first = admitted(NODE, pod(task(10)))

    assert admitted(first.node, pod(task(10))) == first


def test_the_more_urgent_task_has_the_higher_priority() -> None:
    (held,) = admitted(NODE, pod(task(5, name="slow"), task(5, 20, name="fast"))).granted

    assert held.priorities == (97, 98)


def test_the_budget_holds_all_that_can_come_in_one_period() -> None:
    (held,) = admitted(NODE, pod(task(10))).granted

    wcet_and_overhead = 10_120_000
    assert held.server.period == 400 * NS_PER_MS
    assert held.server.budget == 6 * wcet_and_overhead  # five in 404 ms, and one that was late


@pytest.mark.parametrize(
    ("tasks", "reason"),
    [
        ((task(51),), Reason.CPU_NOT_SCHEDULABLE),
        ((task(26, deadline_ms=50),), Reason.CPU_NOT_SCHEDULABLE),
        ((task(25, 100, "a"), task(13, 50, "b")), Reason.CPU_NOT_SCHEDULABLE),
        ((task(400, 1_000),), Reason.CPU_NOT_SCHEDULABLE),
        ((task(10, priority=3),), Reason.CPU_NOT_SCHEDULABLE),
        ((task(10, core=7),), Reason.CPU_NO_BANDWIDTH),
    ],
)
def test_what_the_test_does_not_cover_is_refused(tasks: tuple[Task, ...], reason: Reason) -> None:
    assert refused(NODE, pod(*tasks)) is reason


def test_a_task_gets_the_core_that_it_asks_for() -> None:
    (held,) = admitted(NODE, pod(task(10, core=2))).granted

    assert held.core == 2


def test_the_nodes_sum_over_all_cores_is_kept() -> None:
    first = admitted(NODE, pod(task(40), uid="a"))

    assert refused(first.node, pod(task(40), uid="b")) is Reason.CPU_NODE_BANDWIDTH


def test_other_enforcement_is_refused() -> None:
    wish = replace(pod(task(10)), mechanism=Mechanism.DEADLINE)

    assert refused(NODE, wish) is Reason.CPU_NO_MECHANISM


def test_budget_groups_have_numbers_of_their_own_where_they_are_shared() -> None:
    shared = replace(NODE, shared_groups=True)
    first = admitted(shared, pod(task(10), uid="a"))
    second = admitted(first.node, pod(task(10), uid="b"))

    assert [held.group for held in second.node.reservations] == [0, 1]

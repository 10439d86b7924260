"""What a thread is charged for others' system calls is in its budget, or it is endangered."""

from dataclasses import replace
from fractions import Fraction

import pytest

from k40s.annotations import CpuState, format_cpu_state, parse_cpu_state
from k40s.cpu.admission.admit import admit
from k40s.cpu.admission.endangered import endangered_pods
from k40s.cpu.model import (
    ContainerDemand,
    CpuNode,
    DeadlineOffer,
    Domain,
    Mechanism,
    PodDemand,
    Task,
)
from k40s.cpu.outcome import Admission, Rejection
from k40s.criticality import Criticality
from k40s.units import NS_PER_S, NS_PER_US, Nanoseconds


def us(microseconds: int) -> Nanoseconds:
    return Nanoseconds(microseconds * NS_PER_US)


def node(delay: int) -> CpuNode:
    offer = DeadlineOffer(
        tick=us(1200), capacity=Fraction(9, 10), domain=Domain.PARTITIONED, delay=us(delay)
    )
    return CpuNode(
        cores=(0,),
        tick=us(4000),
        node_capacity=Fraction(0),
        core_capacity=Fraction(9, 10),
        platform="",
        platform_factor=Fraction(1),
        deadline=offer,
    )


def loop(delay: int) -> Admission | Rejection:
    task = Task(name="ctl", wcet=us(300), period=us(2000), deadline=us(2000))
    demand = PodDemand(
        pod_uid="p",
        criticality=Criticality.HI,
        containers=(ContainerDemand(container="main", tasks=(task,)),),
        mechanism=Mechanism.DEADLINE,
    )
    return admit(node(delay), demand)


@pytest.mark.parametrize(("delay", "budget"), [(0, 420), (100, 520), (1100, 1520)])
def test_the_budget_has_the_delay(delay: int, budget: int) -> None:
    outcome = loop(delay)

    assert isinstance(outcome, Admission)
    assert outcome.granted[0].server.budget == us(budget)
    assert endangered_pods(outcome.node) == frozenset()


def test_a_delay_that_leaves_no_time_refuses_the_loop() -> None:
    assert isinstance(loop(1600), Rejection)


def test_a_delay_that_grows_endangers_whom_it_was_not_counted_for() -> None:
    outcome = loop(100)
    assert isinstance(outcome, Admission)

    later = replace(outcome.node, deadline=node(200).deadline)

    assert endangered_pods(later) == {"p"}


@pytest.mark.parametrize(("delay", "version"), [(0, 2), (100, 4)])
def test_the_published_state_has_it_in_a_version_of_its_own(delay: int, version: int) -> None:
    known = node(delay)
    state = CpuState(
        generation=1,
        test="t",
        mechanism="deadline",
        endpoint="https://10.0.0.1:8441",
        lease=Nanoseconds(30 * NS_PER_S),
        node=known,
        utilization=known.utilizations(),
        complete=True,
    )

    text = format_cpu_state(state)

    assert f'"v":{version},' in text
    assert parse_cpu_state(text).node == known

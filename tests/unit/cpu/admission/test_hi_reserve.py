"""LOW pods leave a node's room for HI, in whatever way they could take it."""

from dataclasses import replace
from fractions import Fraction

import pytest

from k40s.cpu.admission.admit import admit
from k40s.cpu.admission.hi_reserve import find_reserve_breach, reserve_demand
from k40s.cpu.model import (
    CpuNode,
    DeadlineOffer,
    Domain,
    Mechanism,
    PodDemand,
    Server,
)
from k40s.cpu.outcome import Admission
from k40s.reasons import Reason
from tests.unit.cpu.cpu_builders import HI, admitted, ms, node, pod, refused, task

RESERVE = Server(budget=ms(20), period=ms(100))
SMALL_POT = Fraction(9, 20)
FITTING = reserve_demand(RESERVE)


def keeping(current: CpuNode, reserve: Server = RESERVE) -> CpuNode:
    return replace(current, hi_reserve=reserve)


def small(**changes: float) -> CpuNode:
    return keeping(node(node_capacity=SMALL_POT, **changes))  # type: ignore[arg-type]


def on_deadline(demand: PodDemand) -> PodDemand:
    return replace(demand, mechanism=Mechanism.DEADLINE)


def with_deadline(current: CpuNode, domain: Domain) -> CpuNode:
    cpus = len(current.cores) if domain is Domain.SHARED else 1
    offer = DeadlineOffer(tick=current.tick, capacity=Fraction(9, 10), domain=domain, cpus=cpus)
    return replace(current, deadline=offer)


def test_a_short_low_task_may_not_take_nearly_all_of_a_small_node() -> None:
    greedy = pod("low", [task(0.1, 1)])

    assert isinstance(admit(replace(small(), hi_reserve=None), greedy), Admission)
    assert refused(small(), greedy).reason is Reason.CPU_RESERVED_FOR_HI


def test_a_hi_pod_may_use_all_of_the_node() -> None:
    admitted(small(), pod("hi", [task(0.1, 1)], criticality=HI))


def test_a_low_pod_that_leaves_room_is_admitted_and_then_the_hi_pod_is() -> None:
    current = admitted(small(), pod("low", [task(5, 400)])).node

    admitted(current, FITTING)


def test_a_low_pod_is_admitted_beside_the_hi_pod_that_has_the_room() -> None:
    current = admitted(small(), pod("hi", [task(20, 100)], criticality=HI)).node

    admitted(current, pod("low", [task(5, 400)]))


def test_a_low_deadline_that_no_hi_burst_may_come_before_is_refused() -> None:
    tight = pod("low", [task(0.1, 1_000, 0.5)])

    assert isinstance(admit(node(tick=0), tight), Admission)
    refusal = refused(keeping(node(tick=0)), tight)

    assert refusal.reason is Reason.CPU_RESERVED_FOR_HI
    assert "HI task that the node keeps room for" in refusal.detail


def test_every_core_keeps_its_part_of_bandwidth_and_the_next_core_is_tried() -> None:
    current = keeping(node(cores=2, tick=0))
    current = admitted(current, pod("a", [task(600, 1_000)])).node

    outcome = admitted(current, pod("b", [task(150, 1_000)]))

    assert [held.core for held in outcome.granted] == [1]
    assert refused(outcome.node, pod("c", [task(550, 1_000)])).reason is Reason.CPU_RESERVED_FOR_HI


@pytest.mark.parametrize("count", [1, 3])
def test_a_low_pod_never_takes_the_last_exclusive_core(count: int) -> None:
    current = keeping(with_deadline(node(cores=count, node_capacity=Fraction(0)), Domain.EXCLUSIVE))
    for number in range(count - 1):
        current = admitted(current, on_deadline(pod(f"p{number}", [task(1, 10)]))).node

    refusal = refused(current, on_deadline(pod("last", [task(1, 10)])))

    assert refusal.reason is Reason.CPU_RESERVED_FOR_HI
    admitted(current, FITTING)


@pytest.mark.parametrize("domain", [Domain.SHARED, Domain.PARTITIONED])
def test_many_tiny_threads_of_sched_deadline_leave_the_hi_pod_in_time(domain: Domain) -> None:
    current = keeping(with_deadline(node(cores=2, node_capacity=Fraction(0)), domain))
    taken = 0
    for number in range(100):
        outcome = admit(current, on_deadline(pod(f"p{number}", [task(0.001, 3_000)])))
        if isinstance(outcome, Admission):
            current = outcome.node
            taken += 1

    assert 0 < taken < 100
    admitted(current, FITTING)


def test_a_node_that_is_too_small_for_its_reserve_keeps_half_of_it_and_so_on() -> None:
    current = keeping(node(node_capacity=Fraction(12, 100)))

    assert refused(current, pod("low", [task(8, 100)])).reason is Reason.CPU_RESERVED_FOR_HI
    after = admitted(current, pod("low", [task(1, 400)])).node
    admitted(after, reserve_demand(Server(budget=ms(10), period=ms(100))))


def test_a_node_that_bears_no_part_of_the_reserve_keeps_none() -> None:
    current = keeping(node(node_capacity=Fraction(1, 200)))

    admitted(current, pod("low", [task(0.5, 1_000)]))


def test_a_repeat_of_a_low_admission_stays_what_it_is() -> None:
    before = admitted(node(tick=0), pod("low", [task(700, 1_000)])).node

    assert admitted(keeping(before), pod("low", [task(700, 1_000)])).node == keeping(before)


def test_who_departs_never_takes_room_from_hi() -> None:
    current = keeping(node(cores=2))
    for number in range(6):
        outcome = admit(current, pod(f"p{number}", [task(10 + number, 200)]))
        current = outcome.node if isinstance(outcome, Admission) else current

    for uid in sorted({held.pod_uid for held in current.reservations}):
        admitted(current.without(uid), FITTING)


def test_without_a_reserve_nothing_is_looked_at() -> None:
    def never(*_: object) -> Admission:
        raise AssertionError

    assert find_reserve_breach(never, node(), (0,)) is None


def test_the_reserve_of_a_node_has_a_period_that_a_task_may_have() -> None:
    with pytest.raises(ValueError, match="the reserve for HI has a period"):
        keeping(node(), Server(budget=ms(0.01), period=ms(0.05)))


def test_a_node_is_not_too_small_for_the_reserve_because_its_cores_are_changing() -> None:
    current = replace(keeping(node()), changing=frozenset({0}))

    breach = find_reserve_breach(admit, current, ())

    assert breach is not None
    assert breach.reason is Reason.CPU_RESERVED_FOR_HI

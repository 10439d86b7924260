"""The points of an exchange: what a node holds at each, and where there is none."""

from dataclasses import replace
from fractions import Fraction

import pytest

from k40s.cpu.admission.admit import admit
from k40s.cpu.admission.exchange import (
    Exchange,
    Step,
    arrived,
    completed,
    drain_time,
    holds_both,
    move_slack,
    overlapping,
    reserving,
    without_pod,
)
from k40s.cpu.admission.invariants import find_breach
from k40s.cpu.model import CpuNode, DeadlineOffer, Domain, Mechanism
from k40s.cpu.outcome import Rejection
from k40s.reasons import Reason
from tests.oracles.pods import empty_node
from tests.unit.cpu.cpu_builders import admitted, held, ms, pod, task

SPORADIC = task(1, 100)
OTHER = held("other", 5, 100, SPORADIC, priorities=(98,))
OLD = held("moved", 5, 100, SPORADIC, priorities=(97,))
STEP = Step(
    before=replace(OLD, priorities=(96,)),
    after=held("moved", 2, 20, SPORADIC, priorities=(97,)),
    others=(OTHER,),
)
NEWCOMER = held("new", 3, 50, SPORADIC, priorities=(98,))
PLAN = Exchange(
    core=0,
    steps=(STEP,),
    granted=(NEWCOMER,),
    others=(replace(OTHER, priorities=(97,)), replace(STEP.after, priorities=(96,))),
)


@pytest.fixture
def node() -> CpuNode:
    return empty_node(0).holding((OTHER, OLD))


def test_both_groups_are_held_until_the_first_one_goes(node: CpuNode) -> None:
    both = overlapping(node, STEP)
    assert both is not None
    assert both.reservations == (OTHER, STEP.before, STEP.after)

    after = completed(both, STEP)

    assert after.reservations == (OTHER, STEP.after)
    end = arrived(after, PLAN)
    assert end is not None
    assert end.reservations == (*PLAN.others, NEWCOMER)


def test_a_step_whose_pod_has_departed_changes_nothing(node: CpuNode) -> None:
    alone = node.without("moved")

    assert overlapping(alone, STEP) is alone
    assert completed(alone, STEP) == alone


def test_other_pods_that_have_departed_are_left_out(node: CpuNode) -> None:
    both = overlapping(node.without("other"), STEP)
    assert both is not None
    assert both.reservations == (STEP.before, STEP.after)

    end = arrived(completed(both, STEP), PLAN)

    assert end is not None
    assert [one.pod_uid for one in end.reservations] == ["moved", "new"]


def test_reservations_of_other_cores_and_mechanisms_stay(node: CpuNode) -> None:
    thread = replace(OTHER, pod_uid="thread", mechanism=Mechanism.DEADLINE, priorities=(), core=1)
    elsewhere = replace(OTHER, pod_uid="elsewhere", core=1)
    wide = replace(node, cores=(0, 1)).holding((*node.reservations, thread, elsewhere))

    both = overlapping(wide, STEP)
    assert both is not None
    end = arrived(completed(both, STEP), PLAN)

    assert end is not None
    assert {thread, elsewhere} <= set(end.reservations)


def test_an_unknown_reservation_on_the_core_stops_it(node: CpuNode) -> None:
    stranger = held("stranger", 1, 100, SPORADIC, priorities=(90,))
    strange = node.holding((*node.reservations, stranger))

    assert overlapping(strange, STEP) is None
    assert arrived(completed(strange, STEP), PLAN) is None


def test_a_reservation_in_another_group_than_planned_stops_it(node: CpuNode) -> None:
    regrouped = node.holding((OTHER, replace(STEP.after, group=7)))

    assert arrived(regrouped, PLAN) is None


def test_what_does_not_hold_any_more_is_not_begun(node: CpuNode) -> None:
    small = replace(node, core_capacity=Fraction(1, 10))

    assert overlapping(small, STEP) is None
    assert arrived(small.holding((OTHER, STEP.after)), PLAN) is None


def test_a_task_that_leaves_no_slack_is_not_moved(node: CpuNode) -> None:
    tight = held("moved", 99, 100, task(99.5, 100), priorities=(97,))
    shortest = held("moved", 0.05, 0.1, task(0.01, 0.1), priorities=(97,))

    assert not holds_both(node.holding((OTHER, OLD, tight)), tight)
    assert not holds_both(node.holding((OTHER, OLD, shortest)), shortest)


def test_the_slack_is_a_tenth_of_the_deadline_and_at_most_a_millisecond() -> None:
    assert move_slack(OLD.tasks[0]) == ms(1)
    assert move_slack(replace(OLD.tasks[0], wcet=ms(0.1), deadline=ms(0.555))) == ms(0.055)


def test_meanwhile_all_that_is_to_come_is_reserved(node: CpuNode) -> None:
    begun = overlapping(node, STEP)
    assert begun is not None

    assert reserving(node, PLAN, done=0).reservations == (*node.reservations, STEP.after, NEWCOMER)
    assert reserving(begun, PLAN, done=0).reservations == (*begun.reservations, NEWCOMER)
    assert reserving(node, PLAN, done=0).changing == {0}


def test_the_wait_is_the_longest_period_and_the_longest_deadline(node: CpuNode) -> None:
    assert drain_time(node, 0) == ms(200)
    assert drain_time(empty_node(0), 0) == 0


def test_a_departure_shortens_the_plan() -> None:
    assert without_pod(PLAN, "other", done=0) == PLAN
    assert without_pod(PLAN, "moved", done=0) is None
    assert without_pod(PLAN, "new", done=0) is None
    assert without_pod(PLAN, "other", done=1) is None


def test_a_step_is_of_one_reservation_and_changes_its_group() -> None:
    with pytest.raises(ValueError, match="keeps"):
        Step(before=OLD, after=OTHER, others=())
    with pytest.raises(ValueError, match="changes"):
        Step(before=OLD, after=replace(OLD, priorities=(90,)), others=())


def test_an_exchange_has_steps_and_is_of_one_core() -> None:
    with pytest.raises(ValueError, match="steps"):
        replace(PLAN, steps=())
    with pytest.raises(ValueError, match="one core"):
        replace(PLAN, core=1)


def test_no_test_may_place_a_pod_on_a_core_that_changes(node: CpuNode) -> None:
    demand = pod("new", [task(1, 100)])
    outcome = admitted(node, demand)
    closed = replace(node, changing=frozenset({0}))

    placed = replace(outcome, node=replace(outcome.node, changing=frozenset({0})))

    assert find_breach(node, demand, outcome) is None
    assert find_breach(closed, demand, placed) == "servers of core 0 are being exchanged"


def test_a_core_that_changes_refuses_newcomers_of_either_mechanism(node: CpuNode) -> None:
    closed = replace(node, changing=frozenset({0}))

    outcome = admit(closed, pod("new", [task(1, 100)]))

    assert isinstance(outcome, Rejection)
    assert outcome.reason is Reason.CPU_CORE_CHANGING


def test_a_shared_root_domain_takes_no_thread_while_a_core_changes() -> None:
    offer = DeadlineOffer(tick=ms(0), capacity=Fraction(9, 10), domain=Domain.SHARED, cpus=2)
    shared = replace(empty_node(0, 2), deadline=offer, changing=frozenset({1}))
    demand = replace(pod("new", [task(1, 100)]), mechanism=Mechanism.DEADLINE)

    outcome = admit(shared, demand)

    assert isinstance(outcome, Rejection)
    assert outcome.reason is Reason.CPU_CORE_CHANGING

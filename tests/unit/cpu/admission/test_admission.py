from dataclasses import replace
from fractions import Fraction

import pytest

from k40s.cpu.admission.admit import admit
from k40s.cpu.admission.necessary_condition import may_fit
from k40s.cpu.admission.schedulability import node_holds
from k40s.cpu.model import CpuNode, PodDemand
from k40s.reasons import Reason
from tests.unit.cpu.cpu_builders import (
    HI,
    LOW,
    admitted,
    budgets,
    held,
    ms,
    node,
    pod,
    refused,
    task,
)


def fits(current: CpuNode, demand: PodDemand) -> Reason | None:
    used = {core: current.utilization(core) for core in current.cores}
    return may_fit(core_utilizations=used, node=current, demand=demand)


def test_grants_one_server_with_the_least_budget_and_the_top_priority() -> None:
    outcome = admitted(node(), pod("a", [task(20, 100)]))

    (granted,) = outcome.granted
    assert budgets(outcome.node) == [("a", 4_020, 16_666)]
    assert granted.priorities == (98,)
    assert granted.core == 0


def test_exact_enforcement_costs_no_tick() -> None:
    outcome = admitted(node(tick=0), pod("a", [task(20, 100)]))

    assert budgets(outcome.node) == [("a", 1_006, 5_000)]


def test_a_hi_pod_ranks_above_a_low_pod_that_may_grow_but_keeps_its_period() -> None:
    before = admitted(node(), pod("low", [task(20, 100)])).node

    after = admitted(before, pod("hi", [task(18, 150)], criticality=HI)).node

    (low, hi) = after.reservations
    assert hi.priorities == (98,)
    assert low.priorities == (97,)
    assert low.server.period == before.reservations[0].server.period
    assert low.server.budget > before.reservations[0].server.budget


def test_a_server_that_has_grown_keeps_its_budget_and_need_not_grow_for_the_same_again() -> None:
    hi = pod("hi", [task(18, 150)], criticality=HI)
    grown = admitted(admitted(node(tick=0), pod("low", [task(20, 100)])).node, hi).node

    after = admitted(grown.without("hi"), hi).node

    assert budgets(after) == budgets(grown)


def test_a_pod_that_ranks_below_leaves_those_above_untouched() -> None:
    before = admitted(node(), pod("hi", [task(18, 150)], criticality=HI)).node

    after = admitted(before, pod("low", [task(20, 200)])).node

    assert after.reservations[0] == before.reservations[0]


def test_those_that_are_there_rank_above_an_equal_newcomer() -> None:
    before = admitted(node(), pod("first", [task(10, 200)])).node

    after = admitted(before, pod("second", [task(10, 200)])).node

    assert [r.priorities for r in after.reservations] == [(98,), (97,)]


def test_a_band_holds_all_tasks_of_a_container() -> None:
    before = admitted(node(), pod("a", [task(5, 200), task(2, 100), task(5, 400)])).node

    after = admitted(before, pod("b", [task(2, 50)])).node

    assert [r.priorities for r in after.reservations] == [(96, 97, 95), (98,)]


def test_the_second_core_takes_what_the_first_cannot() -> None:
    before = admitted(node(cores=2), pod("a", [task(50, 100)])).node

    after = admitted(before, pod("b", [task(40, 100)])).node

    assert [r.core for r in after.reservations] == [0, 1]


def test_containers_of_a_pod_may_use_different_cores_and_are_granted_in_their_order() -> None:
    outcome = admitted(node(cores=2), pod("a", [task(30, 100)], [task(50, 100)]))

    assert [(r.container, r.core) for r in outcome.granted] == [("c0", 1), ("c1", 0)]


def test_a_pod_is_refused_whole_when_one_container_does_not_fit() -> None:
    current = node(cores=1)

    refusal = refused(current, pod("a", [task(20, 100)], [task(75, 100)]))

    assert refusal.reason is Reason.CPU_NO_BANDWIDTH
    assert current.reservations == ()


def test_a_pod_without_containers_holds_nothing() -> None:
    outcome = admitted(node(), pod("a"))

    assert outcome.granted == ()
    assert fits(node(), pod("a")) is None


def test_admitting_again_what_is_held_changes_nothing() -> None:
    demand = pod("a", [task(20, 100)], [task(5, 200)])
    first = admitted(node(cores=2), demand)
    crowded = admitted(first.node, pod("b", [task(10, 100)], criticality=HI)).node

    again = admitted(crowded, demand)

    assert again.node is crowded
    assert {r.container for r in again.granted} == {"c0", "c1"}


def test_a_changed_demand_replaces_what_was_held() -> None:
    before = admitted(node(), pod("a", [task(20, 100)])).node

    after = admitted(before, pod("a", [task(10, 100)])).node

    assert budgets(after) == [("a", 2_824, 20_000)]


def test_what_is_held_but_no_longer_holds_is_judged_afresh() -> None:
    demand = pod("a", [task(20, 100)])
    ideal = admitted(node(tick=0), demand).node

    after = admitted(replace(ideal, tick=ms(4)), demand).node

    assert budgets(after) == [("a", 4_020, 16_666)]


def test_a_container_that_is_gone_from_a_demand_is_dropped() -> None:
    before = admitted(node(cores=2), pod("a", [task(20, 100)], [task(5, 200)])).node

    after = admitted(before, pod("a", [task(20, 100)])).node

    assert [r.container for r in after.reservations] == ["c0"]


def test_refuses_when_no_core_has_bandwidth_left() -> None:
    current = admitted(node(), pod("a", [task(60, 100)])).node

    refusal = refused(current, pod("b", [task(40, 100)]))

    assert refusal.reason is Reason.CPU_NO_BANDWIDTH
    assert "core 0" in refusal.detail
    assert "0.401" in refusal.detail
    assert fits(current, pod("b", [task(40, 100)])) is Reason.CPU_NO_BANDWIDTH


def test_refuses_when_only_a_larger_server_than_there_is_room_for_would_do() -> None:
    refusal = refused(node(core_capacity=Fraction(2015, 10_000)), pod("a", [task(20, 100)]))

    assert refusal.reason is Reason.CPU_NO_BANDWIDTH
    assert "too large" in refusal.detail


def test_refuses_when_those_below_would_grow_beyond_the_capacity() -> None:
    demand = pod("hi", [task(18, 150)], criticality=HI)
    roomy = admitted(node(), pod("low", [task(20, 100)])).node

    refusal = refused(replace(roomy, core_capacity=Fraction(4, 10)), demand)

    assert refusal.reason is Reason.CPU_NO_BANDWIDTH


def test_refuses_when_the_node_is_used_up_though_a_core_is_free() -> None:
    small = node(cores=2, node_capacity=Fraction(1, 2))
    current = admitted(small, pod("a", [task(25, 100)])).node

    refusal = refused(current, pod("b", [task(24, 100)]))

    assert refusal.reason is Reason.CPU_NODE_BANDWIDTH
    assert fits(current, pod("b", [task(24, 100)])) is Reason.CPU_NODE_BANDWIDTH


def test_refuses_a_task_whose_period_is_too_short_for_the_tick_of_those_above() -> None:
    hi = pod("hi", [task(1, 100)], criticality=HI)
    admitted(admitted(node(tick=0), hi).node, pod("a", [task(1, 5)]))

    refusal = refused(admitted(node(), hi).node, pod("a", [task(1, 5)]))

    assert refusal.reason is Reason.CPU_NOT_SCHEDULABLE
    assert "no server" in refusal.detail


def test_refuses_what_would_break_a_deadline_below() -> None:
    current = admitted(node(tick=0), pod("low", [task(2, 20, 4)])).node

    refusal = refused(current, pod("hi", [task(5, 10)], criticality=HI))

    assert refusal.reason is Reason.CPU_NOT_SCHEDULABLE
    assert "below" in refusal.detail


def test_refuses_what_would_keep_a_server_below_from_its_budget() -> None:
    current = admitted(node(tick=0), pod("low", [task(0.5, 10)])).node

    refusal = refused(current, pod("hi", [task(15, 400, 40)], criticality=HI))

    assert refusal.reason is Reason.CPU_NOT_SCHEDULABLE
    assert "below" in refusal.detail


def test_refuses_more_tasks_than_a_core_may_have() -> None:
    current = node(tick=0)
    for number in range(8):
        tasks = [task(0.1, 1000, name=f"t{index}") for index in range(8)]
        current = admitted(current, pod(f"p{number}", tasks)).node

    refusal = refused(current, pod("q", [task(0.1, 1000)]))

    assert refusal.reason is Reason.CPU_TOO_MANY_TASKS
    admitted(current, pod("h", [task(0.1, 1000)], criticality=HI))


def test_refuses_on_a_node_without_real_time_cores() -> None:
    assert refused(node(cores=0), pod("a", [task(1, 100)])).reason is Reason.CPU_NO_REAL_TIME
    assert fits(node(cores=0), pod("a", [task(1, 100)])) is Reason.CPU_NO_REAL_TIME


def test_refuses_on_a_core_that_is_broken_already() -> None:
    broken = held("a", 10, 100, task(20, 100), priorities=(98,), criticality=HI)

    refusal = refused(node(broken), pod("b", [task(1, 1000)]))

    assert refusal.reason is Reason.CPU_NOT_SCHEDULABLE
    assert "fails its test" in refusal.detail


def test_the_most_telling_reason_of_all_cores_is_given() -> None:
    full = held("a", 80, 100, task(60, 100), priorities=(98,), criticality=HI)
    busy = held("b", 5, 10, task(0.1, 50), priorities=(98,), criticality=HI, core=1)

    refusal = refused(node(full, busy, cores=2, tick=0), pod("c", [task(2, 9, 8)]))

    assert refusal.reason is Reason.CPU_NOT_SCHEDULABLE
    assert "core 0" in refusal.detail
    assert "core 1" in refusal.detail


def test_a_very_long_period_is_served_by_a_short_server() -> None:
    after = admitted(node(), pod("a", [task(20_000, 100_000)])).node

    assert after.reservations[0].server.period <= ms(1000)


def test_a_period_of_an_hour_over_one_of_a_millisecond_is_decided() -> None:
    hour = 3_600_000

    for wcet in (0.001, 1, 1_000, 1_000_000):
        tasks = [task(0.001, 1, name="fast"), task(wcet, hour, name="slow")]
        assert admitted(node(tick=0), pod("a", tasks)).granted


def test_what_a_pod_frees_may_be_counted_as_its_own_again() -> None:
    current = admitted(node(), pod("a", [task(60, 100)])).node

    assert fits(current, pod("a", [task(65, 100)])) is None
    assert fits(current, pod("b", [task(65, 100)])) is Reason.CPU_NO_BANDWIDTH


def test_a_container_must_fit_one_core_though_all_together_have_room() -> None:
    cores = [held(f"p{i}", 50, 100, task(1, 100), priorities=(98,), core=i) for i in range(2)]
    current = node(*cores, cores=2)

    assert fits(current, pod("a", [task(50, 100)])) is Reason.CPU_NO_BANDWIDTH
    assert fits(current, pod("a", [task(30, 100)], [task(30, 100)])) is None


def test_reservations_that_are_not_in_whole_microseconds_are_an_error() -> None:
    odd = held("a", 10.0000005, 100, task(1, 100), priorities=(98,))
    odd = replace(odd, server=replace(odd.server, budget=ms(10.000001)))

    with pytest.raises(ValueError, match="whole microseconds"):
        admit(node(odd), pod("b", [task(1, 100)]))


def test_every_admitted_node_passes_the_full_test() -> None:
    current = node(cores=2)
    for number, criticality in enumerate((LOW, HI, LOW, HI)):
        demand = pod(f"p{number}", [task(10, 200 + 50 * number)], criticality=criticality)
        current = admitted(current, demand).node

    assert node_holds(current)

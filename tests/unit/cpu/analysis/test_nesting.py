from dataclasses import replace
from fractions import Fraction

from k40s.cpu.admission.schedulability import groups_hold
from k40s.cpu.analysis.deferrable_server import least_ancestor_budget, share_of_node
from k40s.cpu.model import CpuNode
from k40s.reasons import Reason
from k40s.units import NS_PER_S, Nanoseconds
from tests.unit.cpu.cpu_builders import admitted, node, pod, refused, task


def test_an_ancestor_covers_two_budgets_back_to_back_of_each_child() -> None:
    assert least_ancestor_budget([(2, 10)], 10, 0) == 4
    assert least_ancestor_budget([(2, 10), (3, 20)], 10, 0) == 4 + 6


def test_overruns_and_late_charges_are_covered() -> None:
    assert least_ancestor_budget([(2, 10)], 12, 0) == 4
    assert least_ancestor_budget([(2, 10)], 12, 1) == 3 * 2 + 1


def test_over_a_long_period_it_comes_near_the_sum_of_shares() -> None:
    assert least_ancestor_budget([(10, 100), (20, 100)], 1_000, 0) == 110 + 220


def test_an_ancestor_like_its_child_would_throttle_it() -> None:
    assert least_ancestor_budget([(30, 100)], 100, 0) > 30


def test_a_group_at_the_top_takes_its_own_share_and_one_below_what_its_ancestors_need() -> None:
    assert share_of_node((10, 100), None, 4) == (10, 100)
    assert share_of_node((10, 100), 1_000, 4) == (11 * 10 + 4, 1_000)


def nested(cores: int = 2) -> CpuNode:
    return replace(
        node(cores=cores), node_capacity=Fraction(95, 100), ancestor_period=Nanoseconds(NS_PER_S)
    )


def test_ancestors_count_in_the_sum_of_the_node() -> None:
    first = admitted(nested(), pod("a", [task(43, 100)])).node

    refusal = refused(first, pod("b", [task(43, 100)]))

    assert refusal.reason is Reason.CPU_NODE_BANDWIDTH
    plain = replace(first, ancestor_period=None)
    assert admitted(plain, pod("b", [task(43, 100)]))


def test_tasks_on_two_cores_are_refused_and_on_one_are_not() -> None:
    split = pod("a", [replace(task(5, 100), core=0), replace(task(5, 100), core=1)])

    refusal = refused(nested(), split)

    assert refusal.reason is Reason.CPU_NO_MECHANISM
    assert "a container's own cgroup serves one core" in refusal.detail
    assert admitted(nested(), pod("a", [task(5, 100), task(5, 200)]))


def test_one_cgroup_for_two_reservations_does_not_hold() -> None:
    held = admitted(nested(), pod("a", [task(5, 100)])).node
    (one,) = held.reservations
    other = replace(one, core=1)

    assert groups_hold(held)
    assert not groups_hold(held.holding((one, other)))

"""Known figures: textbooks, publications, exact simulation and measurements on a kernel.

Each test is one vector. The same analyses have more cases in the tests of their modules.
"""

from fractions import Fraction
from math import isclose

import pytest

from k40s.cpu.analysis import containment, edf
from k40s.cpu.analysis.deferrable_server import (
    deferrable,
    hyperbolic_bound_holds,
    largest_budget,
    most_consumed,
    responses_below,
    server_response,
    tasks_bound,
)
from k40s.cpu.analysis.edf import processor_demand_holds
from k40s.cpu.analysis.mixed_criticality import (
    DualTask,
    adaptive_response,
    static_response,
    virtual_deadline_factor,
)
from k40s.cpu.analysis.mode_change import longest_blackout
from k40s.cpu.analysis.response_time import (
    Interference,
    provision_time,
    response_time,
    server_tasks_response,
    task_response,
)
from k40s.cpu.analysis.supply_bound import edf_holds, linear_bound, periodic_resource, response_on
from k40s.cpu.bandwidth import fits_capacity
from k40s.cpu.synthesis import least_budget

MS = 1_000


def flat_responses(*tasks: tuple[int, int]) -> list[int | None]:
    """Under flat fixed priorities, from most to least urgent, D = T."""
    return [
        response_time(wcet=c, deadline=t, above=tuple((a, b, 0) for a, b in tasks[:index]))
        for index, (c, t) in enumerate(tasks)
    ]


def implicit(*tasks: tuple[int, int]) -> tuple[tuple[int, int, int], ...]:
    return tuple((wcet, period, period) for wcet, period in tasks)


@pytest.mark.parametrize(
    ("tasks", "expected"),
    [
        (((3, 7), (3, 12), (5, 20)), [3, 6, 20]),
        (((5, 20), (10, 40), (40, 80)), [5, 15, 80]),
        (((1, 4), (2, 6), (3, 10)), [1, 3, 10]),
    ],
    ids=["V1a", "V1b", "V1d"],
)
def test_v1_flat_fixed_priorities(tasks: tuple[tuple[int, int], ...], expected: list[int]) -> None:
    assert flat_responses(*tasks) == expected


def test_v1_the_set_whose_third_task_needs_three_hundred() -> None:
    assert flat_responses((40, 100), (40, 150), (100, 350)) == [40, 80, 300]


def test_v2a_the_bound_below_a_deferrable_server_is_least_at_a_share_of_0_186() -> None:
    share = Fraction(186, 1_000)

    assert isclose(tasks_bound(share), 0.46580, abs_tol=5e-6)
    assert isclose(float(share) + tasks_bound(share), 0.65180, abs_tol=5e-6)
    for other in (Fraction(1, 10), Fraction(15, 100), Fraction(22, 100), Fraction(3, 10)):
        assert float(other) + tasks_bound(other) > float(share) + tasks_bound(share)


def test_v2b_the_bound_for_any_number_of_tasks_and_for_two() -> None:
    third = Fraction(1, 3)

    assert isclose(tasks_bound(third), 0.33647, abs_tol=5e-6)
    assert isclose(tasks_bound(third, 2), 0.36643, abs_tol=5e-6)


def test_v2c_the_hyperbolic_form() -> None:
    assert not hyperbolic_bound_holds(implicit((25, 100), (30, 100)), (10, 30))
    assert hyperbolic_bound_holds(implicit((15, 100), (15, 100)), (10, 30))


def test_v3a_tasks_below_a_deferrable_server_are_hit_twice() -> None:
    assert responses_below(((2, 8, 8), (3, 10, 20)), [(2, 6)]) == (6, 13)
    assert responses_below(((2, 8, 8), (3, 10, 10)), [(2, 6)]) is None


def test_v4a_deferrable_servers_among_each_other() -> None:
    servers = [(2, 10), (3, 10), (4, 20)]

    found = [
        server_response(*server, tuple(deferrable(*s) for s in servers[:index]), 0)
        for index, server in enumerate(servers)
    ]

    assert found == [2, 7, 19]


def test_v4b_periodic_servers_have_no_jitter() -> None:
    assert server_response(4, 20, ((2, 10, 0), (3, 10, 0)), 0) == 9


def test_v5a_the_supply_of_a_periodic_resource() -> None:
    supply = periodic_resource(3, 10)

    found = [supply.bound(t) for t in (14, 15, 17, 24, 25, 27, 37, 47)]

    assert found == [0, 1, 3, 3, 4, 6, 9, 12]


def test_v5c_the_linear_supply() -> None:
    supply = periodic_resource(3, 10)

    assert [linear_bound(supply, t) for t in (15, 24, 34)] == [0, 3, 6]


@pytest.mark.parametrize(("wcet", "period", "expected"), [(3, 40, 10), (4, 40, 18), (7, 60, 28)])
def test_v6a_a_task_in_a_server_alone(wcet: int, period: int, expected: int) -> None:
    assert task_response((wcet, period, period), (), (3, 10), (), 0) == expected


def test_v6b_a_task_in_a_server_below_another() -> None:
    above = (deferrable(2, 10),)

    assert task_response((3, 40, 40), (), (3, 10), above, 0) == 14
    assert task_response((4, 40, 40), (), (3, 10), above, 0) == 22
    bound_to_its_server = provision_time(4, (3, 10), above, 0, 40)
    assert bound_to_its_server == 15 + (10 - 3)


@pytest.mark.parametrize(("tick", "expected"), [(0, 120_000), (1_000, 122_000), (4_000, 128_000)])
def test_v7a_the_tick_in_a_task_response(tick: int, expected: int) -> None:
    above = (deferrable(20 * MS, 100 * MS),)

    found = task_response((10 * MS, 200 * MS, 200 * MS), (), (30 * MS, 100 * MS), above, tick)

    assert found == expected
    measured = 83_438
    assert measured <= expected


@pytest.mark.parametrize(("tick", "expected"), [(0, 70_000), (4_000, 74_000)])
def test_v7b_the_tick_in_a_server_response(tick: int, expected: int) -> None:
    above = (deferrable(20 * MS, 100 * MS),)

    assert server_response(30 * MS, 100 * MS, above, tick) == expected


def test_v7c_the_set_that_a_kernel_refuted_without_the_tick() -> None:
    above = (deferrable(2 * MS, 10 * MS),)

    assert task_response((3 * MS, 40 * MS, 40 * MS), (), (3 * MS, 10 * MS), above, 0) == 14 * MS
    assert server_response(3 * MS, 10 * MS, above, 4 * MS) is None


EXAMPLE = implicit((100, 3_000), (200, 5_000), (400, 13_000))


@pytest.mark.parametrize("above", [(), (deferrable(175, 2_500),)], ids=["alone", "below one"])
def test_v8a_the_least_budget_of_an_example(above: Interference) -> None:
    among = (1, largest_budget(2_500, above, 0))

    assert least_budget(EXAMPLE, among, 2_500, above, 0) == 300


def test_v8a_the_responses_at_the_least_budget_and_one_below() -> None:
    assert server_tasks_response(EXAMPLE, (300, 2_500), (), 0) == (2_300, 2_500, 10_000)
    assert server_tasks_response(EXAMPLE[:2], (299, 2_500), (), 0) == (2_301, 4_802)
    assert server_tasks_response(EXAMPLE, (299, 2_500), (), 0) is None


def test_v8e_the_published_budgets_on_a_periodic_resource() -> None:
    tasks = implicit((700, 5_000), (900, 7_500))

    def by_priorities(budget: int) -> bool:
        supply = periodic_resource(budget, 1_000)
        return all(response_on(supply, t, tasks[:i]) is not None for i, t in enumerate(tasks))

    by_deadlines = [q for q in range(1, 1_001) if edf_holds(periodic_resource(q, 1_000), tasks)]

    assert min(by_deadlines) == 279
    assert min(q for q in range(1, 1_001) if by_priorities(q)) == 350


def test_v9a_edf_with_short_deadlines() -> None:
    assert processor_demand_holds([(2, 6, 4), (2, 8, 5), (3, 9, 7)])


def test_v9b_demand_accepts_what_density_refuses() -> None:
    tasks = [(2, 6, 5), (2, 8, 4), (3, 12, 10)]

    assert processor_demand_holds(tasks)
    assert not edf.density_bound_holds(tasks, 1, Fraction(1))


def test_v9d_edf_at_full_utilization_and_beyond() -> None:
    full = implicit((3, 4), (1, 4))

    assert processor_demand_holds(full)
    assert not processor_demand_holds((*full, (1, 100, 100)))


@pytest.mark.parametrize(
    ("tasks", "expected"),
    [
        (((10_000, 50_000), (20_000, 100_000)), True),
        (((6_000, 10_000),), True),
        (((6_001, 10_000),), False),
    ],
)
def test_v9e_edf_with_blocking(tasks: tuple[tuple[int, int], ...], *, expected: bool) -> None:
    assert processor_demand_holds(implicit(*tasks), 4_000) is expected


def test_v9g_two_cpus_take_1_8_and_no_more() -> None:
    nine_tenths = Fraction(9, 10)
    fits, exceeds = (90_000, 100_000), (90_010, 100_000)

    assert fits_capacity([fits, fits], 2 * nine_tenths)
    assert not fits_capacity([fits, exceeds], 2 * nine_tenths)
    assert edf.global_edf_holds(implicit(fits, fits), 2, nine_tenths)
    assert not edf.global_edf_holds(implicit(fits, exceeds), 2, nine_tenths)


def test_v10a_mixed_criticality() -> None:
    first = DualTask(wcet_low=2, wcet_hi=4, period=10, deadline=10, is_hi=True)
    second = DualTask(wcet_low=3, wcet_hi=3, period=15, deadline=15, is_hi=False)
    third = DualTask(wcet_low=4, wcet_hi=8, period=30, deadline=30, is_hi=True)
    levels = [(first, ()), (second, (first,)), (third, (first, second))]

    adaptive = [adaptive_response(task, above) for task, above in levels]

    assert [found and (found.low, found.hi) for found in adaptive] == [(2, 4), (5, None), (9, 19)]
    assert [static_response(task, above) for task, above in levels] == [4, 5, 26]
    assert virtual_deadline_factor([first, second, third]) == 1


def test_v11_the_blackout_of_a_budget_that_shrinks() -> None:
    found = longest_blackout((100_000, 1_000_000), (10_000, 100_000), 4_000)

    assert found == 2_100_000
    measured = 1_777_036
    assert measured <= found


def test_v12_two_budgets_and_an_overrun_back_to_back() -> None:
    assert most_consumed(43_100, 20_000, 100_000, 4_000) == 44_000
    measured = 43_110
    assert measured <= 44_000


def test_v13_a_budget_that_contains_a_task_that_may_be_late() -> None:
    """P + δ + R − C = 100 + 4 + 26 − 10 = 120 ms hold one whole period and all of a second job."""
    above = (deferrable(6 * MS, 100 * MS),)
    task = (10 * MS, 100 * MS, 100 * MS)

    assert containment.responses((task,), above, 4 * MS) == (26 * MS,)
    assert containment.least_budget((task,), 100 * MS, above, 4 * MS) == 20 * MS

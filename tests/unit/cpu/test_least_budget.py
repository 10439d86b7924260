from k40s.cpu.analysis import containment
from k40s.cpu.analysis.deferrable_server import deferrable, largest_budget
from k40s.cpu.synthesis import (
    candidate_periods,
    cost,
    least_budget,
    needed_share,
    room_is_missing,
    servers_by_cost,
)

TASKS = ((100, 3_000, 3_000), (200, 5_000, 5_000), (400, 13_000, 13_000))


def test_finds_the_published_least_budget() -> None:
    above = (deferrable(175, 2_500),)

    assert least_budget(TASKS, (1, 2_500), 2_500, (), 0) == 300
    assert least_budget(TASKS, (1, largest_budget(2_500, above, 0)), 2_500, above, 0) == 300


def test_finds_no_budget_outside_the_given_limits() -> None:
    assert least_budget(TASKS, (1, 299), 2_500, (), 0) is None
    assert least_budget(TASKS, (301, 300), 2_500, (), 0) is None
    assert least_budget(TASKS, (400, 500), 2_500, (), 0) == 400


def test_finds_no_budget_for_a_load_longer_than_its_deadline() -> None:
    assert least_budget(((11, 100, 10),), (1, 10), 10, (), 0) is None


def test_periods_divide_the_shortest_task_period_and_are_never_below_a_millisecond() -> None:
    assert candidate_periods(((1, 100_000, 100_000), (1, 24_000, 24_000))) == (
        24_000,
        12_000,
        8_000,
        6_000,
        4_800,
        4_000,
        3_000,
        2_400,
        2_000,
        1_500,
        1_200,
        1_000,
    )
    assert candidate_periods(((1, 3_500, 3_500),)) == (3_500, 1_750, 1_166)
    assert candidate_periods(((1, 900, 900),)) == ()


def test_periods_are_never_above_a_second() -> None:
    assert candidate_periods(((1, 10_000_000, 10_000_000),))[0] == 1_000_000


def test_needed_share_never_exceeds_the_utilization() -> None:
    assert needed_share(((1, 3, 3), (1, 3, 3), (1, 3, 3)), 100) == 100
    assert needed_share(((1, 10**9, 10**9),) * 5, 100) == 1


def test_servers_come_cheapest_first_with_their_least_budgets() -> None:
    found = list(servers_by_cost(TASKS, (), 0))

    costs = [cost(server, 3_000, 0) for server in found]
    assert costs == sorted(costs)
    assert {1_000, 1_500, 3_000} < {period for _, period in found}
    for budget, period in found:
        waiting = least_budget(TASKS, (1, period), period, (), 0)
        assert budget in {waiting, containment.least_budget(TASKS, period, (), 0)}


def test_the_cheaper_of_both_tests_gives_the_budget() -> None:
    alike, apart = ((500, 9_000, 9_000),), ((500, 9_000, 9_000), (9_000, 90_000, 90_000))

    budget, period = next(servers_by_cost(alike, (), 1_000))
    assert containment.least_budget(alike, period, (), 1_000) == budget
    assert least_budget(alike, (1, budget), period, (), 1_000) is None
    budget, period = next(servers_by_cost(apart, (), 1_000))
    assert least_budget(apart, (1, budget), period, (), 1_000) == budget
    assert not containment.contains(apart, (budget, period), (), 1_000)


def test_servers_stay_within_the_room_they_are_given() -> None:
    room = (1 << 40) * 1_164 // 10_000

    unbounded = list(servers_by_cost(TASKS, (), 0))
    bounded = list(servers_by_cost(TASKS, (), 0, room=room))

    assert all(10_000 * q <= 1_164 * p for q, p in bounded)
    assert {(q, p) for q, p in unbounded if 10_000 * q <= 1_164 * p} <= set(bounded)
    assert bounded[0] not in unbounded or len(bounded) < len(unbounded)


def test_tells_whether_only_room_is_missing() -> None:
    tenth, all_of_it = (1 << 40) // 10, 1 << 40

    assert room_is_missing(TASKS, (), 0, room=tenth)
    assert not room_is_missing(TASKS, (), 0, room=all_of_it)
    assert not room_is_missing(((100, 3_000, 99),), (), 0, room=tenth)
    assert not room_is_missing(TASKS, (deferrable(3_000, 3_000),), 0, room=tenth)

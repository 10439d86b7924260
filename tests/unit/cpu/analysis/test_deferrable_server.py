from k40s.cpu.analysis.deferrable_server import (
    deferrable,
    largest_budget,
    most_consumed,
    server_response,
)


def test_each_server_gets_its_budget_in_the_published_time() -> None:
    first, second = deferrable(2, 10), deferrable(3, 10)

    assert server_response(2, 10, (), 0) == 2
    assert server_response(3, 10, (first,), 0) == 7
    assert server_response(4, 20, (first, second), 0) == 19


def test_periodic_servers_interfere_less_than_deferrable_ones() -> None:
    assert server_response(4, 20, ((2, 10, 0), (3, 10, 0)), 0) == 9


def test_the_tick_counts_once_for_each_server_above() -> None:
    above = (deferrable(20_000, 100_000),)

    assert server_response(30_000, 100_000, above, 0) == 70_000
    assert server_response(30_000, 100_000, above, 4_000) == 74_000


def test_a_server_that_ticks_starve_fails() -> None:
    above = (deferrable(2_000, 10_000),)

    assert server_response(3_000, 10_000, above, 0) == 7_000
    assert server_response(3_000, 10_000, above, 4_000) is None


def test_the_largest_budget_of_the_top_server_leaves_a_tick_of_its_period() -> None:
    assert largest_budget(10_000, (), 4_000) == 6_000
    assert largest_budget(4_000, (), 4_000) == 0
    assert largest_budget(1_000, (), 4_000) == 0
    assert largest_budget(1_000, (), 0) == 1_000


def test_the_largest_budget_is_the_last_that_fits() -> None:
    above = (deferrable(2, 10), deferrable(3, 10))

    largest = largest_budget(20, above, 0)

    assert server_response(largest, 20, above, 0) is not None
    assert server_response(largest + 1, 20, above, 0) is None


def test_no_budget_fits_below_a_server_that_takes_all() -> None:
    assert largest_budget(10, (deferrable(10, 10),), 0) == 0


def test_the_consumption_bound_covers_the_burst_measured_on_a_kernel() -> None:
    assert most_consumed(43_100, 20_000, 100_000, 4_000) == 44_000

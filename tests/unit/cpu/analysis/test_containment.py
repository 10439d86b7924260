from k40s.cpu.analysis.containment import least_budget, most_used, responses
from k40s.cpu.analysis.deferrable_server import deferrable

MS = 1_000


def test_without_servers_above_responses_are_those_of_flat_priorities() -> None:
    tasks = ((3, 7, 7), (3, 12, 12), (5, 20, 20))

    assert responses(tasks, (), 0) == (3, 6, 20)


def test_servers_above_hit_twice_and_overrun_once() -> None:
    above = (deferrable(20 * MS, 100 * MS),)

    assert responses(((10 * MS, 200 * MS, 200 * MS),), above, 0) == (50 * MS,)
    assert responses(((10 * MS, 200 * MS, 200 * MS),), above, 4 * MS) == (54 * MS,)


def test_a_task_that_others_make_late_has_no_budget() -> None:
    tasks = ((3, 7, 7), (3, 12, 12), (5, 20, 19))

    assert responses(tasks, (), 0) is None
    assert least_budget(tasks, 5, (), 0) is None


def test_a_window_holds_the_last_moment_of_one_job_and_the_first_of_the_next() -> None:
    task = (2, 10, 10)

    assert [most_used((task,), (5,), window) for window in (1, 2, 6, 7, 8, 9, 17, 18)] == [
        2, 2, 2, 2, 3, 4, 4, 5,
    ]  # fmt: skip


def test_the_budget_covers_the_window_of_a_period_and_a_tick() -> None:
    tasks = ((2, 10, 10), (3, 30, 30))

    assert least_budget(tasks, 10, (), 0) == most_used(tasks, (2, 5), 10) == 2 + 3
    assert least_budget(tasks, 10, (), 1) == most_used(tasks, (2, 5), 11) == 3 + 3


def test_a_budget_longer_than_its_period_cannot_be_had() -> None:
    tasks = ((4, 10, 10), (4, 30, 30))

    assert least_budget(tasks, 10, (), 0) == 8
    assert least_budget(tasks, 7, (), 0) is None


def test_a_container_needs_no_server_test_of_its_own() -> None:
    """The budget could not surely be had within 10, but half of it always suffices."""
    above = (deferrable(4, 10),)
    task = (1, 20, 20)

    assert responses((task,), above, 0) == (9,)
    assert least_budget((task,), 10, above, 0) == 1

import pytest

from k40s.cpu.analysis.deferrable_server import deferrable
from k40s.cpu.analysis.response_time import provision_time, server_tasks_response, task_response

MS = 1_000


@pytest.mark.parametrize(("task", "expected"), [((3, 40), 10), ((4, 40), 18), ((7, 60), 28)])
def test_a_task_in_a_server_alone_on_the_core(task: tuple[int, int], expected: int) -> None:
    wcet, period = task

    assert task_response((wcet, period, period), (), (3, 10), (), 0) == expected


@pytest.mark.parametrize(("wcet", "expected"), [(3, 14), (4, 22)])
def test_a_task_in_a_server_below_another(wcet: int, expected: int) -> None:
    above = (deferrable(2, 10),)

    assert task_response((wcet, 40, 40), (), (3, 10), above, 0) == expected


def test_a_load_that_meets_its_server_at_the_start_of_a_period_waits_no_blackout() -> None:
    blackout = 10 - 3

    found = provision_time(4, (3, 10), (deferrable(2, 10),), 0, 40)

    assert found is not None
    assert found - blackout == 15


@pytest.mark.parametrize(
    ("tick", "expected"), [(0, 120 * MS), (1 * MS, 122 * MS), (4 * MS, 128 * MS)]
)
def test_the_tick_enters_once_for_the_server_and_once_for_each_above(
    tick: int, expected: int
) -> None:
    above = (deferrable(20 * MS, 100 * MS),)
    task = (10 * MS, 200 * MS, 200 * MS)

    assert task_response(task, (), (30 * MS, 100 * MS), above, tick) == expected


def test_the_set_that_a_kernel_refuted_without_the_tick() -> None:
    above = (deferrable(2 * MS, 10 * MS),)

    assert task_response((3 * MS, 40 * MS, 40 * MS), (), (3 * MS, 10 * MS), above, 0) == 14 * MS


def test_tasks_of_the_same_server_interfere_from_the_most_urgent_down() -> None:
    tasks = ((100, 3_000, 3_000), (200, 5_000, 5_000), (400, 13_000, 13_000))

    assert server_tasks_response(tasks, (300, 2_500), (), 0) == (2_300, 2_500, 10_000)
    assert server_tasks_response(tasks, (299, 2_500), (), 0) is None


def test_equal_priorities_interfere_both_ways() -> None:
    one, other = (2, 20, 20), (3, 20, 20)

    assert task_response(one, (other,), (10, 10), (), 0) == 5
    assert task_response(other, (one,), (10, 10), (), 0) == 5


def test_a_known_lower_bound_changes_nothing() -> None:
    task, local = (4, 60, 60), ((2, 10, 10),)

    cold = task_response(task, local, (6, 10), (), 0)
    warm = task_response(task, local, (6, 10), (), 0, start=cold or 0)

    assert cold is not None
    assert warm == cold


def test_a_response_that_creeps_is_decided_at_its_deadline() -> None:
    far = 2 * 10**9

    assert task_response((1, far, far), ((1, 1, 1),), (1, 1), (), 0) is None
    assert task_response((10**6, far, far), ((999, 1_000, 9),), (9, 9), (), 0) == 1_999_000_000

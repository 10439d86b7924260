import pytest

from k40s.cpu.analysis import edf
from k40s.cpu.analysis.edf import demand_bound, processor_demand_holds


def test_demand_counts_the_jobs_that_are_released_and_due_inside() -> None:
    tasks = [(2, 6, 4), (3, 9, 7)]

    assert [demand_bound(tasks, t) for t in (3, 4, 7, 9, 10, 16)] == [0, 2, 5, 5, 7, 12]


def test_no_task_demands_nothing() -> None:
    assert processor_demand_holds([])
    assert processor_demand_holds([], 100)


def test_more_than_the_whole_core_is_refused() -> None:
    assert not processor_demand_holds([(3, 5, 5), (3, 7, 7)])


def test_a_short_interval_can_fail_although_the_core_is_half_idle() -> None:
    assert processor_demand_holds([(2, 20, 4), (2, 20, 4)])
    assert not processor_demand_holds([(2, 20, 4), (2, 20, 4), (1, 20, 4)])


def test_a_long_interval_can_fail_where_short_ones_pass() -> None:
    tasks = [(4, 7, 6), (3, 15, 15), (2, 9, 4)]

    assert next(t for t in range(100) if demand_bound(tasks, t) > t) == 76
    assert not processor_demand_holds(tasks)


def test_blocking_is_borne_by_every_interval() -> None:
    tasks = [(2, 6, 4), (2, 12, 9)]

    assert [b for b in range(6) if processor_demand_holds(tasks, b)] == [0, 1, 2]


def test_jitter_brings_a_deadline_forward() -> None:
    tasks = [(2, 6, 5), (3, 9, 8)]

    assert processor_demand_holds(tasks, jitters=(1, 2))
    assert processor_demand_holds([(2, 6, 4), (3, 9, 6)])
    assert not processor_demand_holds(tasks, jitters=(1, 4))


def test_jitter_beyond_the_deadline_is_refused() -> None:
    assert not processor_demand_holds([(1, 10, 5)], jitters=(6,))


def test_deadlines_may_be_longer_than_periods() -> None:
    tasks = [(3, 4, 9), (3, 12, 3)]

    assert processor_demand_holds(tasks)
    assert not processor_demand_holds([(3, 4, 5), (3, 12, 3)])


def test_at_full_utilization_blocking_needs_deadlines_longer_than_periods() -> None:
    assert processor_demand_holds([(1, 2, 4), (2, 4, 6)], 1)
    assert not processor_demand_holds([(1, 2, 2), (2, 4, 4)], 1)


def test_a_set_that_needs_too_many_looks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = [(1, 2, 2), (2, 5, 5), (1, 11, 10)]
    assert processor_demand_holds(tasks)

    monkeypatch.setattr(edf, "MAX_POINTS", 1)

    assert not processor_demand_holds(tasks)


def test_a_task_of_an_hour_beside_one_of_a_millisecond_takes_few_looks() -> None:
    hour, ms = 3_600_000_000, 1_000

    assert processor_demand_holds([(ms // 2, ms, ms // 2 + 1), (hour // 3, hour, hour)])
    assert not processor_demand_holds([(ms // 2, ms, ms // 2 + 1), (hour // 3, hour, hour // 2)])

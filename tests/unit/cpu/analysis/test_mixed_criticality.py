from fractions import Fraction

import pytest

from k40s.cpu.analysis.mixed_criticality import (
    DualTask,
    adaptive_response,
    adaptive_test,
    priority_order,
    static_response,
    static_test,
    virtual_deadline_factor,
)


def hi(low: int, high: int, period: int, deadline: int | None = None) -> DualTask:
    return DualTask(
        wcet_low=low, wcet_hi=high, period=period, deadline=deadline or period, is_hi=True
    )


def low(wcet: int, period: int, deadline: int | None = None) -> DualTask:
    return DualTask(
        wcet_low=wcet, wcet_hi=wcet, period=period, deadline=deadline or period, is_hi=False
    )


def test_a_low_task_suffers_the_lower_wcets_of_others() -> None:
    assert static_response(low(3, 15), [hi(2, 9, 10)]) == 5


def test_a_hi_task_suffers_the_higher_wcets_of_hi_tasks() -> None:
    assert static_response(hi(1, 2, 40), [hi(2, 4, 10), low(3, 15)]) == 9


def test_across_the_switch_low_tasks_interfere_only_until_it() -> None:
    above = [low(4, 10)]

    found = adaptive_response(hi(5, 20, 100), above)

    assert found is not None
    assert (found.low, found.hi) == (9, 24)
    assert static_response(hi(5, 20, 100), above) == 36


def test_a_task_that_may_be_late_in_either_mode_has_no_bound() -> None:
    assert adaptive_response(low(5, 20, 8), [low(4, 10)]) is None
    assert adaptive_response(hi(5, 20, 23), [low(4, 10)]) is None


def test_an_order_is_found_that_deadlines_do_not_give() -> None:
    tasks = [low(3, 10, 9), hi(2, 8, 20, 10)]

    assert priority_order(tasks, static_test) == (1, 0)
    assert not static_test(tasks[1], tasks[:1])


def test_there_may_be_no_order() -> None:
    assert priority_order([low(6, 10), hi(5, 6, 10)], static_test) is None
    assert priority_order([], adaptive_test) == ()


def test_adaptive_mixed_criticality_accepts_what_static_refuses() -> None:
    tasks = [low(1, 5), hi(7, 17, 20)]

    assert priority_order(tasks, adaptive_test) is not None
    assert priority_order(tasks, static_test) is None


def test_plain_edf_needs_no_virtual_deadlines() -> None:
    assert virtual_deadline_factor([low(2, 10), hi(2, 8, 10)]) == 1


def test_virtual_deadlines_reserve_time_for_the_switch() -> None:
    assert virtual_deadline_factor([low(4, 10), hi(2, 7, 10)]) == Fraction(1, 3)


@pytest.mark.parametrize(
    "tasks",
    [
        [low(5, 10), hi(4, 9, 10)],
        [low(10, 10), hi(1, 1, 10)],
        [low(1, 10, 9)],
    ],
)
def test_no_virtual_deadlines_for_what_is_too_much_or_due_early(tasks: list[DualTask]) -> None:
    assert virtual_deadline_factor(tasks) is None


@pytest.mark.parametrize(
    ("wcet_low", "wcet_hi", "deadline", "is_hi"),
    [(0, 1, 10, True), (2, 1, 10, True), (1, 1, 11, True), (1, 1, 0, True), (1, 2, 10, False)],
)
def test_refuses_a_task_that_cannot_be(
    wcet_low: int, wcet_hi: int, deadline: int, *, is_hi: bool
) -> None:
    with pytest.raises(ValueError, match="task"):
        DualTask(wcet_low=wcet_low, wcet_hi=wcet_hi, period=10, deadline=deadline, is_hi=is_hi)

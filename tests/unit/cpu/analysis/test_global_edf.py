from fractions import Fraction

import pytest

from k40s.cpu.analysis import edf
from k40s.cpu.analysis.edf import density_bound_holds, global_edf_holds, interference_bound_holds

WHOLE = Fraction(1)


def test_density_accepts_up_to_what_the_heaviest_task_leaves() -> None:
    tasks = [(5, 10, 10), (5, 10, 10), (5, 10, 10)]

    assert density_bound_holds(tasks, 2, WHOLE)
    assert not density_bound_holds([*tasks, (1, 100, 100)], 2, WHOLE)


def test_density_takes_the_deadline_where_it_is_shorter() -> None:
    assert density_bound_holds([(3, 10, 5), (3, 10, 5)], 2, WHOLE)
    assert not density_bound_holds([(3, 10, 5), (3, 10, 5), (2, 10, 5)], 2, WHOLE)


def test_a_light_set_below_a_heavy_task_of_the_dhall_kind_is_refused() -> None:
    tasks = [(1, 10, 10), (1, 10, 10), (11, 11, 11)]

    assert not global_edf_holds(tasks, 2, WHOLE)


def test_as_many_heavy_tasks_as_cpus_need_the_interference_bound() -> None:
    tasks = [(9, 10, 10), (9, 10, 10)]

    assert not density_bound_holds(tasks, 2, WHOLE)
    assert interference_bound_holds(tasks, 2)
    assert global_edf_holds(tasks, 2, WHOLE)


def test_slack_of_one_task_can_save_another(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = [(3, 7, 7), (1, 8, 2), (3, 9, 5)]

    assert interference_bound_holds(tasks, 2)
    monkeypatch.setattr(edf, "MAX_ROUNDS", 1)
    assert not interference_bound_holds(tasks, 2)


def test_the_interference_bound_refuses_what_cannot_be_done_in_time() -> None:
    assert not interference_bound_holds([(6, 10, 5)], 2)
    assert not interference_bound_holds([(5, 10, 10)] * 5, 2)


def test_slack_is_not_sought_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = [(1, 20, 4), (1, 20, 5)]
    assert interference_bound_holds(tasks, 2)

    monkeypatch.setattr(edf, "MAX_ROUNDS", 0)

    assert not interference_bound_holds(tasks, 2)


def test_the_capacity_bounds_the_sum_and_slows_each_cpu() -> None:
    tasks = [(45, 100, 100)] * 4

    assert not global_edf_holds(tasks, 2, Fraction(89, 100))
    assert global_edf_holds([(30, 100, 100)] * 4, 2, Fraction(9, 10))
    assert not global_edf_holds([(95, 100, 100)], 2, Fraction(9, 10))


def test_nothing_fits_anywhere() -> None:
    assert global_edf_holds([], 1, Fraction(9, 10))

from itertools import permutations
from math import inf

import pytest

from k40s.assurance.trend import CONFIDENCE, find_level, find_slope
from k40s.units import NS_PER_MS, Nanoseconds

TIMES = [Nanoseconds(index * 500 * NS_PER_MS) for index in range(8)]


def test_the_level_is_the_median() -> None:
    assert find_level([0.1, 9.0, 0.2]) == 0.2
    assert find_level([0.1, 0.3]) == pytest.approx(0.2)


def test_the_slope_is_that_of_the_line_per_second() -> None:
    assert find_slope(TIMES[:5], [1.0, 1.5, 2.0, 2.5, 3.0]).estimate == pytest.approx(1.0)
    assert find_slope(TIMES[:5], [3.0, 2.0, 1.0, 0.0, -1.0]).estimate == pytest.approx(-2.0)


def test_constant_values_do_not_rise() -> None:
    slope = find_slope(TIMES[:5], [0.1] * 5)

    assert (slope.estimate, slope.low) == (0, 0)


def test_one_outlier_among_five_does_not_change_it_much() -> None:
    slope = find_slope(TIMES[:5], [0.0, 0.05, 0.1, 99.0, 0.2])

    assert slope.estimate == pytest.approx(0.1, rel=0.5)
    assert slope.low <= 0.1


def test_uneven_times_count_as_they_are() -> None:
    times = [Nanoseconds(ms * NS_PER_MS) for ms in (0, 100, 900, 1000, 2500)]

    slope = find_slope(times, [2.0 * time / 1e9 for time in times])

    assert slope.estimate == pytest.approx(2.0)
    assert slope.low == pytest.approx(2.0)


def test_three_samples_are_too_few_to_be_sure() -> None:
    assert find_slope(TIMES[:2], [0.0, 1.0]).low == -inf
    assert find_slope(TIMES[:3], [0.0, 1.0, 2.0]).low == -inf
    assert find_slope(TIMES[:4], [0.0, 1.0, 2.0, 3.0]).low == pytest.approx(2.0)


@pytest.mark.parametrize("samples", [4, 5, 6, 7])
def test_the_limit_exceeds_the_true_slope_in_no_more_orders_of_the_noise_than_it_may(
    samples: int,
) -> None:
    """By enumeration of all orders: the noise is what is left of the values without the slope."""
    noise = [2.0**index for index in range(samples)]
    orders = list(permutations(noise))
    wrong = sum(find_slope(TIMES[:samples], order).low > 0 for order in orders)

    assert wrong / len(orders) <= 1 - CONFIDENCE
    assert wrong > 0

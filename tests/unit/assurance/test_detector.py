from dataclasses import replace

import pytest

from k40s.assurance.detector import DEFAULT_RULES, AlarmState, Rule, observe, slope
from k40s.assurance.metrics import Metric
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds

RULE = Rule(
    metric=Metric.CPU_SYSTEM,
    raise_at=0.5,
    clear_at=0.3,
    votes=3,
    window=4,
    hold=Nanoseconds(2 * NS_PER_S),
)
STEP = Nanoseconds(500 * NS_PER_MS)


def run(values: list[float], rule: Rule = RULE, state: AlarmState | None = None) -> list[bool]:
    """Whether the alarm is active after each sample, two samples per second."""
    alarm = state or AlarmState()
    begin = alarm.times[-1] if alarm.times else 0
    actives = []
    for index, value in enumerate(values, start=1):
        alarm = observe(alarm, rule, at=Nanoseconds(begin + index * STEP), value=value)
        actives.append(alarm.active)
    return actives


def test_enough_high_samples_among_the_last_raise_the_alarm() -> None:
    assert run([0.6, 0.1, 0.6, 0.6]) == [False, False, False, True]


def test_a_burst_does_not() -> None:
    assert not any(run([0.6, 0.6, 0.1, 0.1, 0.6, 0.6, 0.1, 0.1]))


def test_the_alarm_stays_between_clearing_and_raising() -> None:
    assert all(run([0.6] * 3 + [0.4] * 20)[2:])


def test_as_many_calm_samples_clear_it() -> None:
    assert run([0.6] * 3 + [0.4, 0.4, 0.2, 0.2, 0.2]) == [False, False, True, *[True] * 4, False]


def test_it_does_not_change_before_its_hold_time_is_over() -> None:
    assert run([0.6] * 3 + [0.1] * 4) == [False, False, True, True, True, True, False]
    patient = replace(RULE, hold=Nanoseconds(4 * NS_PER_S))
    assert run([0.6] * 3 + [0.1] * 8, patient) == [False, False, *[True] * 8, False]


def test_a_rise_above_the_clearing_value_counts_as_high() -> None:
    rising = [0.0, 0.05, 0.1, 0.2, 0.3, 0.35, 0.4, 0.45]

    assert not any(run(rising))
    assert any(run(rising, replace(RULE, trend=0.1)))


def test_a_rise_below_the_clearing_value_does_not() -> None:
    assert not any(run([0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.29], replace(RULE, trend=0.01)))


def test_a_trend_needs_five_samples() -> None:
    steep = replace(RULE, trend=0.01, votes=1, window=1)

    assert run([0.31, 0.32, 0.33, 0.34, 0.35], steep) == [False, False, False, False, True]


def test_the_slope_is_that_of_the_line_per_second() -> None:
    times = [Nanoseconds(index * STEP) for index in range(5)]

    assert slope(times, [1.0, 1.5, 2.0, 2.5, 3.0]) == pytest.approx(1.0)
    assert slope(times, [0.1] * 5) == 0
    assert slope(times, [3.0, 2.0, 1.0, 0.0, -1.0]) == pytest.approx(-2.0)


@pytest.mark.parametrize(
    "change",
    [
        {"clear_at": 0.6},
        {"clear_at": 0.0},
        {"trend": 0.0},
        {"trend": -1.0},
        {"votes": 0},
        {"votes": 5},
        {"votes": 2},
    ],
)
def test_a_rule_that_cannot_be_is_refused(change: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"rule for cpu-system (breaks|has)"):
        replace(RULE, **change)  # type: ignore[arg-type]  # wrong on purpose


def test_the_default_rules_watch_kernel_time_and_the_queue() -> None:
    assert [rule.metric for rule in DEFAULT_RULES] == [Metric.CPU_SYSTEM, Metric.RUN_QUEUE]

from dataclasses import replace

import pytest

from k40s.assurance.change_point import Cusum
from k40s.assurance.detector import (
    DEFAULT_RULES,
    AlarmState,
    Rule,
    Trigger,
    Victim,
    observe,
)
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


def test_a_single_outlier_is_no_rise() -> None:
    trending = replace(RULE, trend=0.01, votes=1, window=1)

    assert not any(run([0.31, 0.31, 0.31, 0.31, 0.49], trending))


def test_a_rise_with_setbacks_is_not_sure_enough() -> None:
    trending = replace(RULE, trend=0.01, votes=1, window=1)

    assert not any(run([0.35, 0.31, 0.38, 0.33, 0.41], trending))
    assert any(run([0.31, 0.33, 0.35, 0.38, 0.41], trending))


CHANGING = replace(RULE, votes=6, window=8, change=Cusum(reference=0.5, decision=0.2))


def test_a_jump_far_above_the_reference_raises_the_alarm_before_the_votes_do() -> None:
    assert run([0.1, 0.1, 0.65, 0.65]) == [False] * 4
    assert run([0.1, 0.1, 0.65, 0.65], CHANGING) == [False, False, False, True]


def test_a_small_excess_takes_longer_and_a_spike_between_calm_samples_does_nothing() -> None:
    assert run([0.55] * 5, CHANGING) == [False, False, False, True, True]
    assert not any(run([0.1, 1.0, 0.1, 0.1, 1.0, 0.1], CHANGING))


def test_an_alarm_names_its_trigger_until_it_is_cleared() -> None:
    def after(values: list[float]) -> AlarmState:
        alarm = AlarmState()
        for index, value in enumerate(values, start=1):
            alarm = observe(alarm, CHANGING, at=Nanoseconds(index * STEP), value=value)
        return alarm

    assert after([0.8] * 2).trigger is Trigger.CHANGE
    assert after([0.5] * 6).trigger is Trigger.LEVEL
    cleared = after([0.8] * 2 + [0.1] * 6)
    assert (cleared.active, cleared.trigger, cleared.excess) == (False, None, 0.0)


def test_the_excess_of_before_does_not_raise_a_cleared_alarm_again() -> None:
    patient = replace(CHANGING, change=Cusum(reference=0.3, decision=0.2), votes=3, window=4)

    assert run([0.8] * 2 + [0.29] * 4 + [0.35] * 4, patient)[-4:] == [False] * 4


def test_a_sample_is_suspicious_when_it_is_high_or_adds_up() -> None:
    watched = replace(CHANGING, change=Cusum(reference=0.4, decision=0.2))

    def suspicious(value: float) -> bool:
        alarm = observe(AlarmState(), watched, at=Nanoseconds(STEP), value=value)
        return alarm.suspicious

    assert [suspicious(value) for value in (0.1, 0.39, 0.41, 0.6)] == [False, False, True, True]
    assert not AlarmState().suspicious


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
        {"change": Cusum(reference=0.2, decision=1.0)},
        {"harms": frozenset()},
    ],
)
def test_a_rule_that_cannot_be_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"rule for cpu-system (breaks|has|harms)"):
        replace(RULE, **change)  # type: ignore[arg-type]  # wrong on purpose


def test_the_default_rules_watch_kernel_time_and_the_queue() -> None:
    assert [rule.metric for rule in DEFAULT_RULES] == [
        Metric.CPU_SYSTEM,
        Metric.RUN_QUEUE,
        Metric.KERNEL_QUEUE,
        Metric.KERNEL_STRETCH,
    ]


def test_real_time_tasks_are_harmed_by_long_stretches_in_the_kernel_alone() -> None:
    harms = {rule.metric: rule.harms for rule in DEFAULT_RULES}

    assert harms.pop(Metric.KERNEL_STRETCH) == {Victim.REAL_TIME}
    assert set(harms.values()) == {frozenset({Victim.ORDINARY})}

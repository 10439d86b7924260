from collections.abc import Iterator
from itertools import pairwise

import pytest

from k40s.assurance.gamma import (
    GammaPolicy,
    GammaState,
    Severity,
    assess,
    postpone,
    recover,
    resume,
)
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds

POLICY = GammaPolicy()
NONE, ALARM, HARMED, MISSED = Severity


def run(
    severities: Iterator[Severity | None] | list[Severity | None],
    state: GammaState | None = None,
    policy: GammaPolicy = POLICY,
) -> list[GammaState]:
    """The states after each second."""
    states = []
    gamma = state or GammaState()
    for second, severity in enumerate(severities):
        if severity is None:
            gamma = postpone(gamma, NS_PER_S)
        else:
            gamma = recover(gamma, policy, at=Nanoseconds(second * NS_PER_S), severity=severity)
        states.append(gamma)
    return states


def values(severities: list[Severity | None], state: GammaState | None = None) -> list[int]:
    return [gamma.value for gamma in run(severities, state)]


@pytest.mark.parametrize(("severity", "floor"), [(ALARM, 5), (HARMED, 3), (MISSED, 0)])
def test_it_falls_once_after_the_timeout_as_far_as_the_severity_says(
    severity: Severity, floor: int
) -> None:
    assert values([severity] * 40) == [10] * 10 + [floor] * 30


def test_a_hazard_shorter_than_the_timeout_lowers_nothing() -> None:
    assert values(([HARMED] * 9 + [NONE] * 5) * 4) == [10] * 56


def test_harm_counts_from_when_it_began_and_not_from_the_alarm() -> None:
    assert values([ALARM] * 8 + [HARMED] * 11) == [10] * 10 + [5] * 8 + [3]


def test_a_milder_hazard_does_not_raise_it() -> None:
    assert values([MISSED] * 11 + [ALARM] * 30)[-1] == 0


def test_calm_raises_it_in_steps() -> None:
    found = values([MISSED] * 11 + [NONE] * 50)

    assert found[10:] == [0] * 31 + [5] * 10 + [10] * 10


def test_a_hazard_before_that_starts_the_calm_again() -> None:
    assert values([MISSED] * 11 + [NONE] * 29 + [ALARM] + [NONE] * 30)[-1] == 0


def test_each_relapse_doubles_the_calm_up_to_a_bound() -> None:
    needed = []
    state = GammaState()
    at = 0
    for _ in range(8):
        for _ in range(11):
            at += NS_PER_S
            state = recover(state, POLICY, at=Nanoseconds(at), severity=HARMED)
        begin = at
        while state.value < 10:
            at += NS_PER_S
            state = recover(state, POLICY, at=Nanoseconds(at), severity=NONE)
        needed.append((at - begin) // NS_PER_S - 1)

    assert needed == [40, 70, 130, 250, 490, 910, 910, 910]


def test_relapses_are_forgotten_after_a_long_calm() -> None:
    states = run([HARMED] * 11 + [NONE] * 60 + [HARMED] * 11 + [NONE] * 1801 + [HARMED] * 11)

    assert (states[81].falls, states[-12].falls, states[-1].falls) == (2, 0, 1)


def test_a_hazard_that_lowers_nothing_more_is_no_relapse() -> None:
    states = run([HARMED] * 11 + ([NONE] * 20 + [HARMED] * 20) * 10 + [NONE] * 41)

    assert states[-1].falls == 1
    assert states[-1].value == 10


def test_it_remembers_by_what_it_fell_until_it_is_back() -> None:
    states = run([ALARM] * 11 + [MISSED] * 11 + [ALARM] * 5 + [NONE] * 41)

    assert [states[second].cause for second in (9, 10, 21, 26, 57, 67)] == [
        *(NONE, ALARM, MISSED, MISSED, MISSED, NONE),
    ]


def test_what_is_unknown_neither_lowers_nor_raises_it() -> None:
    assert values([None] * 100) == [10] * 100
    assert values([MISSED] * 11 + [None] * 200)[-1] == 0


def test_calm_counts_as_far_as_it_is_seen() -> None:
    found = values([MISSED] * 11 + [NONE, None] * 40)

    assert found[11 + 60 - 1] == 0
    assert found[11 + 62] == 5


def resumed(value: int, cause: Severity, falls: int) -> GammaState:
    return resume(GammaState(), value=value, cause=cause, falls=falls)


def test_after_a_restart_it_needs_calm_to_rise() -> None:
    assert values([NONE] * 32, resumed(3, HARMED, 1)) == [3] * 30 + [8] * 2


def test_a_restart_forgets_no_relapse() -> None:
    assert values([NONE] * 62, resumed(3, HARMED, 2)) == [3] * 60 + [8] * 2
    assert run([NONE], resumed(10, NONE, 3))[-1].falls == 3


def test_a_restart_during_a_hazard_counts_it_once() -> None:
    during = run([ALARM] * 10 + [HARMED] * 11, resumed(5, ALARM, 1))[-1]
    afterwards = run([NONE] * 60 + [HARMED] * 11, resumed(5, ALARM, 1))[-1]

    assert (during.value, during.cause, during.falls) == (3, HARMED, 1)
    assert afterwards.falls == 2


def test_a_low_level_without_its_reason_counts_as_one_downgrade_by_an_alarm() -> None:
    state = resumed(5, NONE, 0)

    assert (state.cause, state.falls) == (ALARM, 1)


def test_a_restart_raises_nothing() -> None:
    own = run([MISSED] * 11)[-1]

    state = resume(own, value=5, cause=ALARM, falls=1)

    assert (state.value, state.cause, state.falls) == (0, MISSED, 1)


@pytest.mark.parametrize(
    ("alarm", "harmed", "missed", "severity"),
    [
        (False, None, False, NONE),
        (True, None, False, ALARM),
        (True, False, False, NONE),
        (False, True, False, NONE),
        (True, True, False, HARMED),
        (False, True, True, NONE),
        (True, True, True, MISSED),
    ],
)
def test_a_gauge_of_harm_decides_and_the_alarm_where_there_is_none(
    *, alarm: bool, harmed: bool | None, missed: bool, severity: Severity
) -> None:
    assert assess(alarm=alarm, harmed=harmed, missed=missed) is severity


def downgrades(states: list[GammaState]) -> int:
    return sum(later.value < earlier.value for earlier, later in pairwise(states))


@pytest.mark.parametrize("phase", [0, 1, 7, 13, 19])
@pytest.mark.parametrize("severity", [ALARM, HARMED, MISSED])
@pytest.mark.parametrize("timeout", [1, 5, 10])
@pytest.mark.parametrize("late", [0, 3])
def test_a_hazard_that_comes_and_goes_every_20_s_for_half_an_hour_downgrades_at_most_twice(
    phase: int, severity: Severity, timeout: int, late: int
) -> None:
    policy = GammaPolicy(timeout=Nanoseconds(timeout * NS_PER_S))
    samples = [severity if (second + phase) % 40 < 20 + late else NONE for second in range(1800)]

    assert downgrades(run(list(samples), policy=policy)) <= 2


@pytest.mark.parametrize(
    ("off", "most"), [(30, 1), (35, 2), (45, 2), (70, 3), (130, 4), (260, 5), (500, 6)]
)
def test_slower_ones_downgrade_once_more_for_each_doubling_of_their_calm(
    off: int, most: int
) -> None:
    samples = [HARMED if second % (20 + off) < 20 else NONE for second in range(6 * 3600)]

    assert downgrades(run(list(samples))) <= most


@pytest.mark.parametrize(
    "change",
    [
        {"missed": -1},
        {"harmed": 6},
        {"alarm": 10},
        {"timeout": -1},
        {"every": 0},
        {"step": 0},
        {"step": 11},
        {"quiet": 0},
        {"quiet": 1000 * NS_PER_S},
        {"forgiven": 100 * NS_PER_MS},
    ],
)
def test_a_policy_that_cannot_be_is_refused(change: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="γ"):
        GammaPolicy(**change)  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize("value", [-1, 11])
def test_it_lies_in_0_to_10(value: int) -> None:
    with pytest.raises(ValueError, match="0 to 10"):
        GammaState(value=value)


def test_downgrades_are_not_negative() -> None:
    with pytest.raises(ValueError, match="fewer than 0"):
        GammaState(falls=-1)


def test_a_hazard_that_grows_worse_is_a_relapse_once_it_lowers_more() -> None:
    """γ has begun to rise, and the new hazard's first severity lowers nothing."""
    states = run([MISSED] * 11 + [NONE] * 31 + [ALARM] * 11 + [MISSED] * 11)

    assert [states[second].value for second in (41, 52, 63)] == [5, 5, 0]
    assert [states[second].falls for second in (41, 52, 63)] == [1, 1, 2]


def test_hazards_that_grow_worse_after_each_rise_are_answered_with_longer_calm() -> None:
    cycle: list[Severity | None] = [ALARM] * 11 + [MISSED] * 11 + [NONE] * 32

    assert downgrades(run([MISSED] * 11 + [NONE] * 31 + cycle * 33)) <= 3

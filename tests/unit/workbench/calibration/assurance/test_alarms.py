from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from k40s.assurance.change_point import Cusum
from k40s.assurance.detector import Rule, Victim
from k40s.assurance.metrics import Metric
from k40s.units import NS_PER_S
from tests.fakes.calibration_recordings import STRESS, phase_of, recording_of
from workbench.calibration.assurance.judgement.alarms import (
    BuiltInAlarms,
    VictimAlarms,
    judge_alarms,
)
from workbench.calibration.assurance.judgement.windows import Limits, cut_windows
from workbench.calibration.assurance.plan.experiment import Policy, Stress
from workbench.calibration.assurance.plan.recording import Recording

LIMITS = Limits(latency=150.0, response=7000.0)
WITHIN_TWO = Rule(
    metric=Metric.CPU_SYSTEM,
    raise_at=0.5,
    clear_at=0.3,
    change=Cusum(reference=0.4, decision=0.2),
    harms=frozenset({Victim.REAL_TIME}),
)
BY_VOTES = replace(WITHIN_TWO, change=None)
STRESSED = (STRESS - 1) * 2
"""Windows of a stress."""


QUIET, HARMED = 1_200, 12_000
"""µs/s that the task waits."""


def judgement(*recordings: Recording, rules: Sequence[Rule] = (WITHIN_TWO,)) -> BuiltInAlarms:
    windows = [window for one in recordings for window in cut_windows(one, LIMITS)]
    found = judge_alarms(recordings, windows, rules, Victim.REAL_TIME)
    assert found is not None
    return found


def judged(*recordings: Recording, rule: Rule = WITHIN_TWO) -> VictimAlarms:
    return judgement(*recordings, rules=(rule,)).alone


def gauged(*recordings: Recording, rules: Sequence[Rule] = (WITHIN_TWO,)) -> VictimAlarms:
    found = judgement(*recordings, rules=rules).gauged
    assert found is not None
    return found.confirmed


def test_an_alarm_beside_harm_is_a_hit_and_calm_windows_are_none() -> None:
    found = judged(recording_of(phase_of(), late=600.0))

    assert (found.together.precision, found.together.recall) == (1.0, 1.0)
    assert found.together.hits == STRESSED
    assert {one.stress: one.quality.windows for one in found.by_stress} == {
        None: found.together.windows - STRESSED,
        Stress.OPEN: STRESSED,
    }


def test_an_alarm_beside_a_stress_that_harms_nobody_is_false() -> None:
    found = judged(recording_of(phase_of(), late=50.0))

    assert (found.together.hits, found.together.false_alarms) == (0, STRESSED)
    assert found.together.precision == 0.0


def test_harm_that_raises_no_alarm_is_missed() -> None:
    quiet = {Metric.CPU_SYSTEM: (0.1, 0.2)}
    found = judged(recording_of(phase_of(), late=600.0, levels=quiet))

    assert (found.together.hits, found.together.misses) == (0, STRESSED)
    assert [one.delay for one in found.by_stress] == [None, None]


@pytest.mark.parametrize(("rule", "delay", "missed"), [(WITHIN_TWO, 1.0, 0), (BY_VOTES, 3.0, 3)])
def test_windows_before_the_alarm_are_missed_as_long_as_it_takes(
    rule: Rule, delay: float, missed: int
) -> None:
    found = judged(recording_of(phase_of(), late=600.0), rule=rule)

    (_, beside) = found.by_stress
    assert (beside.delay, beside.phases) == (delay, 1)
    assert found.together.misses == missed


def test_the_delay_is_the_median_of_the_phases_that_had_an_alarm() -> None:
    silent = {Metric.CPU_SYSTEM: (0.1, 0.2)}
    found = judged(
        recording_of(phase_of(repetition=1), late=600.0),
        recording_of(phase_of(repetition=2), late=600.0, levels=silent),
        recording_of(phase_of(Stress.CPU), late=50.0),
    )

    beside = {one.stress: one for one in found.by_stress}
    assert (beside[Stress.OPEN].delays, beside[Stress.OPEN].phases) == ((1.0,), 2)
    assert beside[Stress.CPU].quality.false_alarms == STRESSED


def test_an_alarm_without_stress_is_counted_and_has_no_delay() -> None:
    restless = {Metric.CPU_SYSTEM: (0.6, 0.6)}
    found = judged(recording_of(phase_of(), levels=restless), recording_of(phase_of(repetition=2)))

    quiet, beside = found.by_stress
    assert (quiet.stress, quiet.alarmed, quiet.phases, quiet.delay) == (None, 1, 2, None)
    assert quiet.quality.false_alarms > 0
    assert (beside.alarmed, beside.delays) == (1, (1.0,))


def test_rules_for_others_raise_no_alarm() -> None:
    found = judged(
        recording_of(phase_of(), late=600.0),
        rule=replace(WITHIN_TWO, harms=frozenset({Victim.ORDINARY})),
    )

    assert found.together.hits == 0


def test_stolen_windows_are_not_judged() -> None:
    assert judged(recording_of(phase_of(), steal=0.02)).together.windows == 0


def test_an_unknown_value_leaves_the_alarm_as_it_is() -> None:
    recording = recording_of(phase_of(), late=600.0)
    assert recording.watched is not None
    recording.watched.metrics[Metric.CPU_SYSTEM][recording.watched.times > 8 * NS_PER_S] = np.nan

    assert judged(recording).together.recall == 1.0


def test_a_recording_of_an_earlier_version_is_not_judged() -> None:
    recording = replace(recording_of(phase_of(policy=Policy.FIFO)), watched=None)

    assert judge_alarms([recording], [], [WITHIN_TWO], Victim.REAL_TIME) is None


def harmless(repetition: int) -> Recording:
    """A phase whose stress raises an alarm, and leaves the task alone."""
    return recording_of(
        phase_of(Stress.NETDEV, repetition=repetition), late=40.0, pressures=(QUIET, QUIET)
    )


def test_the_gauge_denies_the_alarms_beside_which_the_task_does_not_wait() -> None:
    phases = [*map(harmless, range(1, 5)), recording_of(phase_of(), late=600.0, pressures=(1, 1))]

    assert judged(*phases).together.false_alarms == 4 * STRESSED
    found = gauged(*phases).together
    assert (found.hits, found.false_alarms, found.misses) == (0, 0, STRESSED)


def test_what_is_harm_in_two_windows_is_acted_on_at_their_end() -> None:
    harmful = recording_of(phase_of(), late=600.0, pressures=(QUIET, HARMED))

    found = gauged(*map(harmless, range(1, 3)), harmful)

    (beside,) = [one for one in found.by_stress if one.stress is Stress.OPEN]
    assert (beside.delays, beside.quality.hits) == ((1.0,), STRESSED)


def test_windows_in_which_the_gauge_knows_no_calm_yet_are_not_judged() -> None:
    phases = [harmless(1), harmless(2)]

    every, found = judged(*phases).together.windows, gauged(*phases).together.windows
    assert [one.phases for one in gauged(*phases).by_stress] == [1, 1]
    same = judgement(*phases).gauged
    assert same is not None
    assert (same.alone.windows, same.alone.false_alarms) == (found, STRESSED)
    assert judged(phases[0]).together.windows < every - found, "ten seconds: all of the first phase"
    assert found >= STRESSED, "and no more than the second one's beginning"


def test_an_alarm_for_others_is_no_calm() -> None:
    others = replace(WITHIN_TWO, metric=Metric.LOAD, harms=frozenset({Victim.ORDINARY}))
    busy = {Metric.LOAD: (0.6, 0.6)}
    phases = [
        recording_of(phase_of(repetition=n), late=40.0, pressures=(QUIET, QUIET), levels=busy)
        for n in range(1, 5)
    ]

    assert gauged(*phases).together.windows >= 3 * STRESSED
    assert gauged(*phases, rules=(WITHIN_TWO, others)).together.windows == 0


def test_another_policys_calm_is_not_its_own() -> None:
    others = [
        replace(harmless(number), phase=phase_of(policy=Policy.DEADLINE, repetition=number))
        for number in (1, 2)
    ]
    alone = recording_of(phase_of(), late=600.0, pressures=(QUIET, QUIET))

    assert gauged(*others, alone).together == gauged(*others).together


def test_without_pressure_and_for_ordinary_threads_there_is_no_gauge() -> None:
    assert judgement(harmless(1), recording_of(phase_of())).gauged is None
    found = judge_alarms([harmless(1)], [], [WITHIN_TWO], Victim.ORDINARY)
    assert found is not None
    assert found.gauged is None

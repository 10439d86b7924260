from dataclasses import replace

import numpy as np
import pytest

from k40s.assurance.change_point import Cusum
from k40s.assurance.detector import Rule, Victim
from k40s.assurance.metrics import Metric
from k40s.units import NS_PER_S
from tests.fakes.calibration_recordings import STRESS, phase_of, recording_of
from workbench.calibration.assurance.judgement.alarms import VictimAlarms, judge_alarms
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


def judged(*recordings: Recording, rule: Rule = WITHIN_TWO, gauged: bool = False) -> VictimAlarms:
    windows = [window for one in recordings for window in cut_windows(one, LIMITS)]
    found = judge_alarms(recordings, windows, [rule], Victim.REAL_TIME, gauged=gauged)
    assert found is not None
    return found


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
    found = judged(*phases, gauged=True).together
    assert found.false_alarms == STRESSED, "a calm of ten seconds comes first"
    assert (found.hits, found.misses) == (0, STRESSED)


def test_harm_is_told_a_sample_after_two_windows_of_it() -> None:
    harmful = recording_of(phase_of(), late=600.0, pressures=(QUIET, HARMED))

    found = judged(*map(harmless, range(1, 3)), harmful, gauged=True)

    (beside,) = [one for one in found.by_stress if one.stress is Stress.OPEN]
    assert (beside.delays, beside.quality.hits) == ((1.5,), STRESSED)


def test_a_gauge_that_knows_no_calm_denies_nothing() -> None:
    alone = recording_of(phase_of(), late=600.0, pressures=(QUIET, QUIET))

    assert judged(alone, gauged=True).together == judged(alone).together


def test_another_policys_calm_is_not_its_own() -> None:
    others = [
        replace(harmless(n), phase=phase_of(policy=Policy.DEADLINE, repetition=n)) for n in (1, 2)
    ]
    alone = recording_of(phase_of(), late=600.0, pressures=(QUIET, QUIET))

    (beside,) = [
        one for one in judged(*others, alone, gauged=True).by_stress if one.stress is Stress.OPEN
    ]
    assert beside.quality.hits == STRESSED


def test_without_pressure_there_is_no_gauge() -> None:
    recordings = [recording_of(phase_of())]

    assert judge_alarms(recordings, [], [WITHIN_TWO], Victim.REAL_TIME, gauged=True) is None

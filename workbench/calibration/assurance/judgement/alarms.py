"""Alarms of given rules on recorded phases, beside the harm that was done: nothing is fitted.

The detector sees what malacoda would: samples at its period, from the beginning of each phase on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from k40s.assurance.detector import AlarmState, Rule, Victim, observe
from k40s.units import NS_PER_S, Nanoseconds
from workbench.calibration.assurance.judgement.thresholds import Quality, judge
from workbench.calibration.assurance.judgement.windows import Window
from workbench.calibration.assurance.plan.experiment import Phase, Stress
from workbench.calibration.assurance.plan.recording import Recording


@dataclass(frozen=True, slots=True, kw_only=True)
class StressAlarms:
    """Beside one stress, None for none: windows by harm and alarm.

    ``delays`` are the seconds from each stress to its alarm; a phase without an alarm has none.
    """

    stress: Stress | None
    quality: Quality
    phases: int
    delays: tuple[float, ...]

    @property
    def delay(self) -> float | None:
        """The median delay; None where no alarm was raised."""
        return median(self.delays) if self.delays else None


@dataclass(frozen=True, slots=True, kw_only=True)
class VictimAlarms:
    """Alarms that are a hazard for one kind of victim, by stress and together."""

    together: Quality
    by_stress: tuple[StressAlarms, ...]


def judge_alarms(
    recordings: Sequence[Recording],
    windows: Sequence[Window],
    rules: Sequence[Rule],
    victim: Victim,
) -> VictimAlarms | None:
    """The alarms for a victim in windows that are not stolen; None where a recording is older.

    A window is alarmed where the alarm is active at the last sample before its end.
    """
    own = [rule for rule in rules if victim in rule.harms]
    raised: dict[Phase, Sequence[tuple[float, bool]]] = {}
    for recording in recordings:
        if recording.watched is None:
            return None
        raised[recording.phase] = _alarms(recording, own)
    judged = [window for window in windows if not window.stolen]
    return VictimAlarms(
        together=_quality(judged, raised),
        by_stress=tuple(
            StressAlarms(
                stress=stress,
                quality=_quality([w for w in judged if _stress_of(w) is stress], raised),
                phases=sum(stress in (None, one.phase.stress) for one in recordings),
                delays=tuple(
                    delay
                    for one in recordings
                    if one.phase.stress is stress
                    for delay in _delay(one, raised[one.phase])
                ),
            )
            for stress in (None, *Stress)
            if any(_stress_of(window) is stress for window in judged)
        ),
    )


def _alarms(recording: Recording, rules: Sequence[Rule]) -> list[tuple[float, bool]]:
    """After each sample, whether any alarm is active; with its time in ns."""
    assert recording.watched is not None  # noqa: S101  # the caller has asked
    states = {rule: AlarmState() for rule in rules}
    found = []
    for index, at in enumerate(recording.watched.times):
        for rule in rules:
            column = recording.watched.metrics.get(rule.metric)
            if column is not None and not np.isnan(column[index]):
                states[rule] = observe(
                    states[rule], rule, at=Nanoseconds(int(at)), value=float(column[index])
                )
        found.append((float(at), any(state.active for state in states.values())))
    return found


def _quality(
    windows: Sequence[Window], raised: Mapping[Phase, Sequence[tuple[float, bool]]]
) -> Quality:
    alarmed = [
        next((active for at, active in reversed(raised[w.phase]) if at <= w.end), False)
        for w in windows
    ]
    return judge(
        np.array(alarmed, dtype=np.bool_), np.array([w.harms for w in windows], dtype=np.bool_)
    )


def _stress_of(window: Window) -> Stress | None:
    return window.phase.stress if window.stressed else None


def _delay(recording: Recording, alarms: Sequence[tuple[float, bool]]) -> list[float]:
    """Seconds from the stress to the first alarm in it."""
    late = [at - recording.stressed for at, active in alarms if active and at > recording.stressed]
    return [late[0] / NS_PER_S] if late else []

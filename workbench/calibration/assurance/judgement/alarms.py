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

    In ``alarmed`` of its ``phases`` an alarm was raised, in those with a stress after so many
    seconds of it.
    """

    stress: Stress | None
    quality: Quality
    phases: int
    alarmed: int
    delays: tuple[float, ...]

    @property
    def delay(self) -> float | None:
        """The median delay; None where no alarm was raised, or there is no stress."""
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
            _beside(
                stress,
                [one for one in recordings if stress in (None, one.phase.stress)],
                [window for window in judged if _stress_of(window) is stress],
                raised,
            )
            for stress in (None, *Stress)
            if any(_stress_of(window) is stress for window in judged)
        ),
    )


def _beside(
    stress: Stress | None,
    recordings: Sequence[Recording],
    windows: Sequence[Window],
    raised: Mapping[Phase, Sequence[tuple[float, bool]]],
) -> StressAlarms:
    first = [_first(one, raised[one.phase], stressed=stress is not None) for one in recordings]
    after = [at for at in first if at is not None]
    return StressAlarms(
        stress=stress,
        quality=_quality(windows, raised),
        phases=len(recordings),
        alarmed=len(after),
        delays=tuple(after) if stress is not None else (),
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


def _first(
    recording: Recording, alarms: Sequence[tuple[float, bool]], *, stressed: bool
) -> float | None:
    """Seconds from the stress to the first alarm that is raised in it, or before it if negative."""
    before = [False, *(active for _, active in alarms)]
    begun = [at for (at, active), was in zip(alarms, before, strict=False) if active and not was]
    own = [at for at in begun if (at > recording.stressed) == stressed]
    return (own[0] - recording.stressed) / NS_PER_S if own else None

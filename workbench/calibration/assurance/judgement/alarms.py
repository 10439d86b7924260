"""Alarms of given rules on recorded phases, beside the harm that was done: nothing is fitted.

The detector sees what malacoda would: samples at its period, from the beginning of each phase on.
So does the gauge of harm, which the pressure of the task's own cgroup makes; what it has learned of
calm goes from phase to phase, as it would stay with a pod that runs on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from k40s.assurance.detector import AlarmState, Rule, Victim, observe
from k40s.assurance.response.harm import CriticalPod, HarmPolicy, HarmState, gauge_harm
from k40s.units import NS_PER_S, Nanoseconds
from workbench.calibration.assurance.judgement.thresholds import Quality, judge
from workbench.calibration.assurance.judgement.windows import Window
from workbench.calibration.assurance.plan.experiment import Phase, Policy, Stress
from workbench.calibration.assurance.plan.recording import Recording, Samples

_TASK = "task"
"""The UID of the pod that the task stands for."""


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
    *,
    gauged: bool = False,
) -> VictimAlarms | None:
    """The alarms for a victim in windows that are not stolen; None where a recording is older.

    A window is alarmed where the alarm is active at the last sample before its end. ``gauged``:
    what counts is what malacoda acts on, an alarm that the gauge of harm does not deny; None then
    also where a recording has no pressure.
    """
    own = [rule for rule in rules if victim in rule.harms]
    raised: dict[Phase, Sequence[tuple[float, bool]]] = {}
    calm: dict[Policy, HarmState] = {}
    for recording in recordings:
        if recording.watched is None or (gauged and recording.watched.waited is None):
            return None
        former = calm.get(recording.phase.policy, HarmState())
        alarms, harm = _alarms(recording.watched, own, HarmState(baselines=former.baselines))
        calm[recording.phase.policy] = harm
        raised[recording.phase] = [
            (at, alarm and not (gauged and denied)) for at, alarm, denied in alarms
        ]
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


def _alarms(
    watched: Samples, rules: Sequence[Rule], harm: HarmState
) -> tuple[list[tuple[float, bool, bool]], HarmState]:
    """After each sample, its time in ns, whether any alarm is active, and whether harm is denied.

    The gauge is read after the alarms, as malacoda reads it; so it speaks at the next sample.
    """
    states = {rule: AlarmState() for rule in rules}
    found = []
    for index, at in enumerate(watched.times):
        for rule in rules:
            column = watched.metrics.get(rule.metric)
            if column is not None and not np.isnan(column[index]):
                states[rule] = observe(
                    states[rule], rule, at=Nanoseconds(int(at)), value=float(column[index])
                )
        active = any(state.active for state in states.values())
        found.append((float(at), active, harm.harmed is False))
        calm = not active and not any(state.suspicious for state in states.values())
        waited = None if watched.waited is None else watched.waited[index]
        pressure = None if waited is None or np.isnan(waited) else int(waited)
        harm = gauge_harm(
            harm,
            HarmPolicy(),
            at=Nanoseconds(int(at)),
            pods={_TASK: CriticalPod(pressure=pressure)},
            calm=calm,
        )
    return found, harm


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

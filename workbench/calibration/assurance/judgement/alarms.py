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


@dataclass(frozen=True, slots=True, kw_only=True)
class GaugedAlarms:
    """Windows in which the gauge knows calm; in others the alarm alone decides.

    ``confirmed`` are the alarms on which malacoda acts, ``alone`` all in the same windows.
    """

    confirmed: VictimAlarms
    alone: Quality


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltInAlarms:
    """``gauged`` is None for ordinary threads, and where a recording has no pressure."""

    alone: VictimAlarms
    gauged: GaugedAlarms | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moment:
    """After one sample: whether an alarm is active, and what the gauge of harm knows."""

    at: float
    alarm: bool
    harmed: bool | None


def judge_alarms(
    recordings: Sequence[Recording],
    windows: Sequence[Window],
    rules: Sequence[Rule],
    victim: Victim,
) -> BuiltInAlarms | None:
    """The alarms for a victim in windows that are not stolen; None where a recording is older.

    A window is alarmed where the alarm is active at the last sample before its end.
    """
    moments: dict[Phase, list[_Moment]] = {}
    gauges: dict[Policy, HarmState] = {}
    has_gauge = victim is Victim.REAL_TIME
    for recording in recordings:
        if recording.watched is None:
            return None
        has_gauge = has_gauge and recording.watched.waited is not None
        policy = recording.phase.policy
        gauge = HarmState(baselines=gauges.get(policy, HarmState()).baselines)
        moments[recording.phase], gauges[policy] = _follow(recording.watched, rules, victim, gauge)
    judged = [window for window in windows if not window.stolen]
    alarms = {phase: [(one.at, one.alarm) for one in own] for phase, own in moments.items()}
    alone = _sum_up(recordings, judged, alarms)
    if not has_gauge:
        return BuiltInAlarms(alone=alone, gauged=None)
    confirmed = {
        phase: [(one.at, one.alarm and bool(one.harmed)) for one in own]
        for phase, own in moments.items()
    }
    calm_known = {
        phase: [(one.at, one.harmed is not None) for one in own] for phase, own in moments.items()
    }
    known = [window for window in judged if _at_end(window, calm_known)]
    gauged = GaugedAlarms(
        confirmed=_sum_up(recordings, known, confirmed), alone=_quality(known, alarms)
    )
    return BuiltInAlarms(alone=alone, gauged=gauged)


def _sum_up(
    recordings: Sequence[Recording],
    windows: Sequence[Window],
    raised: Mapping[Phase, Sequence[tuple[float, bool]]],
) -> VictimAlarms:
    return VictimAlarms(
        together=_quality(windows, raised),
        by_stress=tuple(
            _beside(stress, recordings, own, raised)
            for stress in (None, *Stress)
            if (own := [window for window in windows if _stress_of(window) is stress])
        ),
    )


def _beside(
    stress: Stress | None,
    recordings: Sequence[Recording],
    windows: Sequence[Window],
    raised: Mapping[Phase, Sequence[tuple[float, bool]]],
) -> StressAlarms:
    phases = {window.phase for window in windows}
    first = [
        _first(one, raised[one.phase], stressed=stress is not None)
        for one in recordings
        if one.phase in phases
    ]
    after = [at for at in first if at is not None]
    return StressAlarms(
        stress=stress,
        quality=_quality(windows, raised),
        phases=len(phases),
        alarmed=len(after),
        delays=tuple(after) if stress is not None else (),
    )


def _follow(
    watched: Samples, rules: Sequence[Rule], victim: Victim, gauge: HarmState
) -> tuple[list[_Moment], HarmState]:
    """What malacoda knows after each sample, and the gauge at the end.

    Alarms for this victim count; calm is the absence of all, as the daemon's gauge takes it.
    """
    states = {rule: AlarmState() for rule in rules}
    found = []
    for index, time in enumerate(watched.times):
        at = Nanoseconds(int(time))
        for rule in rules:
            column = watched.metrics.get(rule.metric)
            if column is not None and not np.isnan(column[index]):
                states[rule] = observe(states[rule], rule, at=at, value=float(column[index]))
        calm = not any(state.active or state.suspicious for state in states.values())
        waited = np.nan if watched.waited is None else watched.waited[index]
        pod = CriticalPod(pressure=None if np.isnan(waited) else int(waited))
        gauge = gauge_harm(gauge, HarmPolicy(), at=at, pods={_TASK: pod}, calm=calm)
        alarm = any(state.active for rule, state in states.items() if victim in rule.harms)
        found.append(_Moment(at=float(time), alarm=alarm, harmed=gauge.harmed))
    return found, gauge


def _quality(
    windows: Sequence[Window], raised: Mapping[Phase, Sequence[tuple[float, bool]]]
) -> Quality:
    alarmed = [_at_end(window, raised) for window in windows]
    return judge(
        np.array(alarmed, dtype=np.bool_), np.array([w.harms for w in windows], dtype=np.bool_)
    )


def _at_end(window: Window, facts: Mapping[Phase, Sequence[tuple[float, bool]]]) -> bool:
    """What holds at the last sample before a window's end."""
    return next((fact for at, fact in reversed(facts[window.phase]) if at <= window.end), False)


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

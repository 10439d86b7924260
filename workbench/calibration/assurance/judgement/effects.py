"""What each class of stress does to the task: the figures behind the paper's Fig. 2."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workbench.calibration.assurance.judgement.traces import quiet_jobs, select
from workbench.calibration.assurance.judgement.windows import ONSET, Window
from workbench.calibration.assurance.plan.experiment import Policy, Stress
from workbench.calibration.assurance.plan.recording import Recording
from workbench.calibration.assurance.plan.rt_app import Jobs


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """The task's jobs beside one stress; ``stress`` None and no ``stressors`` are the quiet node.

    Latencies and slacks in µs. ``missed`` is the share of jobs with negative slack, ``late`` that
    of activations beyond the limit; ``harmful`` of ``windows`` windows harm.
    """

    policy: Policy
    stressors: int
    stress: Stress | None
    jobs: int
    latency_median: float
    latency_p95: float
    latency_p99: float
    latency_max: float
    slack_median: float
    slack_p1: float
    slack_min: float
    late: float
    missed: float
    harmful: int
    windows: int


def effects_of(
    recordings: Sequence[Recording], windows: Sequence[Window], *, late_beyond: float
) -> tuple[Effect, ...]:
    """The effects under one policy: quiet first, then by stressors and stress."""
    policy = recordings[0].phase.policy
    judged = [window for window in windows if not window.stolen]
    quiet = [window for window in judged if not window.stressed]
    found = [_effect(policy, (0, None), quiet_jobs(recordings), quiet, late_beyond)]
    kinds = sorted({(r.phase.stressors, list(Stress).index(r.phase.stress)) for r in recordings})
    for stressors, number in kinds:
        stress = list(Stress)[number]
        same = [r for r in recordings if (r.phase.stressors, r.phase.stress) == (stressors, stress)]
        mine = [
            window
            for window in judged
            if window.stressed
            and (window.phase.stressors, window.phase.stress) == (stressors, stress)
        ]
        found.append(_effect(policy, (stressors, stress), stressed_jobs(same), mine, late_beyond))
    return tuple(found)


def stressed_jobs(recordings: Sequence[Recording]) -> Jobs:
    """The jobs under stress, from the moment when all stressors run."""
    parts = []
    for recording in recordings:
        at = recording.jobs.at
        inside = (at >= recording.stressed + ONSET) & (at < recording.ended)
        parts.append(select(recording.jobs, inside))
    return Jobs(
        at=np.concatenate([part.at for part in parts]),
        latency=np.concatenate([part.latency for part in parts]),
        slack=np.concatenate([part.slack for part in parts]),
    )


def _effect(
    policy: Policy,
    load: tuple[int, Stress | None],
    jobs: Jobs,
    windows: Sequence[Window],
    late_beyond: float,
) -> Effect:
    some = len(jobs.at) > 0
    latency = jobs.latency if some else np.array([np.nan])
    slack = jobs.slack if some else np.array([np.nan])
    median, p95, p99 = (float(value) for value in np.percentile(latency, (50, 95, 99)))
    return Effect(
        policy=policy,
        stressors=load[0],
        stress=load[1],
        jobs=len(jobs.at),
        latency_median=median,
        latency_p95=p95,
        latency_p99=p99,
        latency_max=float(latency.max()),
        slack_median=float(np.median(slack)),
        slack_p1=float(np.percentile(slack, 1)),
        slack_min=float(slack.min()),
        late=float(np.mean(latency > late_beyond)),
        missed=float(np.mean(slack < 0)),
        harmful=sum(window.harms for window in windows),
        windows=len(windows),
    )

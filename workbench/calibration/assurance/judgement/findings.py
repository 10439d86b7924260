"""Everything that an experiment shows: effects, scores and rules, by policy and by victim."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from k40s.assurance.detector import Victim
from k40s.assurance.metrics import Metric, Unit, unit_of
from k40s.assurance.profile import BUILT_IN
from workbench.calibration.assurance.judgement.alarms import BuiltInAlarms, judge_alarms
from workbench.calibration.assurance.judgement.effects import Effect, effects_of
from workbench.calibration.assurance.judgement.scoring import (
    MetricScore,
    mark_followers,
    score_metrics,
)
from workbench.calibration.assurance.judgement.thresholds import RuleSet, choose_rules
from workbench.calibration.assurance.judgement.traces import Traces, build_traces
from workbench.calibration.assurance.judgement.windows import Limits, Window, cut_windows, limits_of
from workbench.calibration.assurance.plan.errors import CalibrationError
from workbench.calibration.assurance.plan.experiment import Policy
from workbench.calibration.assurance.plan.experiment_text import Setting
from workbench.calibration.assurance.plan.recording import Recording


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyFindings:
    """Under one policy: limits of harm, effects of each stress, and the metrics' scores."""

    policy: Policy
    limits: Limits
    effects: tuple[Effect, ...]
    scores: tuple[MetricScore, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VictimFindings:
    """For those whom a hazard harms: scores over their policies, and rules.

    ``built_in`` are the alarms of the built-in profile; None of recordings of earlier versions.
    """

    victim: Victim
    scores: tuple[MetricScore, ...]
    rules: RuleSet
    built_in: BuiltInAlarms | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """``recorded`` phases are analyzed; ``remarks`` say what makes the figures doubtful."""

    setting: Setting
    recorded: int
    policies: tuple[PolicyFindings, ...]
    victims: tuple[VictimFindings, ...]
    remarks: tuple[str, ...]


def victim_of(policy: Policy) -> Victim:
    """For whom a task under a policy stands."""
    return Victim.REAL_TIME if policy.real_time else Victim.ORDINARY


def find(setting: Setting, recordings: Sequence[Recording]) -> Findings:
    """Score and judge all recorded phases. Raises ``CalibrationError`` without any."""
    if not recordings:
        raise CalibrationError("no phase is recorded yet: there is nothing to score")
    by_policy: dict[Policy, list[Recording]] = {}
    for recording in recordings:
        by_policy.setdefault(recording.phase.policy, []).append(recording)
    traces = {policy: build_traces(own) for policy, own in by_policy.items()}
    windows: dict[Policy, list[Window]] = {}
    policies = []
    for policy, own in by_policy.items():
        limits = limits_of(own)
        windows[policy] = [window for each in own for window in cut_windows(each, limits)]
        policies.append(
            PolicyFindings(
                policy=policy,
                limits=limits,
                effects=effects_of(own, windows[policy], late_beyond=limits.latency),
                scores=_scores(traces[policy]),
            )
        )
    return Findings(
        setting=setting,
        recorded=len(recordings),
        policies=tuple(policies),
        victims=tuple(_of_victims(policies, by_policy, traces, windows)),
        remarks=tuple(_remarks(setting, recordings, traces, windows)),
    )


def _scores(traces: Traces) -> tuple[MetricScore, ...]:
    return score_metrics(traces.metrics, latency=traces.latency, slack_loss=traces.slack_loss)


def _of_victims(
    policies: Sequence[PolicyFindings],
    recordings: Mapping[Policy, Sequence[Recording]],
    traces: Mapping[Policy, Traces],
    windows: Mapping[Policy, Sequence[Window]],
) -> list[VictimFindings]:
    found = []
    for victim in Victim:
        own = [one for one in policies if victim_of(one.policy) is victim]
        if not own:
            continue
        scores = _mean_scores(own, [traces[one.policy] for one in own])
        candidates = [
            score.metric
            for score in scores
            if score.follows is None and score.metric is not Metric.CPU_STEAL
        ]
        cut = [window for one in own for window in windows[one.policy]]
        rules = choose_rules(cut, candidates, least=_least)
        recorded = [each for one in own for each in recordings[one.policy]]
        built_in = judge_alarms(recorded, cut, BUILT_IN.rules, victim)
        found.append(VictimFindings(victim=victim, scores=scores, rules=rules, built_in=built_in))
    return found


def _least(metric: Metric) -> float:
    """The smallest threshold that a profile may have for a metric."""
    return 1.0 if unit_of(metric) is Unit.TASKS else 1e-6


def _mean_scores(
    policies: Sequence[PolicyFindings], traces: Sequence[Traces]
) -> tuple[MetricScore, ...]:
    """The means over the policies, of metrics that all of them have."""
    tables = [{score.metric: score for score in one.scores} for one in policies]
    common = [metric for metric in tables[0] if all(metric in table for table in tables)]
    means = [
        MetricScore(
            metric=metric,
            latency=fmean(table[metric].latency for table in tables),
            slack=fmean(table[metric].slack for table in tables),
            score=fmean(table[metric].score for table in tables),
        )
        for metric in common
    ]
    joined = {metric: np.concatenate([one.metrics[metric] for one in traces]) for metric in common}
    return mark_followers(means, joined)


def _remarks(
    setting: Setting,
    recordings: Sequence[Recording],
    traces: Mapping[Policy, Traces],
    windows: Mapping[Policy, Sequence[Window]],
) -> list[str]:
    found = []
    if len(recordings) < setting.experiment.count:
        found.append(
            f"{len(recordings)} of {setting.experiment.count} phases are recorded: "
            "the same command with --out continues"
        )
    missing = sorted({metric for one in traces.values() for metric in one.missing})
    if missing:
        found.append(f"not offered by this kernel, so not scored: {', '.join(missing)}")
    old = sum(recording.watched is None for recording in recordings)
    if old:
        found.append(
            f"{old} phases were recorded by a version that kept no samples at malacoda's period: "
            "the built-in profile is not judged by policies that have such a phase"
        )
    blind = sum(
        one.watched is not None and one.watched.waited is None
        for one in recordings
        if one.phase.policy.real_time
    )
    if blind:
        found.append(
            f"{blind} phases of real-time tasks were recorded without the task's pressure (no "
            "cgroup v2, no PSI, or an earlier version): the gauge of harm is not judged"
        )
    every = [window for own in windows.values() for window in own]
    stolen = sum(window.stolen for window in every)
    steal = fmean(recording.steal for recording in recordings)
    if stolen:
        found.append(
            f"the hypervisor took {steal:.2%} of the CPUs' time: "
            f"{stolen} of {len(every)} windows are not judged"
        )
    restless = sum(window.harms and not window.stressed and not window.stolen for window in every)
    quiet = sum(not window.stressed and not window.stolen for window in every)
    if quiet and restless > quiet // 50:
        found.append(
            f"the task was harmed in {restless} of {quiet} windows without stress: "
            "something else is running, measure on a quiet node"
        )
    return found

"""Findings as text, CSV and JSON."""

import json
from collections.abc import Iterable, Sequence

from k40s.assurance.profile import Profile, format_profile
from workbench.calibration.assurance.judgement.alarms import (
    BuiltInAlarms,
    StressAlarms,
    VictimAlarms,
)
from workbench.calibration.assurance.judgement.effects import Effect
from workbench.calibration.assurance.judgement.findings import (
    Findings,
    PolicyFindings,
    VictimFindings,
)
from workbench.calibration.assurance.judgement.scoring import MetricScore
from workbench.calibration.assurance.judgement.thresholds import PRECISION, Quality, Threshold
from workbench.table import format_table

_EFFECT_HEAD = (
    *("policy", "stress", "jobs", "latency p50", "p95", "p99", "max", "slack p50", "p1", "min"),
    *("missed", "harmful windows"),
)
_SCORE_HEAD = ("metric", "score", "latency", "slack", "")
_RULE_HEAD = ("metric", "raise", "clear", "precision", "recall", "rule")
_ALARM_HEAD = ("stress", "windows", "harmed", "alarmed", "both", "alarm after s", "in phases")
_ALARMS = "alarms of the built-in profile, not fitted to this run"
_GAUGED = "of these alarms, those that the gauge of harm confirms"


def format_findings(findings: Findings, profile: Profile | None) -> str:
    """Tables for a terminal; latencies and slacks in µs."""
    setting = findings.setting
    cpus = ",".join(map(str, setting.experiment.cpus))
    parts = [
        f"kernel {setting.kernel}, {setting.machine}\n{findings.recorded} phases on CPUs {cpus}",
        format_table(_EFFECT_HEAD, [_effect_row(effect) for effect in _heaviest(findings)]),
    ]
    for victim in findings.victims:
        parts.append(_scores_text(victim))
        parts.append(_rules_text(victim))
        if victim.built_in is not None:
            parts.append(_alarms_text(victim, victim.built_in.alone, _ALARMS))
            if (gauged := victim.built_in.gauged) is not None:
                parts.append(
                    f"{_alarms_text(victim, gauged.confirmed, _GAUGED)}; the alarms alone in these "
                    f"windows: {gauged.alone.precision:.3f}, {gauged.alone.recall:.3f}"
                )
    parts += [f"Note: {remark}." for remark in findings.remarks]
    if profile is None:
        parts.append("No profile: no metric of this kernel tells harm from no harm.")
    return "\n\n".join(parts)


def effects_csv(findings: Findings) -> str:
    """All effects, by policy, stressors and stress; the quiet node is 0 stressors of "none"."""
    head = (
        *("policy", "stressors", "stress", "jobs", "latency_p50_us", "latency_p95_us"),
        *("latency_p99_us", "latency_max_us", "slack_p50_us", "slack_p1_us", "slack_min_us"),
        *("late", "missed", "harmful_windows", "windows"),
    )
    rows = [
        (
            *(e.policy, e.stressors, e.stress or "none", e.jobs, e.latency_median, e.latency_p95),
            *(e.latency_p99, e.latency_max, e.slack_median, e.slack_p1, e.slack_min),
            *(e.late, e.missed, e.harmful, e.windows),
        )
        for one in findings.policies
        for e in one.effects
    ]
    return _csv(head, rows)


def scores_csv(findings: Findings) -> str:
    """The scores by policy, and by victim over its policies, the best first."""
    head = ("for", "metric", "score", "latency", "slack", "follows")
    groups: list[tuple[str, Sequence[MetricScore]]] = [
        *((one.policy.value, one.scores) for one in findings.policies),
        *((victim.victim.value, victim.scores) for victim in findings.victims),
    ]
    rows = [
        (name, s.metric, s.score, s.latency, s.slack, s.follows or "")
        for name, scores in groups
        for s in scores
    ]
    return _csv(head, rows)


def findings_json(findings: Findings, profile: Profile | None) -> dict[str, object]:
    """The object that ``--json`` prints."""
    setting = findings.setting
    return {
        "v": 1,
        "kind": "assurance-calibration",
        "kernel": setting.kernel,
        "machine": setting.machine,
        "cpus": list(setting.experiment.cpus),
        "phases": {"recorded": findings.recorded, "planned": setting.experiment.count},
        "policies": {one.policy.value: _policy_json(one) for one in findings.policies},
        "victims": {one.victim.value: _victim_json(one) for one in findings.victims},
        "profile": None if profile is None else json.loads(format_profile(profile)),
        "warnings": list(findings.remarks),
    }


def _heaviest(findings: Findings) -> list[Effect]:
    """The effects of the most stressors, as in the paper's Fig. 2, and of the quiet node."""
    most = max(effect.stressors for one in findings.policies for effect in one.effects)
    return [e for one in findings.policies for e in one.effects if e.stressors in (0, most)]


def _effect_row(effect: Effect) -> tuple[str, ...]:
    name = "none" if effect.stress is None else f"{effect.stressors} x {effect.stress}"
    figures = (
        *(effect.latency_median, effect.latency_p95, effect.latency_p99, effect.latency_max),
        *(effect.slack_median, effect.slack_p1, effect.slack_min),
    )
    return (
        *(effect.policy, name, str(effect.jobs), *(f"{figure:.0f}" for figure in figures)),
        *(f"{effect.missed:.1%}", f"{effect.harmful} of {effect.windows}"),
    )


def _scores_text(found: VictimFindings) -> str:
    rows = [
        (
            *(score.metric, f"{score.score:.3f}", f"{score.latency:.3f}", f"{score.slack:.3f}"),
            "" if score.follows is None else f"dropped: follows {score.follows}",
        )
        for score in found.scores
    ]
    return f"scores for {found.victim} tasks\n{format_table(_SCORE_HEAD, rows)}"


def _rules_text(found: VictimFindings) -> str:
    rules = found.rules
    title = f"{found.victim} tasks: harmed in {rules.harmful} of {rules.windows} windows"
    if not rules.tried:
        return f"{title}; too few of one kind, so there is no rule"
    rows = [
        (
            *(one.metric, f"{one.raise_at:g}", f"{one.clear_at:g}"),
            *(f"{one.quality.precision:.3f}", f"{one.quality.recall:.3f}"),
            "yes" if one in rules.rules else "",
        )
        for one in rules.tried
    ]
    table = format_table(_RULE_HEAD, rows)
    if not rules.rules:
        return f"{title}\n{table}\nno metric alone is right in {PRECISION:.0%} of its alarms"
    both = rules.together
    return (
        f"{title}\n{table}\nall rules together, on the windows they were fitted to: "
        f"precision {both.precision:.3f}, recall {both.recall:.3f}"
    )


def _alarms_text(found: VictimFindings, alarms: VictimAlarms, title: str) -> str:
    together = alarms.together
    return (
        f"{title}, for {found.victim} tasks\n"
        f"{format_table(_ALARM_HEAD, [_alarm_row(one) for one in alarms.by_stress])}\n"
        f"precision {together.precision:.3f}, recall {together.recall:.3f}"
    )


def _alarm_row(one: StressAlarms) -> tuple[str, ...]:
    found = one.quality
    counts = (
        found.windows,
        found.hits + found.misses,
        found.hits + found.false_alarms,
        found.hits,
    )
    return (
        *(one.stress or "none", *map(str, counts)),
        *("" if one.delay is None else f"{one.delay:.1f}", f"{one.alarmed} of {one.phases}"),
    )


def _policy_json(one: PolicyFindings) -> dict[str, object]:
    return {
        "limits_us": {"latency": one.limits.latency, "response": one.limits.response},
        "effects": [
            {
                "stressors": e.stressors,
                "stress": e.stress or "none",
                "jobs": e.jobs,
                "latency_us": {
                    "p50": e.latency_median,
                    "p95": e.latency_p95,
                    "p99": e.latency_p99,
                    "max": e.latency_max,
                },
                "slack_us": {"p50": e.slack_median, "p1": e.slack_p1, "min": e.slack_min},
                "late": e.late,
                "missed": e.missed,
                "harmful_windows": e.harmful,
                "windows": e.windows,
            }
            for e in one.effects
        ],
        "scores": [_score_json(score) for score in one.scores],
    }


def _victim_json(one: VictimFindings) -> dict[str, object]:
    rules = one.rules
    return {
        "scores": [_score_json(score) for score in one.scores],
        "rules": [_threshold_json(rule) for rule in rules.rules],
        "tried": [_threshold_json(rule) for rule in rules.tried],
        "together": _quality_json(rules.together),
        "harmful_windows": rules.harmful,
        "windows": rules.windows,
        "built_in": None if one.built_in is None else _built_in_json(one.built_in),
    }


def _built_in_json(found: BuiltInAlarms) -> dict[str, object]:
    gauged = found.gauged and {
        **_alarms_json(found.gauged.confirmed),
        "alone": _quality_json(found.gauged.alone),
    }
    return {**_alarms_json(found.alone), "gauged": gauged}


def _alarms_json(alarms: VictimAlarms) -> dict[str, object]:
    return {
        **_quality_json(alarms.together),
        "by_stress": [
            {
                "stress": one.stress or "none",
                "windows": one.quality.windows,
                **_quality_json(one.quality),
                "phases": one.phases,
                "alarmed": one.alarmed,
                "delays_s": list(one.delays),
            }
            for one in alarms.by_stress
        ],
    }


def _score_json(score: MetricScore) -> dict[str, object]:
    return {
        "metric": score.metric.value,
        "score": score.score,
        "latency": score.latency,
        "slack": score.slack,
        "follows": score.follows,
    }


def _threshold_json(one: Threshold) -> dict[str, object]:
    return {
        "metric": one.metric.value,
        "raise": one.raise_at,
        "clear": one.clear_at,
        **_quality_json(one.quality),
    }


def _quality_json(quality: Quality) -> dict[str, object]:
    return {
        "precision": quality.precision,
        "recall": quality.recall,
        "hits": quality.hits,
        "false_alarms": quality.false_alarms,
        "misses": quality.misses,
    }


def _csv(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [",".join(head)]
    lines += [
        ",".join(f"{cell:.6g}" if isinstance(cell, float) else str(cell) for cell in row)
        for row in rows
    ]
    return "\n".join(lines) + "\n"

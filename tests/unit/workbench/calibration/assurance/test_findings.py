import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from k40s.assurance.detector import Victim
from k40s.assurance.metrics import Metric
from k40s.assurance.profile import format_profile, parse_profile
from k40s.units import NS_PER_MS
from tests.fakes.calibration_recordings import experiment_of, phase_of, recording_of, setting_of
from workbench.calibration.assurance.judgement.effects import Effect
from workbench.calibration.assurance.judgement.findings import Findings, find
from workbench.calibration.assurance.judgement.profile_text import build_profile, default_name
from workbench.calibration.assurance.judgement.report import (
    effects_csv,
    findings_json,
    format_findings,
    scores_csv,
)
from workbench.calibration.assurance.plan.errors import CalibrationError
from workbench.calibration.assurance.plan.experiment import Policy, Stress

AT = datetime(2026, 11, 29, 8, tzinfo=UTC)


@pytest.fixture(scope="module")
def findings() -> Findings:
    policies = (Policy.OTHER, Policy.FIFO)
    return find(setting_of(*policies), experiment_of(*policies))


def effect_of(findings: Findings, policy: Policy, stress: Stress | None) -> Effect:
    effects = [e for one in findings.policies for e in one.effects]
    return next(e for e in effects if (e.policy, e.stress) == (policy, stress))


def test_effects_are_those_of_each_stress_beside_the_quiet_node(findings: Findings) -> None:
    quiet = effect_of(findings, Policy.FIFO, None)
    harmed = effect_of(findings, Policy.FIFO, Stress.OPEN)
    unharmed = effect_of(findings, Policy.FIFO, Stress.CPU)

    assert (quiet.stressors, quiet.harmful) == (0, 0)
    assert quiet.latency_median == pytest.approx(50, rel=0.05)
    assert harmed.latency_median == pytest.approx(600, rel=0.05)
    assert harmed.harmful == harmed.windows == 8
    assert harmed.late == 1.0
    assert unharmed.harmful == 0
    assert unharmed.late == harmed.missed == 0.0


def test_harm_to_real_time_tasks_is_told_from_harm_to_ordinary_threads(findings: Findings) -> None:
    rules = {one.victim: one.rules for one in findings.victims}

    assert [rule.metric for rule in rules[Victim.REAL_TIME].rules] == [Metric.SOFTIRQ_RCU]
    assert rules[Victim.ORDINARY].rules[0].metric in (Metric.RUN_QUEUE, Metric.CPU_SYSTEM)
    for found in rules.values():
        assert found.together.precision == found.together.recall == 1.0


def test_the_metric_that_follows_the_harm_scores_best(findings: Findings) -> None:
    real_time = next(one for one in findings.victims if one.victim is Victim.REAL_TIME)

    best = real_time.scores[0]

    assert best.metric is Metric.SOFTIRQ_RCU
    assert best.score > 0.95
    assert real_time.scores[1].score < best.score - 0.1


def test_metrics_that_follow_a_better_one_are_no_candidates(findings: Findings) -> None:
    ordinary = next(one for one in findings.victims if one.victim is Victim.ORDINARY)
    follows = {score.metric: score.follows for score in ordinary.scores}

    pair = {Metric.RUN_QUEUE, Metric.CPU_SYSTEM}
    (follower,) = (metric for metric in pair if follows[metric] is not None)
    assert follows[follower] in pair
    assert follower not in {rule.metric for rule in ordinary.rules.tried}


def test_steal_is_never_a_rule() -> None:
    found = find(setting_of(), experiment_of(Policy.FIFO))

    tried = {rule.metric for victim in found.victims for rule in victim.rules.tried}
    assert tried
    assert Metric.CPU_STEAL not in tried


def test_the_profile_is_one_that_malacoda_reads(findings: Findings) -> None:
    profile = build_profile(findings, name="kernel-6.18.44", at=AT)

    assert profile is not None
    assert parse_profile(format_profile(profile), source="profile.json") == profile
    assert profile.period == 500 * NS_PER_MS
    assert profile.made.kernel == "6.18.44"
    harms = {entry.rule.metric: entry.rule.harms for entry in profile.entries}
    assert harms[Metric.SOFTIRQ_RCU] == {Victim.REAL_TIME}
    evidence = [entry.evidence for entry in profile.entries]
    assert all(one is not None and one.precision >= 0.95 for one in evidence)


def test_where_no_metric_tells_harm_there_is_no_profile() -> None:
    unharmed = [recording_of(phase_of(stress)) for stress in Stress]

    found = find(setting_of(), unharmed)

    assert build_profile(found, name="x", at=AT) is None
    assert "No profile" in format_findings(found, None)
    assert "too few of one kind" in format_findings(found, None)


def test_nothing_recorded_is_an_error() -> None:
    with pytest.raises(CalibrationError, match="no phase is recorded"):
        find(setting_of(), [])


def test_stolen_windows_and_what_is_not_recorded_are_said() -> None:
    remarks = find(setting_of(), [recording_of(phase_of(), steal=0.02)]).remarks

    assert any("the hypervisor took 2.00%" in text for text in remarks)
    assert any("17 of 17 windows are not judged" in text for text in remarks)
    assert any("1 of 10 phases are recorded" in text for text in remarks)


def test_phases_that_cannot_show_the_alarms_of_the_built_in_profile_are_said() -> None:
    old = replace(recording_of(phase_of()), watched=None)

    found = find(setting_of(), [old, recording_of(phase_of(Stress.CPU))])

    assert [one.built_in for one in found.victims] == [None]
    assert any("1 phases were recorded by a version" in text for text in found.remarks)


def test_phases_that_tell_no_pressure_are_said_and_the_gauge_is_not_judged() -> None:
    silent = recording_of(phase_of())

    found = find(setting_of(), [silent, recording_of(phase_of(Stress.CPU), pressures=(9, 9))])

    (built_in,) = [one.built_in for one in found.victims]
    assert built_in is not None
    assert built_in.gauged is None
    assert any("1 phases of real-time tasks" in text for text in found.remarks)


def test_harm_without_stress_is_said() -> None:
    recording = recording_of(phase_of())
    recording.jobs.slack[:300] = -1.0

    remarks = find(setting_of(), [recording]).remarks

    assert any("something else is running" in text for text in remarks)


def test_the_report_has_effects_scores_and_rules(findings: Findings) -> None:
    text = format_findings(findings, build_profile(findings, name="x", at=AT))

    assert "kernel 6.18.44, virtual machine of 2 CPUs, A CPU" in text
    assert "fifo    16 x open" in text
    assert "scores for real-time tasks" in text
    assert "dropped: follows" in text
    assert "ordinary tasks: harmed in 80 of" in text
    assert "precision 1.000, recall 1.000" in text
    assert "alarms of the built-in profile, not fitted to this run, for ordinary tasks" in text
    assert "open     8        8       8        8     1.0" in text
    assert "of these alarms, those that the gauge of harm confirms, for real-time" in text


def test_tables_have_one_row_for_each_effect_and_score(findings: Findings) -> None:
    effects = effects_csv(findings).splitlines()
    scores = scores_csv(findings).splitlines()

    assert len(effects) == 1 + 2 * 11
    assert len({line.count(",") for line in effects}) == 1
    assert effects[1].startswith("other,0,none,")
    assert len({line.count(",") for line in scores}) == 1
    assert {line.split(",")[0] for line in scores[1:]} == {"other", "fifo", "real-time", "ordinary"}


def test_json_has_stable_fields(findings: Findings) -> None:
    profile = build_profile(findings, name="x", at=AT)
    found = json.loads(json.dumps(findings_json(findings, profile)))

    assert found.keys() == {
        *("v", "kind", "kernel", "machine", "cpus", "phases", "policies", "victims"),
        *("profile", "warnings"),
    }
    assert found["phases"] == {"recorded": 20, "planned": 20}
    assert found["policies"]["fifo"]["effects"][0]["stress"] == "none"
    assert found["victims"]["real-time"]["rules"][0]["metric"] == "softirq-rcu"
    assert found["victims"]["ordinary"]["built_in"]["by_stress"][0]["stress"] == "none"
    assert found["victims"]["ordinary"]["built_in"]["gauged"] is None
    built_in = found["victims"]["real-time"]["built_in"]
    assert built_in["gauged"].keys() == {*built_in, "alone"} - {"gauged"}
    assert built_in["gauged"]["alone"].keys() == built_in.keys() - {"gauged", "by_stress"}
    assert found["profile"]["name"] == "x"
    assert findings_json(findings, None)["profile"] is None


def test_a_profile_is_named_after_the_kernel() -> None:
    assert default_name("6.18.44-fc+Deb_1") == "kernel-6.18.44-fc-deb-1"
    assert len(default_name("x" * 200)) <= 63

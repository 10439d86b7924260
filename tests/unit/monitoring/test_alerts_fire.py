"""Prometheus's own ``promtool`` on synthetic series: each alert fires when it must, and only then.

The healthy series are those that the code's metrics make. A case changes some of them, and says
which alerts fire 40 minutes later, with what text.
"""

import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitoring.__main__ import COMPONENTS
from monitoring.alerts import ALERTS
from monitoring.model import Alert
from tests.fakes.monitoring.healthy import series, target_labels

RULES = COMPONENTS / "monitoring" / "alerts.yaml"
EVERY = {alert.name: alert for alerts in ALERTS.values() for alert in alerts}
STEADY = "{value}x60"
RISEN = "0x31 5x30"
"""A counter that rose by 5, 9 minutes before it is looked at."""
RISING = "0+2x60"

pytestmark = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="no promtool: Debian's package prometheus has it"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """``changes``: series (a metric, with labels that tell it from others) -> promtool's values.

    A metric of which ``None`` is said is absent. ``of`` is the process whose labels the alert has,
    beside ``labels``. ``beside`` are other alerts that fire as well.
    """

    changes: Mapping[str, str | None]
    summary: str
    labels: Mapping[str, str] = field(default_factory=dict)
    of: str | None = None
    beside: tuple[str, ...] = ()


def gauge(value: float) -> str:
    return STEADY.format(value=value)


HELD = "k40s_controller_held_pods"
WAITING = "k40s_controller_preemption_waiting_pods"
REQUESTS = "k40s_insight_requests_total"
MISPLACED = "k40s_extender_misplaced_pods"
DIFFERS = "k40s_rubicante_differences"
DAYS = 86400

CASES: dict[str, Case] = {
    "K40sExtenderDown": Case(
        changes={"k40s_extender_nodes": None},
        summary="No replica of the extender answers Prometheus.",
    ),
    "K40sExtenderFaults": Case(
        changes={'k40s_extender_faults_total{verb="bind"}': RISEN},
        summary="5 calls bind of the extender failed in 10 minutes.",
        labels={"verb": "bind"},
    ),
    "K40sWebhookDown": Case(
        changes={"k40s_webhook_warnings_total": None},
        summary="No replica of the webhook answers Prometheus.",
    ),
    "K40sWebhookUnavailable": Case(
        changes={"k40s_webhook_unavailable_total": RISING},
        summary="The webhook cannot keep its configuration: 10 failed looks in 5 minutes.",
        of="webhook",
    ),
    "K40sWebhookReviewsFail": Case(
        changes={'k40s_webhook_reviews_total{outcome="failed",review="mutate"}': RISEN},
        summary="5 reviews (mutate) of the webhook failed in 10 minutes.",
        labels={"review": "mutate"},
    ),
    "K40sNoLeader": Case(
        changes={"k40s_controller_leader": gauge(0)}, summary="0 controllers lead."
    ),
    "K40sCertificateEnds": Case(
        changes={"k40s_rubicante_certificate_expiry_timestamp_seconds": gauge(20 * DAYS)},
        summary="The server certificate of rubicante-1 ends in 19d 23h 20m 0s.",
        of="rubicante",
        labels={"certificate": "server"},
    ),
    "K40sCertificateEndsSoon": Case(
        changes={
            'k40s_extender_certificate_expiry_timestamp_seconds{certificate="client"}': gauge(0)
        },
        summary="The client certificate of extender-1 ends in -40m 0s.",
        of="extender",
        labels={"certificate": "client"},
        beside=("K40sCertificateEnds",),
    ),
    "K40sWatchErrors": Case(
        changes={"k40s_controller_watch_errors_total": RISING},
        summary="10 lists and watches of controller-1 failed in 5 minutes.",
        of="controller",
    ),
    "K40sApiServerSilent": Case(
        changes={"k40s_malacoda_unavailable_total": RISING},
        summary="10 requests of malacoda-1 were not answered in 5 minutes.",
        of="malacoda",
    ),
    "K40sUnreadableObjects": Case(
        changes={'k40s_extender_unreadable_objects_total{kind="leases"}': RISEN},
        summary="extender-1 could not understand an object (leases) 5 times in 15 minutes.",
        of="extender",
        labels={"kind": "leases"},
    ),
    "K40sUnforeseenErrors": Case(
        changes={"k40s_rubicante_tick_errors_total": RISEN},
        summary="5 unforeseen errors in rubicante-1 in 15 minutes.",
        of="rubicante",
    ),
    "K40sInsightDown": Case(
        changes={"k40s_insight_streams": None},
        summary="Insight does not answer Prometheus.",
    ),
    "K40sExplanationsFail": Case(
        changes={f'{REQUESTS}{{outcome="unavailable",route="explanation"}}': RISEN},
        summary="5 explanations in 10 minutes could not be given.",
        of="insight",
        labels={"outcome": "unavailable", "route": "explanation"},
    ),
    "K40sInsightFaults": Case(
        changes={f'{REQUESTS}{{outcome="failed",route="overview"}}': RISEN},
        summary="5 requests (overview) of insight failed in 15 minutes.",
        of="insight",
        labels={"outcome": "failed", "route": "overview"},
    ),
    "K40sStreamsRefused": Case(
        changes={'k40s_insight_streams_refused_total{limit="user"}': RISING},
        summary="10 live pages were refused in 5 minutes (limit: user).",
        of="insight",
        labels={"limit": "user"},
    ),
    "K40sTokensGuessed": Case(
        changes={'k40s_insight_token_reviews_total{outcome="limited"}': RISEN},
        summary="5 requests in 10 minutes were not looked at, after too many bad tokens.",
        of="insight",
        labels={"outcome": "limited"},
    ),
    "K40sDaemonSilent": Case(
        changes={'k40s_extender_silent_daemons{daemon="malacoda"}': gauge(2)},
        summary="malacoda is silent on 2 nodes.",
        labels={"daemon": "malacoda"},
    ),
    "K40sNodesUnmonitored": Case(
        changes={"k40s_malacoda_level": None},
        summary="1 nodes show no level to Prometheus.",
    ),
    "K40sCriticalPodsSuffer": Case(
        changes={'k40s_malacoda_severity{severity="missed"}': gauge(1)},
        summary="Critical pods on edge-1 suffer: severity missed.",
        of="malacoda",
        labels={"severity": "critical"},
    ),
    "K40sCulpritHeld": Case(
        changes={"k40s_malacoda_held_pods": gauge(3)},
        summary="3 pods on edge-1 are throttled or frozen; some have been for 15 minutes.",
        of="malacoda",
    ),
    "K40sCulpritNotHeld": Case(
        changes={'k40s_malacoda_acts_total{act="freeze",result="unreachable"}': RISEN},
        summary="5 acts against a culprit on edge-1: unreachable.",
        labels={"node": "edge-1", "result": "unreachable"},
    ),
    "K40sActuatorDown": Case(
        changes={"k40s_malacoda_actuator_up": gauge(0)},
        summary="Actuator up on edge-1: 0.",
        of="malacoda",
    ),
    "K40sProfileRefused": Case(
        changes={"k40s_malacoda_profile_refused": gauge(1)},
        summary="The profile of rules for edge-1 is refused (1).",
        of="malacoda",
    ),
    "K40sAnnotationInvalid": Case(
        changes={"k40s_malacoda_invalid_annotations_total": RISEN},
        summary="5 annotations of an operator on edge-1 could not be understood.",
        of="malacoda",
    ),
    "K40sKernelRefuses": Case(
        changes={"k40s_rubicante_enforcement_failures_total": RISING},
        summary="The kernel of edge-1 refused 10 attempts to enforce or release in 5 minutes.",
        of="rubicante",
    ),
    "K40sDrift": Case(
        changes={f'{DIFFERS}{{kind="stray"}}': gauge(1)},
        summary="1 differences (stray) between book, pods and kernel on edge-1.",
        of="rubicante",
        labels={"kind": "stray"},
    ),
    "K40sForeignRealTime": Case(
        changes={f'{DIFFERS}{{kind="foreign-thread"}}': gauge(4)},
        summary="4 real-time groups or threads of others (foreign-thread) may run on real-time "
        "CPUs of edge-1.",
        of="rubicante",
        labels={"kind": "foreign-thread"},
    ),
    "K40sBudgetTimerOff": Case(
        changes={"k40s_rubicante_hrtick_dl_refused": gauge(1)},
        summary="HRTICK_DL is permitted on edge-1 and not on (1).",
        of="rubicante",
    ),
    "K40sStationUnhealthy": Case(
        changes={'k40s_scarmiglione_stations{health="no-sync"}': gauge(1)},
        summary="1 stations on edge-1 have health no-sync.",
        of="scarmiglione",
        labels={"health": "no-sync"},
    ),
    "K40sSlotsMissing": Case(
        changes={'k40s_scarmiglione_drift{kind="missing"}': gauge(2)},
        summary="2 slots on edge-1 are missing in the kernel.",
        of="scarmiglione",
        labels={"kind": "missing"},
    ),
    "K40sSlotTableConflict": Case(
        changes={"k40s_scarmiglione_table_conflicts": gauge(1)},
        summary="Reservations overlap in 1 networks whose master is edge-1.",
        of="scarmiglione",
    ),
    "K40sSyncLost": Case(
        changes={"k40s_scarmiglione_sync_losses_total": RISEN},
        summary="A station on edge-1 stopped receiving Sync 5 times in 15 minutes.",
        of="scarmiglione",
    ),
    "K40sClockStepped": Case(
        changes={"k40s_scarmiglione_clock_steps_total": RISEN},
        summary="The clock of edge-1 was stepped 5 times in 15 minutes.",
        of="scarmiglione",
    ),
    "K40sPodPastAdmission": Case(
        changes={f'{MISPLACED}{{cause="not-admitted"}}': gauge(1)},
        summary="1 pods run without a grant (not-admitted).",
        labels={"cause": "not-admitted"},
    ),
    "K40sPodMisplaced": Case(
        changes={f'{MISPLACED}{{cause="assurance"}}': gauge(2)},
        summary="2 bound pods would not be placed so (assurance).",
        labels={"cause": "assurance"},
    ),
    "K40sPodUnreserved": Case(
        changes={"k40s_rubicante_unreserved_pods": gauge(1)},
        summary="1 pods on edge-1 have an allocation and no reservation.",
        of="rubicante",
    ),
    "K40sNotEnforced": Case(
        changes={
            'k40s_rubicante_conditions{trouble="refused-by-kernel"}': gauge(1),
            'k40s_rubicante_conditions{trouble="not-running"}': gauge(1),
        },
        summary="1 reservations on edge-1 are not enforced: refused-by-kernel.",
        of="rubicante",
        labels={"trouble": "refused-by-kernel"},
    ),
    "K40sCoreChangeStuck": Case(
        changes={'k40s_rubicante_conditions{trouble="core-changing"}': gauge(1)},
        summary="1 reservations on edge-1 wait for their core's servers to change.",
        of="rubicante",
        labels={"trouble": "core-changing"},
    ),
    "K40sEnforcedLate": Case(
        changes={'k40s_rubicante_conditions{trouble="enforced-late"}': gauge(2)},
        summary="2 reservations on edge-1 are enforced later than they were admitted for.",
        of="rubicante",
        labels={"trouble": "enforced-late"},
    ),
    "K40sOverrunOfHi": Case(
        changes={
            'k40s_rubicante_overruns_total{criticality="HI"}': RISEN,
            'k40s_rubicante_overruns_total{criticality="LOW"}': RISEN,
        },
        summary="HI tasks on edge-1 overran their budget 5 times in 10 minutes.",
        of="rubicante",
        labels={"criticality": "HI"},
    ),
    "K40sPodsEndangered": Case(
        changes={"k40s_controller_endangered_pods": gauge(3)},
        summary="3 critical pods are on nodes whose level is too low for them.",
    ),
    "K40sMigrationStuck": Case(
        changes={f'{HELD}{{obstacle="no-node"}}': gauge(1)},
        summary="1 endangered pods stay where they are: no-node.",
        labels={"obstacle": "no-node"},
    ),
    "K40sMigrationLimitUsedUp": Case(
        changes={f'{HELD}{{obstacle="namespace-per-hour"}}': gauge(2)},
        summary="2 endangered pods wait because a limit of moves is used up: namespace-per-hour.",
        labels={"obstacle": "namespace-per-hour"},
    ),
    "K40sPreemptionLimitUsedUp": Case(
        changes={f'{WAITING}{{obstacle="per-hour"}}': gauge(1)},
        summary="1 critical pods wait because a limit of preemptions is used up: per-hour.",
        labels={"obstacle": "per-hour"},
    ),
    "K40sCriticalPodsWait": Case(
        changes={f'{WAITING}{{obstacle="no-plan"}}': gauge(1)},
        summary="1 critical pods wait, for 15 minutes now: no-plan.",
        labels={"obstacle": "no-plan"},
    ),
    "K40sPreemptionInVain": Case(
        changes={'k40s_controller_preemption_ends_total{outcome="lost"}': RISEN},
        summary="5 preemptions in 15 minutes gave nobody a place (lost).",
        of="controller",
        labels={"outcome": "lost"},
    ),
    "K40sCulpritEvictionHeld": Case(
        changes={'k40s_controller_held_culprits{obstacle="protected"}': gauge(1)},
        summary="1 culprits whose eviction is asked for stay: protected.",
        labels={"obstacle": "protected"},
    ),
    "K40sKeysReachNoPod": Case(
        changes={"k40s_extender_unreached_keys": gauge(1)},
        summary="1 Deployments, Jobs or the like have k40s's keys that reach no pod.",
    ),
}
HARMLESS: dict[str, str] = {
    f'{HELD}{{obstacle="hold-off"}}': gauge(1),
    f'{WAITING}{{obstacle="fits"}}': gauge(1),
    f'{REQUESTS}{{outcome="refused",route="stream"}}': RISEN,
    'k40s_insight_token_reviews_total{outcome="rejected"}': RISEN,
    'k40s_insight_streams_refused_total{limit="user"}': RISEN,
    "k40s_insight_streams": gauge(8),
    'k40s_controller_held_culprits{obstacle="dry-run"}': gauge(1),
    'k40s_rubicante_conditions{trouble="not-running"}': gauge(1),
    'k40s_rubicante_overruns_total{criticality="LOW"}': RISEN,
    'k40s_scarmiglione_stations{health="starting"}': gauge(1),
    'k40s_malacoda_severity{severity="alarm"}': gauge(1),
    'k40s_malacoda_acts_total{act="throttle",result="done"}': RISEN,
    'k40s_controller_preemption_ends_total{outcome="bound"}': RISEN,
    "k40s_extender_watch_errors_total": "0x31 2x30",
    "k40s_malacoda_unavailable_total": "0x31 3x30",
    'k40s_extender_silent_daemons{daemon="malacoda"}': "0x39 1x1 0x20",
}
"""What happens in the ordinary course of things, and needs nobody."""


def input_series(changes: Mapping[str, str | None]) -> list[dict[str, str]]:
    """The healthy series with changes. Each change has to concern one series at least."""
    found, used = [], set()
    for name, labels, value in series():
        values: str | None = STEADY.format(value=value)
        for change, new in changes.items():
            metric, _, chosen = change.partition("{")
            if metric == name and all(
                labels.get(pair.split("=")[0]) == pair.split("=")[1].strip('"')
                for pair in chosen.rstrip("}").split(",")
                if pair
            ):
                values = new
                used.add(change)
        if values is not None:
            text = ",".join(f"{label}={json.dumps(one)}" for label, one in labels.items())
            found.append({"series": f"{name}{{{text}}}", "values": values})
    assert used == set(changes)
    return found


def firing(names: tuple[str, ...]) -> dict[str, Any]:
    """Exactly these alerts fire."""
    return {
        "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
        "eval_time": "40m",
        "exp_samples": [
            {"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(names)
        ],
    }


def expected(alert: Alert, case: Case) -> dict[str, Any]:
    """The alert, with its labels and texts."""
    target = {} if case.of is None else target_labels(case.of)
    return {
        "eval_time": "40m",
        "alertname": alert.name,
        "exp_alerts": [
            {
                "exp_labels": {**target, **case.labels, "severity": alert.severity.value},
                "exp_annotations": {
                    "summary": case.summary,
                    "description": alert.action,
                    "runbook": f"docs/runbooks.md#{alert.anchor}",
                },
            }
        ],
    }


def run_promtool(tmp_path: Path, tests: list[dict[str, Any]]) -> None:
    file = tmp_path / "tests.yaml"
    whole = {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}
    file.write_text(json.dumps(whole))  # which is YAML, and quicker

    result = subprocess.run(
        ["promtool", "test", "rules", str(file)],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )

    assert result.returncode == 0, result.stdout + result.stderr


def test_the_rules_are_valid() -> None:
    result = subprocess.run(
        ["promtool", "check", "rules", str(RULES)], capture_output=True, text=True, check=True
    )

    count = len(yaml.safe_load(RULES.read_text("utf-8"))["groups"])
    assert count == len(ALERTS)
    assert f"{len(EVERY)} rules found" in result.stdout


def test_there_is_a_case_for_every_alert() -> None:
    assert list(CASES) == list(EVERY)


def test_nothing_fires_on_a_healthy_cluster_and_in_the_ordinary_course_of_things(
    tmp_path: Path,
) -> None:
    tests = [
        {
            "interval": "1m",
            "input_series": input_series(changes),
            "promql_expr_test": [{**firing(()), "eval_time": f"{at}m"} for at in (1, 20, 40, 60)],
        }
        for changes in ({}, HARMLESS)
    ]

    run_promtool(tmp_path, tests)


def test_each_alert_fires_alone_and_says_what_is_wrong(tmp_path: Path) -> None:
    """All in one run of promtool, which tells the cases apart by their names."""
    tests = [
        {
            "name": name,
            "interval": "1m",
            "input_series": input_series(case.changes),
            "alert_rule_test": [expected(EVERY[name], case)],
            "promql_expr_test": [firing((name, *case.beside))],
        }
        for name, case in CASES.items()
    ]

    run_promtool(tmp_path, tests)

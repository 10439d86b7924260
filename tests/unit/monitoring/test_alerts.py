"""Alerts name what the code exports, say what to do, and are the same in both files."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitoring.__main__ import COMPONENTS, files, main
from monitoring.alerts import ALERTS
from monitoring.model import Alert, Severity
from monitoring.rules import format_groups
from tests.fakes.monitoring.expressions import documented, listed_metrics, selectors
from tests.fakes.monitoring.healthy import PROCESSES, series

LISTED = listed_metrics()
EVERY = [alert for alerts in ALERTS.values() for alert in alerts]
BASE = COMPONENTS.parent / "base"


def test_names_are_unique() -> None:
    names = [alert.name for alert in EVERY]

    assert len(names) > 35
    assert len(names) == len(set(names))


def test_every_metric_of_an_alert_is_documented_and_every_label_value_exported() -> None:
    exported = list(series())
    unknown: list[tuple[str, ...]] = []
    for alert in EVERY:
        found = selectors(alert.expr)
        assert found
        for selector in found:
            metrics = documented(selector.name, LISTED)
            shown = [labels for name, labels, _ in exported if name in metrics]
            if not metrics or not shown:
                unknown.append((alert.name, selector.name))
            for label, how, value in selector.matchers:
                values = value.split("|") if how.endswith("~") else [value]
                known = {labels.get(label) for labels in shown}
                unknown += [(alert.name, label, one) for one in values if one not in known]

    assert unknown == []


def test_an_alert_that_waits_does_so_for_longer_than_one_burst_shows() -> None:
    """Else what happened once, such as a restart of the API server, fires it, and late."""
    minutes = {
        alert.name: (int(window), int(alert.lasts.removesuffix("m")))
        for alert in EVERY
        for window in re.findall(r"\[(\d+)m\]", alert.expr)
        if alert.lasts != "0m"
    }

    assert "K40sWatchErrors" in minutes
    assert [name for name, (window, lasts) in minutes.items() if lasts <= window] == []


def test_no_alert_relies_on_the_name_of_a_scrape_job() -> None:
    assert [alert.name for alert in EVERY if re.search(r"\bjob\b", alert.expr)] == []


def test_the_labels_in_a_summary_survive_the_expression() -> None:
    """What ``by`` leaves, or what the series of one process have."""
    wrong = []
    for alert in EVERY:
        used = set(re.findall(r"\$labels\.(\w+)", alert.summary + alert.action))
        by = re.findall(r"by \(([^)]*)\)", alert.expr)
        kept = {name.strip() for names in by for name in names.split(",")}
        if not by:
            bare = alert.expr.startswith(("max", "(max", "absent"))
            kept = set() if bare else {"node", "pod", "namespace"}
            kept |= {label for one in selectors(alert.expr) for label, _, _ in one.matchers}
            if "_certificate_" in alert.expr:
                kept.add("certificate")
            if "_unreadable_objects_" in alert.expr:
                kept.add("kind")
            if "_requests_" in alert.expr:
                kept.add("route")
            if "_refused_" in alert.expr:
                kept.add("limit")
        wrong += [(alert.name, name) for name in used - kept]

    assert wrong == []


def test_files_with_addresses_of_runbooks_can_be_written_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["--output", str(tmp_path), "--runbooks", "https://docs.example/runbooks.html"]
    monkeypatch.setattr("sys.argv", ["monitoring", *words])

    main()

    written = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {path for path, _ in files()}
    rule = yaml.safe_load((tmp_path / "monitoring/alerts.yaml").read_text())["groups"][0]["rules"][
        0
    ]
    address = "https://docs.example/runbooks.html#k40sextenderdown"
    assert rule["annotations"]["runbook_url"] == address


@pytest.mark.parametrize("runbooks", [None, "https://runbooks.example/k40s"])
def test_a_rule_says_how_bad_it_is_and_where_the_runbook_is(runbooks: str | None) -> None:
    groups: Any = format_groups(ALERTS, runbooks=runbooks)["groups"]
    rules = [rule for group in groups for rule in group["rules"]]

    assert {rule["labels"]["severity"] for rule in rules} == set(Severity)
    for rule in rules:
        anchor = rule["alert"].lower()
        assert rule["annotations"]["runbook"] == f"docs/runbooks.md#{anchor}"
        assert rule["annotations"].get("runbook_url") == (runbooks and f"{runbooks}#{anchor}")
        assert rule["annotations"]["description"].endswith(".")


def test_the_operators_object_has_the_rules_of_the_plain_file() -> None:
    plain = yaml.safe_load((COMPONENTS / "monitoring/alerts.yaml").read_text("utf-8"))
    whole = yaml.safe_load((COMPONENTS / "monitoring/operator/alerts.yaml").read_text("utf-8"))

    assert whole["kind"] == "PrometheusRule"
    assert whole["spec"] == plain


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ({"name": "daemonSilent"}, "K40s"),
        ({"lasts": "soon"}, "duration"),
        ({"summary": "Bad."}, "figure"),
    ],
)
def test_an_alert_that_nobody_could_act_on_is_refused(fault: dict[str, Any], text: str) -> None:
    whole: dict[str, Any] = {
        "name": "K40sDown",
        "expr": "up == 0",
        "lasts": "1m",
        "severity": Severity.CRITICAL,
        "summary": "{{ $value }} are down.",
        "action": "Start them.",
    }

    with pytest.raises(ValueError, match=text):
        Alert(**{**whole, **fault})


def test_all_three_ways_of_scraping_reach_every_process_with_metrics() -> None:
    place = COMPONENTS / "monitoring"
    names = {one if one[0] in "mrs" else f"k40s-{one}" for one in PROCESSES}
    monitor = yaml.safe_load((place / "operator/scrape.yaml").read_text("utf-8"))
    plain = yaml.safe_load((place / "scrape.yaml").read_text("utf-8"))["scrape_configs"][0]
    patches = yaml.safe_load((place / "annotations/kustomization.yaml").read_text("utf-8"))
    ports = {}
    for path in BASE.glob("*.yaml"):
        for one in yaml.safe_load_all(path.read_text("utf-8")):
            if one.get("kind") in ("Deployment", "DaemonSet"):
                container = one["spec"]["template"]["spec"]["containers"][0]
                for port in container.get("ports", []):
                    if port["name"] == "probes":
                        ports[one["metadata"]["name"]] = str(port["containerPort"])

    annotated = {
        patch["target"]["name"]: yaml.safe_load(patch["patch"])["spec"]["template"]["metadata"][
            "annotations"
        ]
        for patch in patches["patches"]
    }

    assert set(monitor["spec"]["selector"]["matchExpressions"][0]["values"]) == names
    assert set(plain["relabel_configs"][0]["regex"].split("|")) == names
    assert set(annotated) == names
    assert {name: one["prometheus.io/port"] for name, one in annotated.items()} == {
        name: port for name, port in ports.items() if name in names
    }
    assert set(ports) - names == {"k40s-give-back"}
    assert "node" in [one.get("target_label") for one in plain["relabel_configs"]]
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert [one["targetLabel"] for one in endpoint["relabelings"]] == ["node"]

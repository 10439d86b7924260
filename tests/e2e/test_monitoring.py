"""Boards and alerts against figures of a real cluster, in a real Prometheus."""

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import yaml

from cli.demo import stage_of
from demo.observer import WaitTimeoutError
from demo.pods import PERIODIC, real_time_pod
from demo.stage import Stage
from localcluster.cluster import Cluster
from monitoring.alerts import ALERTS
from monitoring.boards import BOARDS
from tests.e2e.patience import wait_until
from tests.fakes.monitoring.expressions import documented, listed_metrics, selectors
from tests.fakes.monitoring.healthy import PROCESSES, series
from tests.fakes.monitoring.prometheus import (
    PLACE,
    Prometheus,
    empty_panels,
    evaluated_rules,
    expressions,
    running_prometheus,
)

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(400)]

TASK = {"name": "loop", "period": "100ms", "wcet": {"edge": "20ms"}}
MS = 1_000_000
POD, TOO_LARGE = "monitored", "monitored-large"
WITHOUT_DATA = {
    "Throttled time": "the cluster's nodes have no debugfs, so rubicante does not read it",
}
"""Panels about what this cluster cannot have, and why."""
NAMES = yaml.safe_load((PLACE / "operator" / "scrape.yaml").read_text("utf-8"))["spec"]["selector"][
    "matchExpressions"
][0]["values"]


@pytest.fixture(scope="module")
def prometheus(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with running_prometheus(targets(cluster), tmp_path_factory.mktemp("prometheus")) as prometheus:
        stage = stage_of(cluster)
        try:
            act(stage)
            yield prometheus
        finally:
            stage.observer.delete(POD, TOO_LARGE)


def act(stage: Stage) -> None:
    """What the panels about duration need: a HI pod that is enforced, and one that is refused."""
    script = PERIODIC.format(task="loop", work=5 * MS, deadline=100 * MS, period=100 * MS)
    large = {**TASK, "wcet": {"edge": "99ms"}}
    stage.observer.create(
        real_time_pod(POD, criticality="HI", script=script, tasks=[TASK]),
        real_time_pod(TOO_LARGE, criticality="HI", script=script, tasks=[large]),
    )
    stage.wait_running(POD)
    wait_until("it is refused", lambda: stage.observer.refusals(TOO_LARGE), seconds=60)
    stage.observer.delete(TOO_LARGE)


def targets(cluster: Cluster) -> list[dict[str, Any]]:
    """Static targets, with the labels that the shipped configuration gives them."""
    words = ("--namespace=k40s-system", "get", "pods", "--output=json")
    found = []
    for pod in json.loads(cluster.kubectl(*words))["items"]:
        name = pod["metadata"]["labels"].get("app.kubernetes.io/name")
        ports = [
            port["containerPort"]
            for container in pod["spec"]["containers"]
            for port in container.get("ports", [])
            if port.get("name") == "probes"
        ]
        if name in NAMES and ports and pod["status"].get("podIP"):
            labels = {
                "job": name,
                "namespace": "k40s-system",
                "pod": pod["metadata"]["name"],
                "node": pod["spec"]["nodeName"],
            }
            address = f"{pod['status']['podIP']}:{ports[0]}"
            found.append({"targets": [address], "labels": labels})
    return found


def test_every_process_with_metrics_is_scraped(cluster: Cluster, prometheus: Prometheus) -> None:
    up = prometheus.ask("query", query="count by (job) (up == 1)")["result"]

    assert {one["metric"]["job"].removeprefix("k40s-") for one in up} == set(PROCESSES)
    assert sum(int(one["value"][1]) for one in up) == len(targets(cluster))


def test_every_panel_has_data(prometheus: Prometheus) -> None:
    """Soon: what has just happened is scraped twice before it is a rate."""
    with suppress(WaitTimeoutError):
        wait_until("it has", lambda: empty_panels(prometheus) <= set(WITHOUT_DATA), seconds=60)

    assert empty_panels(prometheus) == set(WITHOUT_DATA)


def test_every_metric_of_boards_and_alerts_is_there_before_its_first_event(
    prometheus: Prometheus,
) -> None:
    names = set(prometheus.ask("label/__name__/values"))
    queries = [q for board in BOARDS.values() for panel in board.panels for q in expressions(panel)]
    queries += [alert.expr for alerts in ALERTS.values() for alert in alerts]
    listed = listed_metrics()

    used = {
        one
        for query in queries
        for selector in selectors(query)
        for one in documented(selector.name, listed)
    }
    shown = {one for one in used if one in names or f"{one}_count" in names}

    assert used - shown == {"k40s_rubicante_throttled_seconds_total"}


def test_the_processes_export_the_series_that_alerts_are_tested_with(
    prometheus: Prometheus,
) -> None:
    """Each alert's test rests on them, so they must be those of the real processes."""
    target = {"namespace", "node", "pod"}
    by_load = {"core", "metric", "le"}
    made = {
        (name, *sorted(f"{k}={v}" for k, v in labels.items() if k not in target | by_load))
        for name, labels, _ in series()
    }
    found = {
        (one["__name__"], *sorted(f"{k}={v}" for k, v in one.items() if k not in _ADDED | by_load))
        for one in prometheus.ask("series", **{"match[]": '{__name__=~"k40s_.+"}'})
    }

    assert {one for one in made - found if "throttled" not in one[0]} == set()


_ADDED = {"__name__", "namespace", "node", "pod", "job", "instance"}


def test_every_rule_is_evaluated_and_soon_none_is_active(prometheus: Prometheus) -> None:
    def active() -> list[str]:
        return [one["name"] for one in evaluated_rules(prometheus) if one["state"] != "inactive"]

    rules = evaluated_rules(prometheus)
    with suppress(WaitTimeoutError):
        wait_until("no alert is active", lambda: not active(), seconds=60)

    assert len(rules) == sum(map(len, ALERTS.values()))
    assert [(r["name"], r.get("lastError")) for r in rules if r["health"] != "ok"] == []
    assert active() == []

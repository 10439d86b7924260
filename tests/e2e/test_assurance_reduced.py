"""A real hazard: the level falls and says why, survives its monitor's restart, and comes back."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cli.demo import stage_of
from demo.observer import WaitTimeoutError
from demo.pods import sleeping_pod, stress_pod
from demo.stage import Stage
from k40s.annotations import (
    ASSURANCE_KEY,
    ASSURANCE_REDUCED_CONDITION,
    NodeAssurance,
    parse_node_assurance,
)
from k40s.assurance.gamma import Severity
from localcluster.cluster import Cluster
from localcluster.errors import CommandError
from tests.e2e.patience import wait_until
from tests.e2e.test_suspect_named import (
    last,
    lines_since,
    log_of,
    logged,
    malacoda,
    metric_of,
    time_of,
)

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

STRESS_SECONDS = 900
"""Longer than all that is waited for; the pod is deleted in the end."""
LATEST = timedelta(seconds=30)
"""From the alarm until the level is written: 10 s of timeout, and a net for a busy machine."""
NAMES = ("noisy", "late")


@pytest.fixture
def stage(cluster: Cluster) -> Iterator[Stage]:
    """A real-time node at rest; the pods are gone at the end."""
    stage = stage_of(cluster)
    stage.observer.delete(*NAMES)
    skip_unless_calm(cluster, stage)
    yield stage
    stage.observer.delete(*NAMES)
    wait_until("the level is back", lambda: is_calm(cluster, stage), seconds=180)


def condition(cluster: Cluster, node: str) -> dict[str, Any]:
    """The Node's condition k40s.io/AssuranceReduced, empty where it has none."""
    status = json.loads(cluster.kubectl("get", "node", node, "-o", "json"))["status"]
    found = [c for c in status["conditions"] if c["type"] == ASSURANCE_REDUCED_CONDITION]
    return found[0] if found else {}


def published(stage: Stage) -> NodeAssurance:
    text = stage.observer.node_annotation(stage.real_time_node, ASSURANCE_KEY)
    return parse_node_assurance(text)


def skip_unless_calm(cluster: Cluster, stage: Stage) -> None:
    """Skip, with what the monitor sees, where the machine has a hazard that is none of ours."""
    try:
        wait_until("no hazard is seen", lambda: is_calm(cluster, stage), seconds=180)
    except WaitTimeoutError:
        told = condition(cluster, stage.real_time_node)
        if told.get("status") != "True":
            raise
        pytest.skip(f"the machine is not at rest: {told['message']}")


def is_calm(cluster: Cluster, stage: Stage) -> bool:
    node = stage.real_time_node
    return condition(cluster, node).get("status") == "False" and published(stage).state == 10


def test_a_hazard_lowers_the_level_once_says_why_and_is_not_forgotten(
    cluster: Cluster, stage: Stage
) -> None:
    node = stage.real_time_node
    calm, writes = published(stage), metric_of(cluster, node, _WRITES)
    begun = datetime.now(UTC)

    stage.observer.create(
        stress_pod("noisy", node=node, stressor="open", workers=8, seconds=STRESS_SECONDS)
    )
    wait_until("the level falls", lambda: published(stage).state < 10, seconds=60)

    fallen, told = published(stage), condition(cluster, node)
    wait_until("it is counted", lambda: metric_of(cluster, node, _WRITES) > writes, seconds=60)
    wait_until(
        "it is logged",
        lambda: logged(lines_since(cluster, node, begun), "assurance published"),
        seconds=60,
    )
    lines = lines_since(cluster, node, begun)
    alarms = [time_of(line) for line in logged(lines, "alarm raised")]
    delay = last(lines, "assurance published") - alarms[0]
    print(f"published {delay.total_seconds():.2f} s after the alarm: {told['message']}")  # noqa: T201
    assert (fallen.state, fallen.cause, fallen.falls) == (5, Severity.ALARM, calm.falls + 1)
    assert (told["status"], told["reason"]) == ("True", "HazardAlarm")
    assert f"level {fallen.level} of 20" in told["message"]
    assert any(f"{hazard} is " in told["message"] for hazard in fallen.hazards)
    assert delay <= LATEST
    assert metric_of(cluster, node, _WRITES) == writes + 1

    stage.observer.create(sleeping_pod("late", criticality="HI"))
    wait_until("the HI pod is refused", lambda: stage.observer.refusals("late"), seconds=60)
    refusal = stage.observer.refusals("late")
    assert "assurance.hazard" in refusal
    assert f"({', '.join(fallen.hazards)})" in refusal

    cluster.kubectl("-n", "k40s-system", "delete", "pod", malacoda(cluster, node))
    wait_until("malacoda is back", lambda: resumed(cluster, node), seconds=120)
    again = published(stage)
    assert (again.state, again.falls) == (5, fallen.falls)
    since = condition(cluster, node)["lastTransitionTime"]
    assert datetime.fromisoformat(since) == datetime.fromisoformat(told["lastTransitionTime"])


def resumed(cluster: Cluster, node: str) -> bool:
    """Whether the one monitor of the node has published."""
    chosen = ("-l", "app.kubernetes.io/name=malacoda", f"--field-selector=spec.nodeName={node}")
    names = cluster.kubectl("-n", "k40s-system", "get", "pods", *chosen, "-o", "name").split()
    try:
        return len(names) == 1 and any(
            line["message"] == "assurance published" for line in log_of(cluster, node)
        )
    except CommandError:  # its container has not started
        return False


_WRITES = "k40s_malacoda_publications_total"

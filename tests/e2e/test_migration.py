"""A HI pod leaves a node whose level falls, and its Service is never without a ready pod."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from cli.demo import stage_of
from demo.pods import WORKLOAD_IMAGE
from demo.stage import Stage
from k40s.annotations import MIGRATION_KEY
from localcluster.cluster import Cluster
from tests.e2e.asking import operator_of
from tests.e2e.patience import wait_until
from tests.fakes.registered_nodes import Api
from tests.fixtures.situations import missing

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

HARDWARE = "k40s.io/hardware-assurance"
SOFTWARE = "k40s.io/software-assurance"
POLL_SECONDS = 0.05
MOST_BYTES = 70 << 20
NAMES = ("web", "alone", "db")
MOVED = (
    'k40s_controller_moves_total{method="surge"}',
    'k40s_controller_move_ends_total{outcome="evicted"}',
)
SERVE = "cd /tmp && exec python3 -m http.server 8080"


def deployment(name: str) -> dict[str, Any]:
    """One HI replica that serves HTTP."""
    container = {
        "name": "main",
        "image": WORKLOAD_IMAGE,
        "imagePullPolicy": "Never",
        "command": ["sh", "-c", SERVE],
        "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {
                    "labels": {"app": name},
                    "annotations": {"k40s.io/criticality": "HI"},
                },
                "spec": {
                    "schedulerName": "k40s-scheduler",
                    "terminationGracePeriodSeconds": 1,
                    "automountServiceAccountToken": False,
                    "containers": [container],
                },
            },
        },
    }


def service(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}]},
    }


class EndpointWatch:
    """Polls the ready endpoints of a Service; keeps how many there were each time."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self._api = Api(cluster.plane())
        self._path = (
            "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
            f"?labelSelector=kubernetes.io/service-name={name}"
        )
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._poll, daemon=True)
        self.counts: list[int] = []
        self.pauses: list[float] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)
        self._api.close()

    def _poll(self) -> None:
        last = time.monotonic()
        while not self._stop.wait(POLL_SECONDS):
            self.counts.append(self.look())
            now = time.monotonic()
            self.pauses.append(now - last)
            last = now

    def look(self) -> int:
        slices = self._api.request("GET", self._path)["items"]
        return sum(
            one.get("conditions", {}).get("ready", False)
            for item in slices
            for one in item.get("endpoints") or []
        )


@pytest.fixture
def stage(cluster: Cluster) -> Iterator[Stage]:
    """The real-time node alone is fit for HI; both are as they were at the end."""
    stage = stage_of(cluster)
    former = {
        (node, key): stage.observer.node_annotation(node, key)
        for node in (stage.real_time_node, stage.general_node)
        for key in (HARDWARE, SOFTWARE)
    }
    wait_until("one is fit", lambda: stage.level(stage.real_time_node) >= 14, seconds=120)
    wait_until("the other is not", lambda: stage.level(stage.general_node) < 14, seconds=120)
    yield stage
    for (node, key), value in former.items():
        annotate(cluster, node, {key: value})
    cluster.kubectl(
        *("-n", "default", "delete", "deployment,service,statefulset", "--ignore-not-found"),
        *("--wait=true", *NAMES),
        timeout=180,
    )
    selector = f"app in ({','.join(NAMES)})"
    wait_until(
        "their pods are gone",
        lambda: not cluster.kubectl("-n", "default", "get", "pods", "-l", selector, "-o", "name"),
        seconds=120,
    )


def make_fit(cluster: Cluster, stage: Stage) -> None:
    """The other node, once the pod has its place: kube-scheduler would prefer the better node."""
    annotate(cluster, stage.general_node, {HARDWARE: "5", SOFTWARE: "3"})
    wait_until("the other is fit", lambda: stage.level(stage.general_node) >= 14, seconds=120)


def annotate(cluster: Cluster, node: str, values: dict[str, str]) -> None:
    words = [f"{key}={value}" if value else f"{key}-" for key, value in values.items()]
    cluster.kubectl("annotate", "node", node, "--overwrite", *words)


def pods(cluster: Cluster, app: str) -> list[dict[str, Any]]:
    words = ("-n", "default", "get", "pods", "-l", f"app={app}", "-o", "json")
    found: list[dict[str, Any]] = json.loads(cluster.kubectl(*words))["items"]
    return found


def is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod["status"].get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def create_ready_on(cluster: Cluster, objects: list[dict[str, Any]], app: str, node: str) -> str:
    """Create them, and return the UID of the pod once it is ready on that node."""
    listed = {"apiVersion": "v1", "kind": "List", "items": objects}
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(listed))
    wait_until(
        f"{app} is ready", lambda: [one for one in pods(cluster, app) if is_ready(one)], seconds=180
    )
    (pod,) = pods(cluster, app)
    assert pod["spec"]["nodeName"] == node
    return str(pod["metadata"]["uid"])


def events(cluster: Cluster, name: str) -> list[tuple[str, str]]:
    items = json.loads(cluster.kubectl("-n", "default", "get", "events", "-o", "json"))["items"]
    return [
        (item["reason"], item["message"])
        for item in items
        if item["involvedObject"]["name"].startswith(name)
        and item.get("reportingComponent") == "k40s-controller"
    ]


def metric_of(cluster: Cluster, series: str) -> float:
    """A figure of the controller's only replica; 0 where it has none."""
    words = ("-n", "k40s-system", "get", "pods", "-l", "app.kubernetes.io/name=k40s-controller")
    (name,) = cluster.kubectl(*words, "-o", "name").split()
    pod = name.removeprefix("pod/")
    path = f"/api/v1/namespaces/k40s-system/pods/{pod}:8446/proxy/metrics"
    lines = cluster.kubectl("get", "--raw", path).splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(f"{series} "))


def test_a_hi_deployment_moves_and_its_service_always_has_a_ready_pod(
    cluster: Cluster, stage: Stage, tmp_path: Path
) -> None:
    here, there = stage.real_time_node, stage.general_node
    old = create_ready_on(cluster, [deployment("web"), service("web")], "web", here)
    name = pods(cluster, "web")[0]["metadata"]["name"]
    figures = [metric_of(cluster, series) for series in MOVED]
    make_fit(cluster, stage)

    with EndpointWatch(cluster, "web") as watch:
        wait_until("the service has its endpoint", lambda: watch.counts[-5:] == [1] * 5, seconds=60)
        began, before = time.monotonic(), len(watch.counts)
        annotate(cluster, here, {HARDWARE: "0"})
        wait_until(
            "the pod runs elsewhere",
            lambda: (
                [one["spec"].get("nodeName") for one in pods(cluster, "web")] == [there]
                and is_ready(pods(cluster, "web")[0])
            ),
            seconds=120,
        )
        took = time.monotonic() - began
        threading.Event().wait(20)  # a second move would begin by now
        counts = watch.counts[before:]
    (pod,) = pods(cluster, "web")
    started = [text for reason, text in events(cluster, "web") if reason == "MigrationStarted"]
    print(  # noqa: T201  # the figures belong into the test's report
        f"moved in {took:.1f} s; {len(counts)} looks at the endpoints, least {min(counts)}, "
        f"most {max(counts)}, longest pause {max(watch.pauses):.2f} s"
    )
    shown = operator_of(cluster, tmp_path).events_of(name).text
    assert missing("migrated", shown) == [], shown
    assert min(counts) >= 1
    assert max(counts) == 2
    assert pod["metadata"]["uid"] != old
    assert MIGRATION_KEY not in pod["metadata"]["annotations"]
    assert pod["metadata"]["ownerReferences"][0]["kind"] == "ReplicaSet"
    assert len({text.split(": pod ")[1] for text in started}) == 1
    assert "its replacement starts first" in started[0]
    assert "Migrated" in {reason for reason, _ in events(cluster, "web")}
    assert [metric_of(cluster, series) for series in MOVED] == [one + 1 for one in figures]
    assert metric_of(cluster, "k40s_controller_tick_errors_total") == 0
    resident = metric_of(cluster, "process_resident_memory_bytes")
    print(f"the controller has {resident / (1 << 20):.0f} MB resident")  # noqa: T201  # as above
    assert resident <= MOST_BYTES


def test_nothing_moves_when_no_other_node_would_take_the_pod(
    cluster: Cluster, stage: Stage
) -> None:
    here = stage.real_time_node
    old = create_ready_on(cluster, [deployment("alone")], "alone", here)

    annotate(cluster, here, {HARDWARE: "0"})
    wait_until(
        "the event says so",
        lambda: [text for reason, text in events(cluster, "alone") if reason == "NotMigrated"],
        seconds=60,
    )

    (pod,) = pods(cluster, "alone")
    texts = [text for reason, text in events(cluster, "alone") if reason == "NotMigrated"]
    assert pod["metadata"]["uid"] == old
    assert all("no other node would take it" in text for text in texts)
    assert all("assurance.too-low" in text for text in texts)


def test_a_stateful_sets_pod_is_evicted_once_its_budget_allows_it(
    cluster: Cluster, stage: Stage
) -> None:
    here, there = stage.real_time_node, stage.general_node
    manifest = deployment("db")
    manifest["kind"] = "StatefulSet"
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "db", "namespace": "default"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "db"}}},
    }
    old = create_ready_on(cluster, [manifest, budget], "db", here)
    make_fit(cluster, stage)
    annotate(cluster, here, {HARDWARE: "0"})
    try:
        wait_until(
            "the budget holds",
            lambda: [text for _, text in events(cluster, "db") if "disruption budget" in text],
            seconds=60,
        )
        (kept,) = pods(cluster, "db")
    finally:
        cluster.kubectl("-n", "default", "delete", "poddisruptionbudget", "db")

    wait_until(
        "it runs elsewhere",
        lambda: (
            [one["spec"].get("nodeName") for one in pods(cluster, "db") if is_ready(one)] == [there]
        ),
        seconds=120,
    )
    assert kept["metadata"]["uid"] == old

"""The controller as a whole: real informers, election and extender client, over loopback."""

import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from controller.process import Controller
from controller.settings import ControllerSettings
from k40s.annotations import PLACEMENT_CHANGED_KEY
from k40s.http.client import HttpClient
from k40s.http.listening import Host, parse_host
from k40s.kube.gateway import KubeGateway
from k40s.kube.transport import ApiTransport
from k40s.pki.expiry import read_expiry
from k40s.runtime.settings import Port
from k40s.units import NS_PER_S, Nanoseconds
from tests.fakes.extender.process import ROOT
from tests.fakes.kube.api_server import Answer, FakeApiServer, serving
from tests.unit.conftest import NamedFiles

LEASES = "/apis/coordination.k8s.io/v1/namespaces/k40s-system/leases"
NETWORKS = "/apis/k40s.io/v1alpha1/networks"
HOST: Host = parse_host("127.0.0.1")


def listing(*items: dict[str, Any]) -> Answer:
    return Answer(200, {"metadata": {"resourceVersion": "1"}, "items": list(items)})


def lease(holder: str, version: str) -> dict[str, Any]:
    return {
        "metadata": {"name": "k40s-controller", "resourceVersion": version},
        "spec": {"holderIdentity": holder, "renewTime": version, "leaseDurationSeconds": 15},
    }


@pytest.fixture
def api() -> Iterator[FakeApiServer]:
    with serving() as server:
        for _ in range(50):  # watches end at once, and are begun again
            for path in ("/api/v1/nodes", "/api/v1/pods", LEASES):
                server.answer("GET", path, listing())
        yield server


def eventually(check: Callable[[], object]) -> None:
    pause, end = threading.Event(), time.monotonic() + 60
    while not check():
        assert time.monotonic() < end
        pause.wait(0.02)


def probe(controller: Controller, path: str) -> tuple[int, str]:
    url = f"http://127.0.0.1:{controller.probes.port}{path}"
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:  # loopback
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def make(
    api: FakeApiServer, files: NamedFiles, *, runtime_classes: tuple[str, ...] = ()
) -> Controller:
    client = HttpClient(base_url=f"http://127.0.0.1:{api.port}", timeout=Nanoseconds(20 * NS_PER_S))
    return Controller(
        ControllerSettings(
            host=HOST,
            probe_port=Port(0),
            identity="me",
            extender_service="127.0.0.1",
            extender_port=Port(1),
            preemption_hold_off=Nanoseconds(0),
            runtime_classes=runtime_classes,
            client_tls_directory=files("k40s-controller-client-tls").cert.parent,
        ),
        gateway=KubeGateway(ApiTransport(client)),
        registry=CollectorRegistry(),
    )


def test_it_shows_when_its_certificate_ends(api: FakeApiServer, files: NamedFiles) -> None:
    controller = make(api, files)
    controller.probes.start()
    try:
        shown = probe(controller, "/metrics")[1]
    finally:
        controller.probes.stop()

    name = 'k40s_controller_certificate_expiry_timestamp_seconds{certificate="client"}'
    (line,) = (one for one in shown.splitlines() if one.startswith(name))
    file = files("k40s-controller-client-tls").cert
    assert float(line.split()[-1]) == read_expiry(file.read_text()).timestamp() > 0


def test_it_gets_ready_leads_and_gives_its_lease_up(api: FakeApiServer, files: NamedFiles) -> None:
    api.answer("POST", LEASES, Answer(201, lease("me", "1")))
    api.answer("GET", f"{LEASES}/k40s-controller", Answer(404, {}))
    for version in range(1, 50):
        api.answer("GET", f"{LEASES}/k40s-controller", Answer(200, lease("me", str(version))))
        api.answer("PATCH", f"{LEASES}/k40s-controller", Answer(200, lease("me", str(version + 1))))
    controller = make(api, files)

    controller.start()
    try:
        eventually(lambda: controller.election.leading)
        eventually(lambda: "k40s_controller_leader 1.0" in probe(controller, "/metrics")[1])
        healthy, ready = probe(controller, "/healthz"), probe(controller, "/readyz")
    finally:
        controller.stop()

    assert (healthy[0], ready[0]) == (200, 200)
    assert not controller.election.leading
    last = [one for one in api.received if one.method == "PATCH"][-1]  # informers go on reading
    assert last.body["spec"]["holderIdentity"] == ""


def test_a_leader_collects_what_a_pod_that_is_gone_held(
    api: FakeApiServer, files: NamedFiles
) -> None:
    held = {"pod": {"uid": "u1", "namespace": "default", "name": "pump"}, "node": "edge-1"}
    plant = {
        "metadata": {"name": "plant", "resourceVersion": "7", "generation": 1},
        "spec": {"members": [{"node": "edge-1", "interface": "rteth0"}]},
        "status": {"reservations": [held]},
    }
    for version in range(1, 50):
        api.answer("GET", NETWORKS, listing(plant))
        api.answer("GET", f"{LEASES}/k40s-controller", Answer(200, lease("me", str(version))))
        api.answer("PATCH", f"{LEASES}/k40s-controller", Answer(200, lease("me", str(version + 1))))
    api.answer("PATCH", f"{NETWORKS}/plant/status", Answer(200, plant))
    controller = make(api, files)

    controller.start()
    try:
        eventually(lambda: [one for one in api.received if one.path.endswith("/plant/status")])
    finally:
        controller.stop()

    asked = [one.path for one in api.received if one.path.endswith("/pods/pump")]
    (written,) = [one for one in api.received if one.path.endswith("/plant/status")]
    assert asked == ["/api/v1/namespaces/default/pods/pump"]
    assert written.body["metadata"] == {"resourceVersion": "7"}
    assert written.body["status"]["reservations"] == []
    valid = next(one for one in written.body["status"]["conditions"] if one["type"] == "Valid")
    assert valid["status"] == "False"


def test_a_leader_asks_for_room_for_a_pod_that_no_node_would_take(
    files: NamedFiles,
) -> None:
    refusal = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    waiting = {
        "metadata": {
            "uid": "u1",
            "namespace": "default",
            "name": "high",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "annotations": {"k40s.io/criticality": "HI"},
        },
        "spec": {"schedulerName": "k40s-scheduler", "containers": [{"name": "main"}]},
        "status": {"phase": "Pending", "conditions": [refusal]},
    }
    sample = 'k40s_controller_preemption_waiting_pods{obstacle="request-failed"} 1.0'
    with serving() as api:
        for version in range(1, 50):
            for path in ("/api/v1/nodes", LEASES):
                api.answer("GET", path, listing())
            api.answer("GET", "/api/v1/pods", listing(waiting))
            api.answer("GET", f"{LEASES}/k40s-controller", Answer(200, lease("me", str(version))))
            renewed = Answer(200, lease("me", str(version + 1)))
            api.answer("PATCH", f"{LEASES}/k40s-controller", renewed)
        controller = make(api, files)

        controller.start()
        try:
            eventually(lambda: sample in probe(controller, "/metrics")[1])
        finally:
            controller.stop()

    assert [one.method for one in api.received if "/pods/" in one.path] == []


@pytest.mark.parametrize(
    ("settings", "code", "said"),
    [
        ({"K40S_MIGRATION_HOLD_OFF": "5"}, 2, "K40S_MIGRATION_HOLD_OFF: found '5', expected a"),
        ({"K40S_MIGRATION_REST": "9000s"}, 2, "rest: found 9000s, expected 1ns to 7200s"),
        ({}, 1, "neither a kubeconfig nor a pod's environment"),
    ],
)
def test_it_ends_with_one_line_that_says_what_is_wrong(
    settings: dict[str, str], code: int, said: str
) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "controller"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **settings},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )

    assert ended.returncode == code
    assert len(ended.stderr.splitlines()) == 1
    assert said in ended.stderr


def test_until_everything_is_listed_it_is_not_ready_and_takes_no_lease(
    files: NamedFiles,
) -> None:
    with serving() as empty:  # every list is a 404
        controller = make(empty, files)
        controller.start()
        try:
            eventually(lambda: len(empty.received) > 6)
            ready = probe(controller, "/readyz")
        finally:
            controller.stop()

    assert ready[0] == 503
    assert "nodes" in json.loads(ready[1])["trouble"]
    assert not any(one.path.startswith(f"{LEASES}/") for one in empty.received)


TENANT = {
    "metadata": {"name": "line", "resourceVersion": "7", "generation": 1},
    "spec": {"namespaces": ["paint"], "hiPods": 1},
}
RUNTIME_CLASS = {"metadata": {"name": "vm", "resourceVersion": "7"}, "handler": "kata"}


@pytest.mark.parametrize(
    ("path", "item", "classes"),
    [
        ("/apis/k40s.io/v1alpha1/tenants", TENANT, ()),
        ("/apis/node.k8s.io/v1/runtimeclasses", RUNTIME_CLASS, ("HI=vm",)),
    ],
    ids=["Tenant", "RuntimeClass"],
)
def test_pods_that_wait_are_told_of_what_their_scheduler_does_not_watch_without_networks(
    files: NamedFiles, path: str, item: dict[str, Any], classes: tuple[str, ...]
) -> None:
    node = {"metadata": {"name": "edge-1", "resourceVersion": "3"}}
    with serving() as api:
        for version in range(1, 50):
            api.answer("GET", "/api/v1/nodes", listing(node))
            api.answer("GET", "/api/v1/pods", listing())
            api.answer("GET", LEASES, listing())
            api.answer("GET", path, listing(item))
            api.answer("GET", f"{LEASES}/k40s-controller", Answer(200, lease("me", str(version))))
            api.answer(
                "PATCH", f"{LEASES}/k40s-controller", Answer(200, lease("me", str(version + 1)))
            )
        api.answer("PATCH", "/api/v1/nodes/edge-1", Answer(200, node))
        controller = make(api, files, runtime_classes=classes)
        controller.start()
        try:
            eventually(lambda: [one for one in api.received if one.path == "/api/v1/nodes/edge-1"])
        finally:
            controller.stop()

        (written, *_) = [one for one in api.received if one.path == "/api/v1/nodes/edge-1"]

    assert list(written.body["metadata"]["annotations"]) == [PLACEMENT_CHANGED_KEY]


def test_runtimes_are_watched_only_where_a_criticality_needs_one(
    api: FakeApiServer, files: NamedFiles
) -> None:
    for version in range(1, 50):
        api.answer("GET", f"{LEASES}/k40s-controller", Answer(200, lease("me", str(version))))
        api.answer("PATCH", f"{LEASES}/k40s-controller", Answer(200, lease("me", str(version + 1))))
    controller = make(api, files)

    controller.start()
    try:
        eventually(lambda: controller.election.leading)
    finally:
        controller.stop()

    assert not [one for one in api.received if "runtimeclasses" in one.path]

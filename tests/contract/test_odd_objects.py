"""Pods as a real API server stores them, cpu and memory swapped: all starts beside them.

The extender and rubicante are the real processes, started when the pods are already there. The node
has no kubelet behind it, and rubicante writes nothing to the kernel.
"""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from k40s.annotations import RUNTIME_LABEL_PREFIX
from k40s.http.tls import TlsFiles
from k40s.kube.objects.runtimes import CLASSES_PATH
from k40s.kube.transport import MERGE_PATCH
from localcluster.host.ports import free_ports
from localcluster.images.binaries import Binaries
from localcluster.plane.control_plane import ControlPlane
from tests.fakes.extender.process import (
    ROOT,
    count,
    is_ready,
    issue_certificates,
    scheduler_calls,
    start_extender,
)
from tests.fakes.extender.world import make_args, make_pod
from tests.fakes.registered_nodes import PODS, Api, make_spec, prepare, register_nodes, wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

NODE = "odd"
RUNTIME_CLASS = {
    "apiVersion": "node.k8s.io/v1",
    "kind": "RuntimeClass",
    "metadata": {"name": "vm"},
    "handler": "kata-qemu",
}
REQUESTS = ["128Mi", "1Ki", "10Gi", "1e3", "2k", "1E", "100u", "1500m"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plane:
    """A control plane with the odd pods in it."""

    api: Api
    plane: ControlPlane
    certificates: dict[str, TlsFiles]
    directory: Path


def create(api: Api, name: str, cpu: str) -> None:
    """A pod that is bound to the node from the start."""
    pod = make_spec(name, scheduler="default-scheduler", cpu=cpu)
    pod["spec"]["nodeName"] = NODE
    api.request("POST", PODS, pod)


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory, binaries: Binaries) -> Iterator[Plane]:
    place = tmp_path_factory.mktemp("odd")
    with ControlPlane.on_loopback(directory=place, binaries=binaries) as control:
        api = Api(control)
        prepare(api)
        register_nodes(api, [NODE], leases=())
        for number, cpu in enumerate(REQUESTS):
            create(api, f"odd-{number}", cpu)
        certificates = issue_certificates(place / "certificates")
        yield Plane(api=api, plane=control, certificates=certificates, directory=place)
        api.close()


def start_rubicante(plane: Plane) -> str:
    """Start ``python -m daemons.rubicante`` without any effect on the kernel; its probes' URL."""
    port, probe_port = free_ports(2)
    plane.plane.supervisor.start(
        "rubicante",
        [sys.executable, "-m", "daemons.rubicante"],
        environment={
            **{key: text for key, text in os.environ.items() if not key.startswith("K40S_")},
            "PYTHONPATH": str(ROOT),
            "K40S_NODE_NAME": NODE,
            "K40S_POD_IP": "127.0.0.1",
            "K40S_CPUS": "0",
            "K40S_DRY_RUN": "true",
            "K40S_STORE": str(plane.directory / "book"),
            "K40S_TLS_DIRECTORY": str(plane.certificates["k40s-rubicante-tls"].cert.parent),
            "K40S_LISTEN_HOST": "127.0.0.1",
            "K40S_PORT": str(port),
            "K40S_PROBE_PORT": str(probe_port),
            "K40S_KUBECONFIG": f"/nonexistent:{plane.plane.kubeconfig}",
        },
    )
    probes = f"http://127.0.0.1:{probe_port}"
    plane.plane.supervisor.wait_ready("rubicante", lambda: is_ready(probes), timeout=120)
    return probes


def test_a_restarted_extender_is_ready_beside_pods_with_swapped_requests(plane: Plane) -> None:
    extender = start_extender(plane.plane, plane.certificates)

    kinds = {
        kind: count(extender.probes, f'k40s_extender_unreadable_objects_total{{kind="{kind}"}}')
        for kind in ("nodes", "leases", "pods")
    }
    assert kinds == {"nodes": 0, "leases": 0, "pods": 0}
    assert count(extender.probes, "k40s_extender_watch_errors_total") == 0
    assert count(extender.probes, "k40s_extender_nodes") == 1


def test_rubicante_reconciles_beside_them_and_stays_ready_when_more_come(plane: Plane) -> None:
    probes = start_rubicante(plane)

    create(plane.api, "late", "64Mi")
    wait_until(lambda: is_ready(probes))

    assert count(probes, 'k40s_rubicante_unreadable_objects_total{kind="pods"}') == 0
    assert count(probes, "k40s_rubicante_tick_errors_total") == 0


def test_a_nodes_runtimes_are_read_as_the_api_server_stores_them(plane: Plane) -> None:
    """A kubelet's list, with the default handler, wins over labels; RuntimeClasses may go."""
    api, node = plane.api, f"/api/v1/nodes/{NODE}"
    api.request("POST", CLASSES_PATH, RUNTIME_CLASS)
    labels = {f"{RUNTIME_LABEL_PREFIX}kata-qemu": "true"}
    api.request("PATCH", node, {"metadata": {"labels": labels}}, kind=MERGE_PATCH)
    settings = {"K40S_RUNTIME_CLASSES": "NO=vm"}
    extender = start_extender(plane.plane, plane.certificates, name="isolating", settings=settings)

    def refusal(runtime_class: str) -> str:
        body = make_args(make_pod(runtime_class=runtime_class), [NODE])
        answer = calls.request("POST", f"{extender.url}/filter", body=body).json()
        assert not answer["Error"]
        return str(answer["FailedAndUnresolvableNodes"].get(NODE, "")).partition(":")[0]

    def publish(*handlers: object) -> None:
        status = {"status": {"runtimeHandlers": list(handlers)}}
        api.request("PATCH", f"{node}/status", status, kind=MERGE_PATCH)

    with scheduler_calls(plane.certificates) as calls:
        assert (refusal("vm"), refusal("runc")) == ("", "isolation.class")
        publish({"name": ""}, {}, {"name": "runc"})
        wait_until(lambda: refusal("vm") == "isolation.no-runtime")
        publish({"name": "runc"}, {"name": "kata-qemu", "features": {"userNamespaces": True}})
        wait_until(lambda: not refusal("vm"))
        api.request("DELETE", f"{CLASSES_PATH}/vm")
        wait_until(lambda: refusal("vm") == "isolation.no-runtime")

"""Real rubicantes beside a real API server, each on a kernel in memory and a process of its own."""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from k40s.annotations import CPU_STATE_KEY, CRITICALITY_KEY, PLATFORM_LABEL, TASKS_KEY
from k40s.http.tls import TlsFiles
from localcluster.host.ports import free_ports
from localcluster.images.binaries import Binaries
from localcluster.plane.control_plane import ControlPlane
from tests.fakes.extender.process import ROOT, SCHEDULER, issue_certificates
from tests.fakes.extender.world import PLATFORM, make_task
from tests.fakes.registered_nodes import (
    MERGE,
    PODS,
    Api,
    assured,
    make_spec,
    prepare,
    register_nodes,
)

NODES = ("line-1", "line-2")


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredPlant:
    """A control plane on loopback with two registered nodes, and the processes' certificates."""

    api: Api
    plane: ControlPlane
    certificates: Mapping[str, TlsFiles]

    def node(self, name: str) -> dict[str, Any]:
        """The metadata of a node."""
        metadata: dict[str, Any] = self.api.request("GET", f"/api/v1/nodes/{name}")["metadata"]
        return metadata

    def published(self, name: str) -> str:
        """The CPU state of a node; empty until its daemon has published one."""
        return str(self.node(name)["annotations"].get(CPU_STATE_KEY, ""))

    def pods(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self.api.request("GET", PODS)["items"]
        return items


@contextmanager
def register_plant(directory: Path, binaries: Binaries) -> Iterator[RegisteredPlant]:
    """Start the control plane and register ``NODES``, without any daemon yet."""
    certificates = issue_certificates(directory / "certificates")
    with ControlPlane.on_loopback(directory=directory, binaries=binaries) as plane:
        api = Api(plane)
        prepare(api)
        register_nodes(api, NODES, annotations=lambda _name: assured(20))
        for name in NODES:
            body = {"metadata": {"labels": {PLATFORM_LABEL: PLATFORM}}}
            api.request("PATCH", f"/api/v1/nodes/{name}", body, kind=MERGE)
        yield RegisteredPlant(api=api, plane=plane, certificates=certificates)
        api.close()


def make_real_time_spec(
    name: str, *, criticality: str, wcet: str, period: str = "100ms"
) -> dict[str, Any]:
    """A pod of k40s's scheduler with one task."""
    annotations = {
        CRITICALITY_KEY: criticality,
        TASKS_KEY: json.dumps([make_task(wcet, period)]),
    }
    return make_spec(name, scheduler=SCHEDULER, annotations=annotations)


def start_rubicante(
    plane: ControlPlane,
    name: str,
    certificates: Mapping[str, TlsFiles],
    settings: Mapping[str, str],
) -> None:
    """Start the daemon of a node with two cores; the plane's supervisor ends it."""
    port, probe_port = free_ports(2)
    environment = {
        **{key: text for key, text in os.environ.items() if not key.startswith("K40S_")},
        "PYTHONPATH": str(ROOT),
        "K40S_NODE_NAME": name,
        "K40S_POD_IP": "127.0.0.1",
        "K40S_LISTEN_HOST": "127.0.0.1",
        "K40S_PORT": str(port),
        "K40S_PROBE_PORT": str(probe_port),
        "K40S_CPUS": "1-2",
        "K40S_TICK": "4ms",
        "K40S_KUBECONFIG": str(plane.kubeconfig),
        "K40S_TLS_DIRECTORY": str(certificates["k40s-rubicante-tls"].cert.parent),
        **settings,
    }
    command = [sys.executable, "-m", "tests.fakes.rubicante.node"]
    plane.supervisor.start(f"rubicante-{name}", command, environment=environment)

"""The real controller as its own process."""

import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from k40s.http.tls import TlsFiles
from localcluster.host.ports import free_ports
from localcluster.plane.control_plane import ControlPlane
from tests.fakes.extender.process import ROOT, RunningExtender, is_ready, read_metrics
from tests.fakes.registered_nodes import wait_until

NAME = "controller"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningController:
    """A controller under the plane's supervisor, which can be killed and started again."""

    plane: ControlPlane
    environment: Mapping[str, str]

    @property
    def probes(self) -> str:
        return f"http://127.0.0.1:{self.environment['K40S_PROBE_PORT']}"

    def start(self) -> None:
        """Start it, unless it runs, and wait until it has listed everything."""
        command = [sys.executable, "-m", "controller"]
        self.plane.supervisor.start(NAME, command, environment=self.environment)
        self.plane.supervisor.wait_ready(NAME, lambda: is_ready(self.probes), timeout=120)

    def kill(self) -> None:
        """``kill -9``."""
        kill(self.plane, NAME)

    def sample(self, text: str) -> float:
        """A sample of its metrics such as ``k40s_controller_x_total{how="y"}``; 0 for none."""
        for line in read_metrics(self.probes).splitlines():
            name, _, value = line.rpartition(" ")
            if name == text:
                return float(value)
        return 0.0


def start_controller(
    plane: ControlPlane,
    certificates: Mapping[str, TlsFiles],
    extender: RunningExtender,
    settings: Mapping[str, str],
) -> RunningController:
    """Start ``python -m controller`` against a control plane and an extender on this machine."""
    (probe_port,) = free_ports(1)
    port = extender.url.rsplit(":", 1)[1].partition("/")[0]
    running = RunningController(
        plane=plane,
        environment={
            **{key: text for key, text in os.environ.items() if not key.startswith("K40S_")},
            "PYTHONPATH": str(ROOT),
            "K40S_HOST": "127.0.0.1",
            "K40S_PROBE_PORT": str(probe_port),
            "K40S_KUBECONFIG": str(plane.kubeconfig),
            "K40S_EXTENDER_SERVICE": "127.0.0.1",
            "K40S_EXTENDER_PORT": port,
            "K40S_CLIENT_TLS_DIRECTORY": str(
                certificates["k40s-controller-client-tls"].cert.parent
            ),
            "K40S_LEADER_LEASE": "3s",
            **settings,
        },
    )
    running.start()
    return running


def kill(plane: ControlPlane, name: str) -> None:
    """``kill -9`` a process of the plane's supervisor, by its pid, and see it end."""
    pid = plane.supervisor.pid(name)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: plane.supervisor.pid(name) is None)

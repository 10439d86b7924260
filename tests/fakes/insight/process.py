"""The real insight as a process of its own, and a client that is a person's program."""

import http.client
import json
import os
import ssl
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from k40s.http.tls import TlsFiles
from localcluster.host.ports import free_ports
from localcluster.plane.control_plane import ControlPlane
from tests.fakes.extender.process import ROOT, RunningExtender, is_ready

ACCOUNT = "system:serviceaccount:k40s-system:k40s-insight"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningInsight:
    """Where it answers, and who signs its certificate."""

    port: int
    tls: TlsFiles

    def call(
        self, method: str, path: str, *, token: str = "", body: object = None, **headers: str
    ) -> tuple[int, Any, dict[str, str]]:
        """Status, decoded body (None for none), headers."""
        connection = self._connect()
        content = None if body is None else json.dumps(body)
        try:
            connection.request(method, path, body=content, headers=_headers(token, headers))
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text else None, dict(answer.getheaders())
        finally:
            connection.close()

    @contextmanager
    def stream(self, *, token: str = "", **headers: str) -> Iterator[http.client.HTTPResponse]:
        """A live page's stream."""
        connection = self._connect()
        try:
            connection.request("GET", "/v1/stream", headers=_headers(token, headers))
            yield connection.getresponse()
        finally:
            connection.close()

    def _connect(self) -> http.client.HTTPSConnection:
        context = ssl.create_default_context(cafile=str(self.tls.ca))
        return http.client.HTTPSConnection("localhost", self.port, context=context, timeout=120)


def read_event(stream: http.client.HTTPResponse) -> Any:  # noqa: ANN401  # decoded JSON
    """The next overview, None at the stream's end."""
    while line := stream.readline():
        if line.startswith(b"data: "):
            return json.loads(line.removeprefix(b"data: "))
    return None


def start_insight(
    plane: ControlPlane,
    certificates: Mapping[str, TlsFiles],
    extender: RunningExtender,
    **settings: str,
) -> RunningInsight:
    """Start ``python -m insight`` with its own rights, and wait until it is ready."""
    port, probe_port = free_ports(2)
    tls = certificates["k40s-insight-tls"]
    environment = {
        **{key: text for key, text in os.environ.items() if not key.startswith("K40S_")},
        "PYTHONPATH": str(ROOT),
        "K40S_HOST": "127.0.0.1",
        "K40S_PORT": str(port),
        "K40S_PROBE_PORT": str(probe_port),
        "K40S_KUBECONFIG": str(plane.identity("insight", name=ACCOUNT)),
        "K40S_TLS_DIRECTORY": str(tls.cert.parent),
        "K40S_CLIENT_TLS_DIRECTORY": str(certificates["k40s-insight-client-tls"].cert.parent),
        "K40S_EXTENDER_SERVICE": "127.0.0.1",
        "K40S_EXTENDER_PORT": extender.url.rpartition(":")[2].partition("/")[0],
        **settings,
    }
    plane.supervisor.start("insight", [sys.executable, "-m", "insight"], environment=environment)
    probes = f"http://127.0.0.1:{probe_port}"
    plane.supervisor.wait_ready("insight", lambda: is_ready(probes), timeout=120)
    return RunningInsight(port=port, tls=tls)


def _headers(token: str, headers: Mapping[str, str]) -> dict[str, str]:
    bearer = {"Authorization": f"Bearer {token}"} if token else {}
    return bearer | {name.replace("_", "-"): text for name, text in headers.items()}

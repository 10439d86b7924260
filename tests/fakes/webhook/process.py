"""The real webhook as a process of its own, and the shipped configurations pointed at it."""

import os
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import yaml

from k40s.pki.authority import Identity, Pair, issue, make_authority
from localcluster.host.ports import free_ports
from localcluster.plane.control_plane import ControlPlane
from tests.fakes.extender.process import ROOT, is_ready

MANIFEST = ROOT / "manifests" / "base" / "webhook.yaml"
ACCOUNT = "system:serviceaccount:k40s-system:k40s-webhook"
_SERVER = Identity(common_name="k40s-webhook-server", addresses=(IPv4Address("127.0.0.1"),))
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningWebhook:
    """Where it answers."""

    url: str
    probes: str


def new_authority() -> Pair:
    """An authority that was made some days ago."""
    return make_authority(name="k40s CA", lifetime=30 * _DAY, now=datetime.now(UTC) - 3 * _DAY)


def write_certificate(directory: Path, authority: Pair, *, expired: bool = False) -> None:
    """The files of the Secret k40s-webhook-tls, each replaced in one step."""
    now = datetime.now(UTC) - (2 * _DAY if expired else timedelta())
    pair = issue(authority, _SERVER, lifetime=_DAY, now=now)
    directory.mkdir(exist_ok=True)
    files = {"ca.crt": authority.certificate, "tls.key": pair.key, "tls.crt": pair.certificate}
    for name, content in files.items():
        new = directory / f".{name}"
        new.write_bytes(content)
        new.replace(directory / name)


def configurations(url: str, *, timeout: int = 5) -> list[dict[str, Any]]:
    """The shipped configurations, for a webhook on this machine."""
    found = [
        document
        for document in yaml.safe_load_all(MANIFEST.read_text())
        if document["kind"].endswith("WebhookConfiguration")
    ]
    for hook in (hook for document in found for hook in document["webhooks"]):
        path = hook["clientConfig"].pop("service")["path"]
        hook["clientConfig"] = {"url": f"{url}{path}"}
        hook["timeoutSeconds"] = timeout
    return found


def start_webhook(
    plane: ControlPlane, tls: Path, *, port: int | None = None, **settings: str
) -> RunningWebhook:
    """Start ``python -m webhook`` with its own rights; the plane's supervisor ends it."""
    free, probe_port = free_ports(2)
    port = port or free
    environment = {
        **{key: text for key, text in os.environ.items() if not key.startswith("K40S_")},
        "PYTHONPATH": str(ROOT),
        "K40S_HOST": "127.0.0.1",
        "K40S_PORT": str(port),
        "K40S_PROBE_PORT": str(probe_port),
        "K40S_KUBECONFIG": str(plane.identity("webhook", name=ACCOUNT)),
        "K40S_TLS_DIRECTORY": str(tls),
        **settings,
    }
    plane.supervisor.start("webhook", [sys.executable, "-m", "webhook"], environment=environment)
    return RunningWebhook(url=f"https://127.0.0.1:{port}", probes=f"http://127.0.0.1:{probe_port}")


def wait_ready(plane: ControlPlane, running: RunningWebhook) -> None:
    plane.supervisor.wait_ready("webhook", lambda: is_ready(running.probes), timeout=120)

"""The real extender as its own process, and the scheduler configuration that users get."""

import base64
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import urllib3
import yaml

from k40s.http.tls import TlsFiles, client_context
from k40s.pki.directory import CertificateDirectory
from localcluster.host.ports import free_ports
from localcluster.plane.control_plane import ControlPlane

ROOT = Path(__file__).parents[3]
SERVER_NAME = "k40s-extender"
SCHEDULER = "k40s-scheduler"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningExtender:
    """Where it answers."""

    url: str
    probes: str
    scheduler_tls: TlsFiles | None


def issue_certificates(directory: Path) -> dict[str, TlsFiles]:
    """What ``k40s certificates`` makes, as files by the name of the Secret."""
    CertificateDirectory(directory, "k40s-system").issue(
        lifetime=timedelta(days=1), authority_lifetime=timedelta(days=1), now=datetime.now(UTC)
    )
    found = {}
    for path in directory.glob("k40s-*-tls.yaml"):
        secret = yaml.safe_load(path.read_text())
        place = directory / path.stem
        place.mkdir(mode=0o700, exist_ok=True)
        for name, text in secret["data"].items():
            (place / name).write_bytes(base64.b64decode(text))
        found[path.stem] = TlsFiles.in_directory(place)
    return found


def start_extender(
    plane: ControlPlane,
    certificates: Mapping[str, TlsFiles],
    *,
    name: str = "extender",
    module: str = "extender",
    tls: bool = True,
    settings: Mapping[str, str] | None = None,
    ports: tuple[int, int] | None = None,
) -> RunningExtender:
    """Start ``python -m extender`` against a control plane, and wait until it is ready.

    The plane's supervisor ends it. ``module`` may be another one with the same settings; ``ports``
    are those of the API and of the probes, where they are not to be chosen.
    """
    port, probe_port = ports or free_ports(2)
    environment = {
        **{key: text for key, text in os.environ.items() if not key.startswith("K40S_")},
        "PYTHONPATH": str(ROOT),
        "K40S_HOST": "127.0.0.1",
        "K40S_PORT": str(port),
        "K40S_PROBE_PORT": str(probe_port),
        "K40S_KUBECONFIG": str(plane.kubeconfig),
        "K40S_TLS_DIRECTORY": str(certificates["k40s-extender-tls"].cert.parent),
        "K40S_CLIENT_TLS_DIRECTORY": str(certificates["k40s-extender-client-tls"].cert.parent),
        **(settings or {}),
    }
    plane.supervisor.start(name, [sys.executable, "-m", module], environment=environment)
    running = RunningExtender(
        url=f"{'https' if tls else 'http'}://127.0.0.1:{port}/scheduler",
        probes=f"http://127.0.0.1:{probe_port}",
        scheduler_tls=certificates["k40s-scheduler-tls"] if tls else None,
    )
    plane.supervisor.wait_ready(name, lambda: is_ready(running.probes), timeout=120)
    return running


def is_ready(probes: str) -> bool:
    with urllib3.PoolManager(retries=False, timeout=2) as pool:
        try:
            return pool.request("GET", f"{probes}/readyz").status == 200
        except urllib3.exceptions.HTTPError:
            return False


def read_metrics(probes: str) -> str:
    with urllib3.PoolManager(retries=False, timeout=5) as pool:
        return pool.request("GET", f"{probes}/metrics").data.decode()


def count(probes: str, sample: str) -> int:
    """The value of an extender's counter, such as ``k40s_extender_x_total{how="asked"}``."""
    found = re.search(rf"^{re.escape(sample)} (\S+)$", read_metrics(probes), re.MULTILINE)
    assert found is not None
    return int(float(found[1]))


@contextmanager
def scheduler_calls(certificates: Mapping[str, TlsFiles]) -> Iterator[urllib3.PoolManager]:
    """What calls an extender as the scheduler does."""
    with urllib3.PoolManager(
        ssl_context=client_context(certificates["k40s-scheduler-tls"]),
        server_hostname=SERVER_NAME,
        assert_hostname=SERVER_NAME,
        retries=False,
        timeout=60,
    ) as pool:
        yield pool


def scheduler_configuration(extender: RunningExtender | None) -> dict[str, Any]:
    """The configuration of manifests/base, pointed at an extender on this machine, or at none."""
    shipped: dict[str, Any] = yaml.safe_load(
        (ROOT / "manifests" / "base" / "scheduler-config.yaml").read_text()
    )
    shipped["leaderElection"] = {"leaderElect": False}
    if extender is None:
        del shipped["extenders"]
        return shipped
    (one,) = shipped["extenders"]
    one["urlPrefix"] = extender.url
    if extender.scheduler_tls is None:
        one["enableHTTPS"] = False
        del one["tlsConfig"]
        return shipped
    assert one["tlsConfig"]["serverName"] == SERVER_NAME
    files = extender.scheduler_tls
    one["tlsConfig"] |= {
        "caFile": str(files.ca),
        "certFile": str(files.cert),
        "keyFile": str(files.key),
    }
    return shipped

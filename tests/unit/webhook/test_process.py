"""The process: settings, probes, and its server's certificate for clients that have none."""

import json
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

import pytest
import urllib3

from k40s.criticality import Criticality
from k40s.errors import UnavailableError
from k40s.pki.authority import read_validity
from k40s.runtime.settings import SettingsError, read_settings
from localcluster.host.ports import free_ports
from tests.fakes.webhook.process import new_authority, write_certificate
from tests.fakes.webhook.reviews import make_body, make_pod
from webhook.process import Webhook
from webhook.settings import WebhookSettings


class Silent:
    """An API server that answers once it is told to."""

    answers = False

    def request(
        self, method: str, path: str, body: object = None, *, content_type: str = ""
    ) -> dict[str, Any]:
        del method, body, content_type
        if not self.answers:
            raise UnavailableError(path)
        return {"webhooks": []}


def read(**texts: str) -> WebhookSettings:
    return read_settings(WebhookSettings, {f"K40S_{key}": text for key, text in texts.items()})


def test_defaults_give_scheduler_and_priority_and_nothing_else() -> None:
    defaults = read().defaults

    assert defaults.scheduler
    assert defaults.priority_classes == {Criticality.HI: "k40s-hi", Criticality.LOW: "k40s-low"}
    assert (defaults.runtime_classes, defaults.tolerations) == ({}, {})


def test_each_default_can_be_switched() -> None:
    defaults = read(
        DEFAULT_SCHEDULER="false",
        DEFAULT_PRIORITY="false",
        RUNTIME_CLASSES="HI=kata,LOW=runc",
        DEFAULT_TOLERATIONS="LOW=a",
    ).defaults

    assert not defaults.scheduler
    assert defaults.priority_classes == {}
    assert defaults.runtime_classes == {Criticality.HI: "kata", Criticality.LOW: "runc"}
    assert list(defaults.tolerations) == [Criticality.LOW]


@pytest.mark.parametrize(
    "bad", [{"THREADS": "0"}, {"RUNTIME_CLASSES": "kata"}, {"DEFAULT_TOLERATIONS": "x"}]
)
def test_a_bad_setting_is_named(bad: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=f"K40S_{next(iter(bad))}: found"):
        read(**bad)


def test_it_is_ready_once_its_certificate_is_in_the_configurations(tmp_path: Path) -> None:
    write_certificate(tmp_path, new_authority())
    api = Silent()
    settings = read(HOST="127.0.0.1", PROBE_PORT="0", TLS_DIRECTORY=str(tmp_path))
    webhook = Webhook(settings, api=api)
    webhook.probes.start()
    ready = f"http://127.0.0.1:{webhook.probes.port}/readyz"

    webhook.look()
    before = urllib3.request("GET", ready, retries=False).status
    api.answers = True
    webhook.look()

    assert (before, urllib3.request("GET", ready, retries=False).status) == (503, 200)
    webhook.stop()


def test_it_shows_when_its_certificate_ends(tmp_path: Path) -> None:
    write_certificate(tmp_path, new_authority())
    settings = read(HOST="127.0.0.1", PROBE_PORT="0", TLS_DIRECTORY=str(tmp_path))
    webhook = Webhook(settings, api=Silent())
    webhook.probes.start()

    shown = urllib3.request("GET", f"http://127.0.0.1:{webhook.probes.port}/metrics", retries=False)

    end = read_validity((tmp_path / "tls.crt").read_bytes()).not_after.timestamp()
    name = 'k40s_webhook_certificate_expiry_timestamp_seconds{certificate="server"}'
    (line,) = (one for one in shown.data.decode().splitlines() if one.startswith(name))
    assert float(line.split()[-1]) == end
    webhook.stop()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """``python -m webhook`` without an API server: its port, and the directory of its Secret."""
    write_certificate(tmp_path / "tls", new_authority())
    (tmp_path / "config").write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "c",
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
                "users": [{"name": "u", "user": {}}],
            }
        )
    )
    port, probe_port = free_ports(2)
    environment = {
        **{key: text for key, text in os.environ.items() if not key.startswith("K40S_")},
        "K40S_HOST": "127.0.0.1",
        "K40S_PORT": str(port),
        "K40S_PROBE_PORT": str(probe_port),
        "K40S_TLS_DIRECTORY": str(tmp_path / "tls"),
        "K40S_KUBECONFIG": str(tmp_path / "config"),
    }
    process = subprocess.Popen([sys.executable, "-m", "webhook"], env=environment)
    retries = urllib3.Retry(total=60, backoff_factor=0.1, backoff_max=1)
    with urllib3.PoolManager(retries=retries) as pool:
        pool.request("GET", f"http://127.0.0.1:{probe_port}/healthz")
    yield port, tmp_path / "tls"
    process.terminate()
    process.wait(timeout=120)


def test_a_client_without_a_certificate_is_answered_with_the_newest(
    served: tuple[int, Path],
) -> None:
    port, tls = served

    first = ask(port, tls)
    write_certificate(tls, new_authority())
    second = ask(port, tls)  # trusts the new authority alone

    assert first == second == {"uid": "u-1", "allowed": True}


def ask(port: int, tls: Path) -> object:
    context = ssl.create_default_context(cafile=str(tls / "ca.crt"))
    connection = HTTPSConnection("127.0.0.1", port, context=context, timeout=60)
    connection.request("POST", "/validate", make_body("Pod", make_pod({})))
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return answer["response"]

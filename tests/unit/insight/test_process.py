"""The whole process: over real TLS, beside an API server in memory."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from insight.settings import InsightSettings
from k40s.runtime.settings import SettingsError, read_settings
from localcluster.host.ports import free_ports
from tests.fakes.extender.process import ROOT, is_ready, issue_certificates
from tests.fakes.insight.api import LEASES, NODES, PODS, FakeApi, allow_all
from tests.fakes.insight.http_api import serving, write_kubeconfig
from tests.fakes.insight.objects import lease_object, node_object, pod_object
from tests.fakes.insight.process import RunningInsight, read_event
from tests.fakes.registered_nodes import wait_until

THREADS = 2
USER = "admin"


@pytest.fixture(scope="module")
def api() -> FakeApi:
    made = FakeApi(users={USER: USER}, rights={USER: allow_all})
    made.put(NODES, node_object("node-1"))
    made.put(LEASES, lease_object("malacoda", "node-1", renewed="2026-03-01T12:00:00.000000Z"))
    made.put(PODS, pod_object("loop", namespace="mine", node="node-1"))
    return made


@pytest.fixture(scope="module")
def running(api: FakeApi, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningInsight]:
    place = tmp_path_factory.mktemp("insight")
    certificates = issue_certificates(place / "certificates")
    tls = certificates["k40s-insight-tls"]
    port, probes, nobody = free_ports(3)
    with serving(api) as api_port:
        environment = {
            **{key: text for key, text in os.environ.items() if not key.startswith("K40S_")},
            "PYTHONPATH": str(ROOT),
            "K40S_HOST": "127.0.0.1",
            "K40S_PORT": str(port),
            "K40S_PROBE_PORT": str(probes),
            "K40S_THREADS": str(THREADS),
            "K40S_KUBECONFIG": str(write_kubeconfig(place / "kubeconfig", api_port)),
            "K40S_TLS_DIRECTORY": str(tls.cert.parent),
            "K40S_CLIENT_TLS_DIRECTORY": str(certificates["k40s-insight-client-tls"].cert.parent),
            "K40S_EXTENDER_SERVICE": "127.0.0.1",
            "K40S_EXTENDER_PORT": str(nobody),
        }
        process = subprocess.Popen([sys.executable, "-m", "insight"], env=environment)
        try:
            wait_until(lambda: is_ready(f"http://127.0.0.1:{probes}"))
            yield RunningInsight(port=port, tls=tls)
        finally:
            process.terminate()
            assert process.wait(60) == 0


def test_a_change_reaches_every_stream_while_more_are_open_than_threads(
    api: FakeApi, running: RunningInsight
) -> None:
    with (
        running.stream(token=USER) as first,
        running.stream(token=USER) as second,
        running.stream(token=USER) as third,
        running.stream(token=USER) as fourth,
    ):
        streams = (first, second, third, fourth)
        assert all(len(read_event(one)["pods"]) == 1 for one in streams)

        assert running.call("GET", "/v1/overview", token=USER)[0] == 200
        api.put(PODS, pod_object("next", namespace="mine"))

        assert all(len(read_event(one)["pods"]) == 2 for one in streams)


def test_a_closed_stream_frees_its_place(running: RunningInsight) -> None:
    for _ in range(12):
        with running.stream(token=USER) as stream:
            assert stream.status in (200, 429)
    wait_until(lambda: opens(running))


def opens(running: RunningInsight) -> bool:
    with running.stream(token=USER) as stream:
        return stream.status == 200


def test_a_story_is_told_while_the_extender_is_away(running: RunningInsight) -> None:
    place = "/v1/namespaces/mine/pods"

    status, told, _ = running.call("GET", f"{place}/loop/explanation", token=USER)
    away, error, _ = running.call("GET", f"{place}/next/explanation", token=USER)

    assert (status, told["running"]["node"]) == (200, "node-1")
    assert away in (404, 503), error


def test_a_body_above_the_limit_is_refused(running: RunningInsight) -> None:
    body = {"kind": "Pod", "metadata": {"annotations": {"a": "x" * (600 << 10)}}, "spec": {}}

    status, told, _ = running.call(
        "POST", "/v1/namespaces/mine/explanations", token=USER, body=body
    )

    assert (status, list(told)) == (413, ["error"])


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("STREAMS", "0", "K40S_STREAMS: found 0, expected 1 to 1000"),
        ("STREAMS_PER_USER", "65", "K40S_STREAMS_PER_USER: found 65, expected 1 to 64"),
        ("SESSION_LIFETIME", "59s", "expected 60s or longer"),
        ("THREADS", "0", "expected 1 to 256 threads"),
        ("EXTENDER_TIMEOUT", "0s", "K40S_EXTENDER_TIMEOUT"),
    ],
)
def test_settings_out_of_range_are_refused(name: str, text: str, complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint):
        read_settings(InsightSettings, {f"K40S_{name}": text})


def test_the_defaults_hold() -> None:
    found = read_settings(InsightSettings, {})

    assert (found.streams, found.token_audiences) == (64, ())
    assert found.thresholds.high == 14
    assert found.tls_directory == Path("/etc/k40s/tls")

"""The process as it is started, killed with -9, and started again."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from k40s.annotations import NETWORK_STATE_KEY
from k40s.annotations.network_state import BackEnd, parse_network_state
from k40s.http.client import HttpClient
from k40s.http.tls import TlsFiles
from k40s.network.reservations import format_reservations
from k40s.node_api.network_client import ScarmiglioneClient
from k40s.runtime.store import Store
from k40s.units import NS_PER_S, Nanoseconds
from localcluster.host.ports import free_ports
from tests.fakes.extender.process import ROOT, issue_certificates
from tests.fakes.rubicante.cluster import serving, write_kubeconfig
from tests.fakes.scarmiglione.cluster import StationCluster
from tests.fakes.scarmiglione.world import NET, NODE, ask, reservation, uid, window

PATIENCE = Nanoseconds(20 * NS_PER_S)
COMMAND = [sys.executable, "-m", "daemons.scarmiglione"]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, TlsFiles]:
    return issue_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def cluster() -> StationCluster:
    return StationCluster()


@pytest.fixture
def environment(
    tmp_path: Path, cluster: StationCluster, certificates: Mapping[str, TlsFiles]
) -> Iterator[dict[str, str]]:
    port, probes = free_ports(2)
    with serving(cluster) as url:
        yield {
            **{key: text for key, text in os.environ.items() if not key.startswith("K40S_")},
            "K40S_NODE_NAME": NODE,
            "K40S_POD_IP": "127.0.0.1",
            "K40S_NETWORK_BACK_END": "none",
            "K40S_STORE": str(tmp_path / "book"),
            "K40S_TLS_DIRECTORY": str(certificates["k40s-scarmiglione-tls"].cert.parent),
            "K40S_LISTEN_HOST": "127.0.0.1",
            "K40S_PORT": str(port),
            "K40S_PROBE_PORT": str(probes),
            "K40S_KUBECONFIG": str(write_kubeconfig(tmp_path / "kubeconfig", url)),
        }


@contextmanager
def running(environment: Mapping[str, str], cluster: StationCluster) -> Iterator[str]:
    """The process, once it has published; killed in the end with all of its children."""
    cluster.published.clear()
    with subprocess.Popen(COMMAND, cwd=ROOT, env=environment, start_new_session=True) as process:
        try:
            assert cluster.published.wait(120)
            yield f"https://127.0.0.1:{environment['K40S_PORT']}"
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def test_a_pods_channel_outlives_a_process_that_is_killed(
    environment: Mapping[str, str],
    cluster: StationCluster,
    certificates: Mapping[str, TlsFiles],
) -> None:
    cluster.reservations = format_reservations([reservation(1, window(100), window(400))])
    tls = certificates["k40s-extender-client-tls"]
    client = HttpClient(tls=tls, server_name="scarmiglione.k40s-system.svc", timeout=PATIENCE)
    station = ScarmiglioneClient(client)
    request = ask(1, window(100), window(400))

    with running(environment, cluster) as endpoint:
        first = station.apply(endpoint, request, attempt="a")
    state = parse_network_state(cluster.node["metadata"]["annotations"][NETWORK_STATE_KEY])
    cluster.node["metadata"]["annotations"].clear()
    with running(environment, cluster) as endpoint:
        document = json.loads(client.request("GET", f"{endpoint}/v1/state")[1])
        again = station.apply(endpoint, request, attempt="a")
    client.close()

    assert state.networks[NET].back_end is BackEnd.NONE
    assert state.networks[NET].health == "ok"
    assert first.schedulable
    assert again == first
    (held,) = document["pods"]
    assert (held["pod"]["uid"], held["phase"], held["confirmed"]) == (uid(1), "applied", True)
    assert not document["networks"][NET]["enforced"]


def test_a_damaged_book_ends_the_process_with_one_clear_line(
    environment: Mapping[str, str],
) -> None:
    store = Store(Path(environment["K40S_STORE"]))
    store.put("pod/x", "{}")
    store.close()

    ended = subprocess.run(
        COMMAND, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False
    )

    assert ended.returncode != 0
    assert "the store's entry of pod x is damaged" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_bad_settings_are_named_all_at_once(environment: Mapping[str, str]) -> None:
    bad = {**environment, "K40S_NETWORK_BACK_END": "rtnet", "K40S_LEASE": "5"}

    ended = subprocess.run(
        COMMAND, cwd=ROOT, env=bad, capture_output=True, text=True, timeout=600, check=False
    )

    assert ended.returncode != 0
    assert "K40S_NETWORK_BACK_END: found 'rtnet'" in ended.stderr
    assert "K40S_LEASE: found '5'" in ended.stderr

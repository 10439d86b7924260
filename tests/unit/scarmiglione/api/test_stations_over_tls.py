"""The extender's client and the station's API, over real mutual TLS on loopback."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from k40s.http.client import HttpClient
from k40s.http.tls import TlsFiles
from k40s.node_api.client import DaemonError
from k40s.node_api.network_client import ScarmiglioneClient
from k40s.reasons import Reason
from k40s.units import NS_PER_S, Nanoseconds
from localcluster.host.ports import free_ports
from tests.fakes.extender.process import ROOT, issue_certificates
from tests.fakes.scarmiglione.world import ask, uid, window

SERVER_NAME = "scarmiglione.k40s-system.svc"
PATIENCE = Nanoseconds(20 * NS_PER_S)
Connect = Callable[..., HttpClient]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, TlsFiles]:
    return issue_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def endpoint(certificates: Mapping[str, TlsFiles]) -> Iterator[str]:
    (port,) = free_ports(1)
    directory = certificates["k40s-scarmiglione-tls"].cert.parent
    command = [sys.executable, "-m", "tests.fakes.scarmiglione.process", str(port), str(directory)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield f"https://127.0.0.1:{port}"
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=120)


@pytest.fixture
def connect(certificates: Mapping[str, TlsFiles]) -> Iterator[Connect]:
    with ExitStack() as opened:

        def call_as(secret: str) -> HttpClient:
            client = HttpClient(tls=certificates[secret], server_name=SERVER_NAME, timeout=PATIENCE)
            opened.callback(client.close)
            return client

        yield call_as


@pytest.fixture
def extender(connect: Connect) -> HttpClient:
    return connect("k40s-extender-client-tls")


def pods_of(client: HttpClient, endpoint: str) -> list[str]:
    _, body = client.request("GET", f"{endpoint}/v1/state")
    return [one["pod"]["uid"] for one in json.loads(body)["pods"]]


def test_slots_are_set_up_once_and_taken_back(extender: HttpClient, endpoint: str) -> None:
    client = ScarmiglioneClient(extender)

    first = client.apply(endpoint, ask(1, window(100)), attempt="once", timeout=PATIENCE)
    again = client.apply(endpoint, ask(1, window(100)), attempt="once", timeout=PATIENCE)
    held = pods_of(extender, endpoint)
    client.withdraw(endpoint, uid(1), attempt="once", timeout=PATIENCE)
    client.withdraw(endpoint, uid(1), attempt="once", timeout=PATIENCE)

    assert first.schedulable
    assert again == first
    assert [one.channel for one in first.granted] == [2]
    assert held == [uid(1)]
    assert pods_of(extender, endpoint) == []


def test_a_withdrawal_that_overtakes_its_request_is_kept_over_tls(
    extender: HttpClient, endpoint: str
) -> None:
    client = ScarmiglioneClient(extender)

    client.withdraw(endpoint, uid(2), attempt="overtaken", timeout=PATIENCE)
    answer = client.apply(endpoint, ask(2, window(200)), attempt="overtaken", timeout=PATIENCE)

    assert answer.reason is Reason.POD_WITHDRAWN


def test_statuses_are_those_of_the_document(extender: HttpClient, endpoint: str) -> None:
    def put(body: bytes) -> int:
        return extender.request("PUT", f"{endpoint}/v1/slots/{uid(3)}?attempt=a", body)[0]

    good = (
        b'{"pod":{"uid":"%s","namespace":"default","name":"pod-3"},"slots":[{"network":"plant",'
        b'"windows":[{"offset":"300us","phase":0,"every":1,"length":"40us","payload":256}]}]}'
        % uid(3).encode()
    )

    assert [put(good), put(good), put(good.replace(b"300us", b"310us"))] == [201, 200, 409]
    assert put(good.replace(b'"300us"', b"300")) == 422
    assert put(b"{") == 422
    assert extender.request("DELETE", f"{endpoint}/v1/slots/{uid(3)}")[0] == 204
    assert extender.request("DELETE", f"{endpoint}/v1/slots/{uid(3)}?attempt=%20")[0] == 422
    assert extender.request("GET", f"{endpoint}/v1/slots")[0] == 404


def test_a_malformed_body_is_an_error_that_says_where(extender: HttpClient, endpoint: str) -> None:
    url = f"{endpoint}/v1/slots/{uid(4)}"

    status, body = extender.request("PUT", url, b'{"pod": 1, "slots": []}')

    assert status == 422
    assert json.loads(body)["path"] == "$.pod"


def test_another_component_may_not_call(connect: Connect, endpoint: str) -> None:
    scheduler = ScarmiglioneClient(connect("k40s-scheduler-tls"))

    with pytest.raises(DaemonError, match="status 403") as failure:
        scheduler.apply(endpoint, ask(5, window(500)), attempt="a", timeout=PATIENCE)

    assert failure.value.reason is Reason.NETWORK_STATION_REFUSED
    assert failure.value.certain


def test_a_peer_of_another_authority_is_not_trusted(
    certificates: Mapping[str, TlsFiles], endpoint: str, tmp_path: Path
) -> None:
    foreign = issue_certificates(tmp_path)["k40s-extender-client-tls"]
    client = HttpClient(tls=foreign, server_name=SERVER_NAME, timeout=PATIENCE)
    assert foreign.ca != certificates["k40s-scarmiglione-tls"].ca

    with pytest.raises(DaemonError) as failure:
        ScarmiglioneClient(client).apply(endpoint, ask(5, window(500)), attempt="a")

    assert (failure.value.reason, failure.value.certain) == (Reason.NETWORK_STATION_SILENT, True)
    client.close()


def test_where_nobody_listens_the_station_is_silent(extender: HttpClient) -> None:
    url = f"https://127.0.0.1:{free_ports(1)[0]}"

    with pytest.raises(DaemonError) as failure:
        ScarmiglioneClient(extender).apply(url, ask(5, window(500)), attempt="a")

    assert (failure.value.reason, failure.value.certain) == (Reason.NETWORK_STATION_SILENT, True)

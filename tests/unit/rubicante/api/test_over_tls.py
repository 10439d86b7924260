"""The extender's client and the daemon's API, over real mutual TLS on loopback."""

import json
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.analyze import analyze
from k40s.annotations import CRITICALITY_KEY, TASKS_KEY, UID_LENGTH, CpuState, format_cpu_state
from k40s.errors import UnavailableError
from k40s.http.client import HttpClient
from k40s.http.tls import TlsFiles, server_context
from k40s.node_api.client import DaemonError, RubicanteClient
from k40s.node_api.messages import PodRef, ReservationRequest
from k40s.reasons import Reason
from k40s.units import NS_PER_S, Nanoseconds
from localcluster.host.ports import free_ports
from tests.fakes.extender.process import ROOT, issue_certificates
from tests.fakes.rubicante.world import ask, node, task, uid

SERVER_NAME = "rubicante.k40s-system.svc"
PATIENCE = Nanoseconds(20 * NS_PER_S)


class Journal:
    """Passes calls on, and notes what was answered."""

    def __init__(self, client: HttpClient) -> None:
        self._client = client
        self.statuses: list[int] = []

    def request(
        self,
        method: str,
        url: str,
        body: bytes | None = None,
        *,
        timeout: Nanoseconds | None = None,
    ) -> tuple[int, bytes]:
        status, answer = self._client.request(method, url, body, timeout=timeout)
        self.statuses.append(status)
        return status, answer


Connect = Callable[..., Journal]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, TlsFiles]:
    return issue_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def endpoint(certificates: Mapping[str, TlsFiles]) -> Iterator[str]:
    (port,) = free_ports(1)
    directory = certificates["k40s-rubicante-tls"].cert.parent
    command = [sys.executable, "-m", "tests.fakes.rubicante.process", str(port), str(directory)]
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

        def call_as(secret: str, *, server_name: str = SERVER_NAME) -> Journal:
            client = HttpClient(
                tls=certificates[secret],
                server_name=server_name,
                timeout=Nanoseconds(20 * NS_PER_S),
            )
            opened.callback(client.close)
            return Journal(client)

        yield call_as


@pytest.fixture
def journal(connect: Connect) -> Journal:
    return connect("k40s-extender-client-tls")


def pods_of(journal: Journal, endpoint: str) -> list[str]:
    _, body = journal.request("GET", f"{endpoint}/v1/state")
    return [pod["uid"] for pod in json.loads(body)["pods"]]


def test_a_reservation_is_made_once_and_given_back(journal: Journal, endpoint: str) -> None:
    client = RubicanteClient(journal)

    first = client.reserve(endpoint, ask(1), attempt="once")
    again = client.reserve(endpoint, ask(1), attempt="once")
    client.withdraw(endpoint, uid(1), attempt="once", timeout=PATIENCE)
    client.withdraw(endpoint, uid(1), attempt="once", timeout=PATIENCE)

    assert journal.statuses == [201, 200, 204, 204]
    assert first.schedulable
    assert [held.container for held in first.granted] == ["main"]
    assert again == first
    assert uid(1) not in pods_of(journal, endpoint)


def test_the_client_reads_the_state_with_its_reservations(journal: Journal, endpoint: str) -> None:
    client = RubicanteClient(journal)
    client.reserve(endpoint, ask(1), attempt="held")

    state = client.read_state(endpoint, timeout=PATIENCE)
    client.withdraw(endpoint, uid(1), attempt="held", timeout=PATIENCE)

    assert state.complete
    assert uid(1)[:UID_LENGTH] in {held.pod_uid for held in state.node.reservations}


def test_a_withdrawal_that_overtakes_its_request_leaves_nothing(
    journal: Journal, endpoint: str
) -> None:
    client = RubicanteClient(journal)

    client.withdraw(endpoint, uid(1), attempt="overtaken", timeout=PATIENCE)
    answer = client.reserve(endpoint, ask(1), attempt="overtaken")

    assert journal.statuses == [204, 409]
    assert answer.reason is Reason.POD_WITHDRAWN
    assert uid(1) not in pods_of(journal, endpoint)


def test_a_pod_that_does_not_exist_is_refused(journal: Journal, endpoint: str) -> None:
    answer = RubicanteClient(journal).reserve(endpoint, ask(99), attempt="a1")

    assert journal.statuses == [409]
    assert answer.reason is Reason.POD_UNKNOWN
    assert uid(99) not in pods_of(journal, endpoint)


def test_a_pod_that_does_not_fit_is_refused_with_figures(journal: Journal, endpoint: str) -> None:
    answer = RubicanteClient(journal).reserve(endpoint, ask(2, task(wcet_ms=99)), attempt="a1")

    assert journal.statuses == [409]
    assert answer.reason is Reason.CPU_NO_BANDWIDTH
    assert answer.detail


def test_a_stale_generation_is_refused(journal: Journal, endpoint: str) -> None:
    answer = RubicanteClient(journal).reserve(endpoint, ask(3, generation=10_000), attempt="a1")

    assert journal.statuses == [409]
    assert answer.reason is Reason.CPU_STALE_GENERATION


def test_what_cannot_be_understood_is_an_error_that_says_where(
    journal: Journal, endpoint: str
) -> None:
    odd = ReservationRequest(
        pod=PodRef(uid="mirror-pod", namespace="default", name="pod-1"), workload=ask(1).workload
    )

    with pytest.raises(UnavailableError, match=r"status 422.*a UUID in lower case"):
        RubicanteClient(journal).reserve(endpoint, odd, attempt="a1")

    url = f"{endpoint}/v1/reservations/{uid(1)}"
    status, body = journal.request("PUT", url, b'{"pod": 1}')
    assert status == 422
    assert json.loads(body).keys() == {"error", "source", "path"}
    assert pods_of(journal, endpoint) == []


def test_another_component_of_ours_may_not_call(connect: Connect, endpoint: str) -> None:
    scheduler = connect("k40s-scheduler-tls")

    with pytest.raises(DaemonError, match="status 403") as failure:
        RubicanteClient(scheduler).reserve(endpoint, ask(4), attempt="a1")

    assert (failure.value.reason, failure.value.certain) == (Reason.CPU_DAEMON_FORBIDS, True)
    assert scheduler.statuses == [403]
    assert uid(4) not in pods_of(connect("k40s-extender-client-tls"), endpoint)


def test_a_server_of_another_name_is_not_asked(connect: Connect, endpoint: str) -> None:
    mistaken = connect("k40s-extender-client-tls", server_name="k40s-extender.k40s-system.svc")

    with pytest.raises(DaemonError, match="certificate verify failed") as failure:
        RubicanteClient(mistaken).reserve(endpoint, ask(5), attempt="a1")

    assert (failure.value.reason, failure.value.certain) == (Reason.CPU_DAEMON_UNTRUSTED, True)
    assert mistaken.statuses == []


def test_a_peer_of_another_authority_is_not_served(
    certificates: Mapping[str, TlsFiles], endpoint: str, tmp_path: Path
) -> None:
    foreign = issue_certificates(tmp_path)["k40s-extender-client-tls"]
    stranger = replace(foreign, ca=certificates["k40s-rubicante-tls"].ca)
    client = HttpClient(tls=stranger, server_name=SERVER_NAME, timeout=Nanoseconds(20 * NS_PER_S))

    with pytest.raises(DaemonError) as failure:
        RubicanteClient(client).reserve(endpoint, ask(5), attempt="a1")

    assert failure.value.reason is Reason.CPU_DAEMON_UNTRUSTED
    client.close()


def test_a_server_without_tls_is_not_trusted(journal: Journal) -> None:
    with socket.create_server(("127.0.0.1", 0)) as plain:
        thread = threading.Thread(target=_answer_in_clear, args=(plain,), daemon=True)
        thread.start()
        with pytest.raises(DaemonError) as failure:
            RubicanteClient(journal).reserve(_url(plain), ask(5), attempt="a1")
        thread.join(60)

    assert (failure.value.reason, failure.value.certain) == (Reason.CPU_DAEMON_UNTRUSTED, True)


def test_where_nobody_listens_the_daemon_is_silent(journal: Journal) -> None:
    url = f"https://127.0.0.1:{free_ports(1)[0]}"

    with pytest.raises(DaemonError) as failure:
        RubicanteClient(journal).reserve(url, ask(5), attempt="a1")

    assert (failure.value.reason, failure.value.certain) == (Reason.CPU_DAEMON_SILENT, True)


def test_who_takes_a_connection_and_says_nothing_is_busy(journal: Journal) -> None:
    """As a daemon that is stopped, or has no thread left: the kernel takes the connection."""
    with socket.create_server(("127.0.0.1", 0)) as mute, pytest.raises(DaemonError) as failure:
        RubicanteClient(journal).query_admission(
            _url(mute), ask(5), timeout=Nanoseconds(NS_PER_S // 5)
        )

    assert (failure.value.reason, failure.value.certain) == (Reason.CPU_DAEMON_BUSY, False)


def test_who_hangs_up_may_have_done_what_was_asked(
    certificates: Mapping[str, TlsFiles], journal: Journal
) -> None:
    context = server_context(certificates["k40s-rubicante-tls"])

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=_hang_up, args=(listening, context), daemon=True)
        thread.start()
        with pytest.raises(DaemonError) as failure:
            RubicanteClient(journal).reserve(_url(listening), ask(5), attempt="a1")
        thread.join(60)

    assert (failure.value.reason, failure.value.certain) == (Reason.CPU_DAEMON_SILENT, False)


def _url(listening: socket.socket) -> str:
    return f"https://127.0.0.1:{listening.getsockname()[1]}"


def _answer_in_clear(listening: socket.socket) -> None:
    connection, _ = listening.accept()
    with connection:
        connection.recv(1024)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


def _hang_up(listening: socket.socket, context: ssl.SSLContext) -> None:
    connection, _ = listening.accept()
    with context.wrap_socket(connection, server_side=True) as encrypted:
        encrypted.recv(65536)


@pytest.mark.parametrize(
    ("wcet", "status", "said"),
    [("5ms", 0, "would grant one/main "), ("99ms", 1, "one is refused, cpu.no-bandwidth")],
)
def test_analyze_asks_the_daemon_where_it_cannot_judge_by_itself(
    certificates: Mapping[str, TlsFiles],
    endpoint: str,
    tmp_path: Path,
    wcet: str,
    status: int,
    said: str,
) -> None:
    state = tmp_path / "state.json"
    known = node(platform="")
    state.write_text(
        format_cpu_state(
            CpuState(
                generation=3,
                test="my-test",
                mechanism="rt-cgroup",
                endpoint=endpoint,
                lease=Nanoseconds(30 * NS_PER_S),
                node=known,
                utilization=known.utilizations(),
                complete=True,
            )
        )
    )
    tasks = f'[{{"name": "t", "container": "main", "period": "100ms", "wcet": "{wcet}"}}]'
    annotations = {CRITICALITY_KEY: "LOW", TASKS_KEY: tasks}
    manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "one", "annotations": annotations},
        "spec": {"schedulerName": "k40s-scheduler", "containers": [{"name": "main"}]},
    }
    words = ["-", "--state", str(state)]
    directory = str(certificates["k40s-extender-client-tls"].cert.parent)

    unasked = CliRunner().invoke(analyze, words, input=json.dumps(manifest))
    asked = CliRunner().invoke(analyze, [*words, "--tls", directory], input=json.dumps(manifest))

    assert unasked.exit_code == 3
    assert "--tls DIRECTORY asks it" in unasked.stdout
    assert asked.exit_code == status
    assert said in asked.stdout

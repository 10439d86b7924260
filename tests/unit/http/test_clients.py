"""The JSON client, renewing TLS files, and the probe port, over loopback."""

import http.client
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter

from k40s.errors import UnavailableError
from k40s.http.client import HttpClient
from k40s.http.probes import ProbeServer
from k40s.http.tls import RenewingContext, TlsFiles, client_context, server_context
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds
from tests.unit.conftest import NamedFiles, issue_all, unpack

RUBICANTE = "rubicante.k40s-system.svc"


class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 20

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/silent":
            self.server.release.wait(120)  # type: ignore[attr-defined]  # set below
            self.close_connection = True
            return
        if self.path.startswith("/trickle"):
            head = b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"
            self.wfile.write(head if self.path == "/trickle-body" else b"HTTP/1.1 200 ")
            while not self.server.release.wait(0.02):  # type: ignore[attr-defined]  # as above
                self.wfile.write(b"x")
            return
        excess = {"/huge": 1 << 20, "/over": 9000}
        answer = b"x" * ((1 << 20) + excess[self.path]) if self.path in excess else body + b"!"
        self.send_response(409 if self.path == "/refused" else 201)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_DELETE = do_PUT  # noqa: N815  # the name that http.server calls

    def log_message(self, *_arguments: object) -> None:
        pass


class Listener(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_arguments: object) -> None:
        """A client that hangs up is part of the tests."""


@contextmanager
def echoing(files: TlsFiles) -> Iterator[str]:
    server = Listener(("127.0.0.1", 0), Echo)
    server.release = threading.Event()  # type: ignore[attr-defined]  # for /silent
    server.socket = server_context(files).wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_address[1]}"
    finally:
        server.release.set()  # type: ignore[attr-defined]  # as above
        server.shutdown()
        thread.join(timeout=120)
        server.server_close()


@pytest.fixture
def url(files: NamedFiles) -> Iterator[str]:
    with echoing(files("k40s-rubicante-tls")) as address:
        yield address


def make_client(files: TlsFiles, server_name: str = RUBICANTE) -> HttpClient:
    return HttpClient(tls=files, server_name=server_name, timeout=Nanoseconds(20 * NS_PER_S))


@pytest.fixture
def client(files: NamedFiles) -> Iterator[HttpClient]:
    made = make_client(files("k40s-extender-client-tls"))
    yield made
    made.close()


def test_calls_an_address_whose_certificate_carries_the_services_name(
    client: HttpClient, url: str
) -> None:
    assert client.request("PUT", f"{url}/x", b"body") == (201, b"body!")
    assert client.request("DELETE", f"{url}/refused") == (409, b"!")


def test_refuses_a_server_of_another_name(files: NamedFiles, url: str) -> None:
    client = make_client(files("k40s-extender-client-tls"), "k40s-extender.k40s-system.svc")

    with pytest.raises(UnavailableError, match="Hostname mismatch"):
        client.request("PUT", f"{url}/x", b"")


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        ("/silent", "timed out"),
        ("/trickle-body", "timed out|not complete in time"),
        ("/trickle-head", "timed out|not complete in time"),
        ("/huge", "above 1048576 bytes"),
    ],
)
def test_waits_and_reads_within_bounds(
    client: HttpClient, url: str, path: str, complaint: str
) -> None:
    limit = Nanoseconds((20_000 if path == "/huge" else 200) * NS_PER_MS)

    with pytest.raises(UnavailableError, match=complaint):
        client.request("PUT", url + path, b"", timeout=limit)


def test_the_rest_of_a_long_answer_is_not_taken_for_the_next(client: HttpClient, url: str) -> None:
    with pytest.raises(UnavailableError, match="above"):
        client.request("PUT", f"{url}/over")

    assert client.request("PUT", f"{url}/x", b"a") == (201, b"a!")


def test_a_peer_that_is_away_is_unavailable(client: HttpClient) -> None:
    with pytest.raises(UnavailableError, match=r"PUT https://127\.0\.0\.1:1/x"):
        client.request("PUT", "https://127.0.0.1:1/x", b"")


def test_presents_a_renewed_certificate_from_the_next_call_on(
    files: NamedFiles, client: HttpClient, tmp_path: Path, url: str
) -> None:
    mounted = files("k40s-extender-client-tls").cert.parent
    client.request("PUT", f"{url}/x", b"")
    issue_all(tmp_path / "renewed")
    unpack(tmp_path / "renewed" / "k40s-extender-client-tls.yaml", mounted)
    server = unpack(tmp_path / "renewed" / "k40s-rubicante-tls.yaml", tmp_path / "server")

    with echoing(server) as renewed:
        assert client.request("PUT", f"{renewed}/x", b"") == (201, b"!")
        client.close()


def test_keeps_its_context_until_the_files_change(files: NamedFiles, authority: Path) -> None:
    mounted = files("k40s-extender-tls")
    renewing = RenewingContext(mounted, server_context)
    first = renewing.get()

    again = renewing.get()
    unpack(authority / "k40s-extender-tls.yaml", mounted.cert.parent)

    assert again is first
    assert renewing.get() is not first


def test_keeps_its_context_while_the_files_do_not_fit_and_logs_each_cause_once(
    files: NamedFiles, caplog: pytest.LogCaptureFixture
) -> None:
    mounted = files("k40s-extender-tls")
    renewing = RenewingContext(mounted, client_context)
    first = renewing.get()

    mounted.key.write_bytes(files("k40s-rubicante-tls").key.read_bytes())
    mismatched = renewing.get()
    renewing.get()
    mounted.cert.unlink()
    renewing.get()

    assert mismatched is first
    assert renewing.get() is first
    assert caplog.messages == ["TLS files unusable, the former stay"] * 2


def test_cannot_begin_without_usable_files(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"TLS files beside .*tls\.crt"):
        RenewingContext(TlsFiles.in_directory(tmp_path), client_context)


@pytest.mark.parametrize("make", [server_context, client_context])
def test_contexts_demand_a_modern_peer_with_a_certificate(files: NamedFiles, make: object) -> None:
    assert callable(make)
    context = make(files("k40s-extender-tls"))

    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.verify_mode == ssl.CERT_REQUIRED


@contextmanager
def probing(trouble: str | None) -> Iterator[http.client.HTTPConnection]:
    registry = CollectorRegistry()
    Counter("k40s_things", "Things", registry=registry).inc()
    server = ProbeServer(host="127.0.0.1", port=0, registry=registry, ready=lambda: trouble)
    server.start()
    try:
        with closing(
            http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
        ) as connection:
            yield connection
    finally:
        server.stop()


def get(connection: http.client.HTTPConnection, path: str) -> tuple[int, bytes]:
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.read()


def test_the_probe_port_tells_health_readiness_and_metrics() -> None:
    with probing(None) as connection:
        assert get(connection, "/healthz")[0] == 200
        assert get(connection, "/readyz") == (200, b'{"ok": true, "trouble": null}')
        assert b"k40s_things_total 1.0" in get(connection, "/metrics")[1]
        assert get(connection, "/scheduler/filter")[0] == 404


def test_the_probe_port_says_what_is_missing() -> None:
    with probing("the cache is not synchronized") as connection:
        status, body = get(connection, "/readyz")

        assert status == 503
        assert json.loads(body)["trouble"] == "the cache is not synchronized"
        assert get(connection, "/healthz")[0] == 200

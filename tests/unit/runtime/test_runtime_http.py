"""A real gunicorn in a child process, called over real TLS on loopback."""

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from k40s.runtime.http import ServerSocket
from k40s.runtime.tls import TlsFiles, client_context
from tests.unit.runtime.conftest import NamedFiles, issue_all, unpack

SERVER_NAME = "k40s-extender.k40s-system.svc"
CHILD = """
import gc, json, os, pathlib, socket, sys
from k40s.runtime.http import peer_name, serve
from k40s.runtime.tls import TlsFiles

def app(environ, start_response):
    body = environ["wsgi.input"].read()
    connection = environ["gunicorn.socket"]
    told = {
        "pid": os.getpid(),
        "received": len(body),
        "peer": peer_name(connection),
        "timeout": connection.gettimeout(),
        "frozen": gc.get_freeze_count(),
        "no_delay": connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY),
    }
    answer = json.dumps(told).encode()
    start_response("200 OK", [("Content-Length", str(len(answer)))])
    return [answer]

def build():
    print("ready", flush=True)
    return app

def stopped():
    print("stopped", flush=True)

directory = sys.argv[2]
serve(
    build, host="127.0.0.1", port=int(sys.argv[1]),
    tls=TlsFiles.in_directory(pathlib.Path(directory)) if directory else None,
    allowed_clients=frozenset({"k40s-scheduler"}), threads=2, max_body=1000, on_stop=stopped,
)
"""


@dataclass
class Server:
    port: int
    process: subprocess.Popen[str]
    open: ExitStack

    def connect(self, tls: TlsFiles) -> http.client.HTTPSConnection:
        return self.connect_with(client_context(tls))

    def connect_with(self, context: ssl.SSLContext) -> http.client.HTTPSConnection:
        connection = http.client.HTTPSConnection("127.0.0.1", self.port)
        raw = socket.create_connection(("127.0.0.1", self.port), timeout=120)
        self.open.callback(raw.close)
        connection.sock = context.wrap_socket(raw, server_hostname=SERVER_NAME)
        self.open.callback(connection.sock.close)
        return connection


@contextmanager
def serving(directory: Path | None) -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0)) as chosen:
        port = chosen.getsockname()[1]
    environ = os.environ | {"WEB_CONCURRENCY": "4"}
    command = [sys.executable, "-c", CHILD, str(port), str(directory or "")]
    with (
        subprocess.Popen(
            command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process,
        ExitStack() as opened,
    ):
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield Server(port, process, opened)
        finally:
            opened.close()
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=120)


@pytest.fixture(scope="module")
def running(authority: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    mounted = tmp_path_factory.mktemp("mounted")
    unpack(authority / "k40s-extender-tls.yaml", mounted)
    with serving(mounted) as started:
        yield started


@pytest.fixture
def server(running: Server) -> Iterator[Server]:
    """The one server of this module; a test's connections to it are closed."""
    with ExitStack() as opened:
        yield Server(running.port, running.process, opened)


@contextmanager
def unhandshaken(raw: socket.socket) -> Iterator[ssl.SSLSocket]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sslsocket_class = ServerSocket
    with context.wrap_socket(raw, server_side=True, do_handshake_on_connect=False) as wrapped:
        yield wrapped


def ask(connection: http.client.HTTPConnection, body: bytes = b"") -> tuple[int, dict[str, object]]:
    connection.request("POST", "/", body)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def test_serves_the_client_that_is_on_the_list(server: Server, files: NamedFiles) -> None:
    connection = server.connect(files("k40s-scheduler-tls"))

    status, told = ask(connection, b"x" * 1000)

    assert status == 200
    assert told["peer"] == "k40s-scheduler"
    assert told["received"] == 1000


def test_refuses_a_client_of_our_authority_that_is_not_on_the_list(
    server: Server, files: NamedFiles
) -> None:
    connection = server.connect(files("k40s-extender-client-tls"))

    status, told = ask(connection)

    assert status == 403
    assert told == {"error": "this client may not call this"}


def test_refuses_a_client_without_certificate(server: Server, files: NamedFiles) -> None:
    anonymous = ssl.create_default_context(cafile=str(files("k40s-scheduler-tls").ca))

    with pytest.raises(OSError, match=r"certificate required|reset|closed|EOF"):
        ask(server.connect_with(anonymous))


def test_refuses_a_server_certificate_as_a_client(server: Server, files: NamedFiles) -> None:
    stolen = files("k40s-rubicante-tls")

    with pytest.raises(OSError, match=r"unsupported certificate|reset|closed|EOF"):
        ask(server.connect(stolen))


def test_refuses_the_right_name_from_another_authority(
    server: Server, files: NamedFiles, other_authority: Path, tmp_path: Path
) -> None:
    foreign = unpack(other_authority / "k40s-scheduler-tls.yaml", tmp_path / "foreign")
    mixed = TlsFiles(cert=foreign.cert, key=foreign.key, ca=files("k40s-scheduler-tls").ca)

    with pytest.raises(OSError, match=r"unknown ca|decrypt error|reset|closed|EOF"):
        ask(server.connect(mixed))


def test_refuses_tls_below_1_2(server: Server, files: NamedFiles) -> None:
    old = client_context(files("k40s-scheduler-tls"))
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        old.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1

    with pytest.raises(OSError, match=r"protocol version|alert|reset|closed|EOF"):
        server.connect_with(old)


def test_keeps_the_connection_and_the_one_process(server: Server, files: NamedFiles) -> None:
    connection = server.connect(files("k40s-scheduler-tls"))
    socket_used = connection.sock

    told = [ask(connection)[1] for _ in range(5)]

    assert connection.sock is socket_used
    assert len({one["pid"] for one in told}) == 1
    assert told[0]["pid"] == ask(server.connect(files("k40s-scheduler-tls")))[1]["pid"]


def test_the_workers_collector_leaves_the_masters_memory_alone(
    server: Server, files: NamedFiles
) -> None:
    connection = server.connect(files("k40s-scheduler-tls"))

    assert ask(connection)[1]["frozen"] != 0


def test_never_waits_for_a_peer_without_end(server: Server, files: NamedFiles) -> None:
    connection = server.connect(files("k40s-scheduler-tls"))

    assert ask(connection)[1]["timeout"] == 10.0


def test_takes_a_stalled_peer_for_gone() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, unhandshaken(ours) as connection:
        connection.settimeout(0.01)

        assert connection.recv(1) == b""


def test_sends_at_once_what_it_has_to_say(server: Server, files: NamedFiles) -> None:
    connection = server.connect(files("k40s-scheduler-tls"))

    assert ask(connection)[1]["no_delay"] == 1


def test_refuses_a_body_above_the_limit(server: Server, files: NamedFiles) -> None:
    connection = server.connect(files("k40s-scheduler-tls"))

    status, told = ask(connection, b"x" * 1001)

    assert status == 413
    assert told == {"error": "the body is larger than 1000 bytes"}


@pytest.mark.parametrize(("size", "status"), [(1000, 200), (1001, 413), (100_000, 413)])
def test_bounds_a_chunked_body(server: Server, files: NamedFiles, size: int, status: int) -> None:
    connection = server.connect(files("k40s-scheduler-tls"))

    connection.request("POST", "/", iter([b"x" * size]), encode_chunked=True)

    assert connection.getresponse().status == status


def test_uses_renewed_files_for_new_connections(files: NamedFiles, tmp_path: Path) -> None:
    mounted = files("k40s-extender-tls").cert.parent
    with serving(mounted) as running:
        before = running.connect(files("k40s-scheduler-tls"))
        issue_all(tmp_path / "renewed")
        unpack(tmp_path / "renewed" / "k40s-extender-tls.yaml", mounted)
        renewed = unpack(tmp_path / "renewed" / "k40s-scheduler-tls.yaml", tmp_path / "client")

        after = running.connect(renewed)

        assert ask(after)[0] == 200
        assert ask(before)[0] == 200


def test_stops_in_order_when_told_to(files: NamedFiles) -> None:
    with serving(files("k40s-extender-tls").cert.parent) as running:
        running.process.send_signal(signal.SIGTERM)
        output, errors = running.process.communicate(timeout=120)

    assert (running.process.returncode, output, errors) == (0, "stopped\n", "")


def test_serves_without_tls_where_asked() -> None:
    with serving(None) as running:
        plain = http.client.HTTPConnection("127.0.0.1", running.port, timeout=120)

        with closing(plain):
            status, told = ask(plain)

    assert status == 200
    assert told["peer"] is None

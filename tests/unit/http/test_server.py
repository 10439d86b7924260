"""A real gunicorn in a child process, called over real TLS on loopback."""

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import gunicorn
import pytest

from k40s.http.client import HttpClient
from k40s.http.gunicorn_worker import GUNICORN_MAJOR
from k40s.http.listening import has_ipv6
from k40s.http.tls import TlsFiles, client_context
from k40s.units import NS_PER_S, Nanoseconds
from localcluster.host.ports import free_ports
from tests.unit.conftest import NamedFiles, issue_all, unpack

ROOT = Path(__file__).parents[3]

needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this system has no IPv6")
_AT_MOST = 4
"""Threads of the child: the main one, the accept loop and two that answer."""
SERVER_NAME = "k40s-extender.k40s-system.svc"
CHILD = """
import gc, json, os, pathlib, resource, socket, sys
from k40s.http.connections.handshake import peer_name
from k40s.http.server import serve
from k40s.http.tls import TlsFiles

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

directory, host, files = sys.argv[2:5]
if files != "0":
    resource.setrlimit(resource.RLIMIT_NOFILE, (int(files), int(files)))
serve(
    build, host=host, port=int(sys.argv[1]),
    tls=TlsFiles.in_directory(pathlib.Path(directory)) if directory else None,
    allowed_clients=frozenset({"k40s-scheduler"}), threads=2, max_body=1000, on_stop=stopped,
)
"""


@dataclass
class Server:
    port: int
    process: subprocess.Popen[str]
    open: ExitStack

    def reach(self, address: str = "127.0.0.1") -> socket.socket:
        raw = socket.create_connection((address, self.port), timeout=120)
        self.open.callback(raw.close)
        return raw

    def connect(self, tls: TlsFiles) -> http.client.HTTPConnection:
        return self.connect_with(client_context(tls))

    def connect_with(
        self, context: ssl.SSLContext, address: str = "127.0.0.1"
    ) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(address, self.port)
        raw = self.reach(address)
        connection.sock = context.wrap_socket(raw, server_hostname=SERVER_NAME)
        self.open.callback(connection.sock.close)
        return connection

    def threads(self) -> int:
        """Of the worker, the only child."""
        task = Path(f"/proc/{self.process.pid}/task/{self.process.pid}")
        (child,) = (task / "children").read_text().split()
        return len(list(Path(f"/proc/{child}/task").iterdir()))


@contextmanager
def serving(directory: Path | None, *, host: str = "127.0.0.1", files: int = 0) -> Iterator[Server]:
    (port,) = free_ports(1)
    environ = os.environ | {"WEB_CONCURRENCY": "4"}
    command = [sys.executable, "-c", CHILD, str(port), str(directory or ""), host, str(files)]
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


def test_never_waits_for_a_peer(server: Server, files: NamedFiles) -> None:
    connection = server.connect(files("k40s-scheduler-tls"))

    assert ask(connection)[1]["timeout"] == 0.0


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


def hello(context: ssl.SSLContext) -> bytes:
    """A TLS client's first message."""
    inward, outward = ssl.MemoryBIO(), ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        context.wrap_bio(inward, outward, server_hostname=SERVER_NAME).do_handshake()
    return outward.read()


@pytest.mark.parametrize("part", ["nothing", "half a hello", "a hello", "junk"])
def test_connections_that_prove_nothing_hold_up_nobody(
    server: Server, files: NamedFiles, part: str
) -> None:
    tls = files("k40s-scheduler-tls")
    kept = server.connect(tls)
    ask(kept)
    first = hello(client_context(tls))
    said = {"nothing": b"", "half a hello": first[:100], "a hello": first, "junk": b"GET / HTTP/1"}
    before = server.threads()

    for _ in range(300):
        server.reach().sendall(said[part])

    assert ask(kept)[0] == 200
    assert ask(server.connect(tls))[0] == 200
    assert server.threads() <= max(before, _AT_MOST)


@pytest.mark.parametrize(
    "said", [b"", b"POST / HT", b"POST / HTTP/1.1\r\nContent-Length: 900\r\n\r\nhalf"]
)
def test_half_requests_of_known_clients_hold_no_thread(
    server: Server, files: NamedFiles, said: bytes
) -> None:
    tls = files("k40s-scheduler-tls")
    for _ in range(10):
        server.connect(tls).sock.sendall(said)

    assert ask(server.connect(tls))[0] == 200


def test_a_client_that_is_not_on_the_list_gets_its_answer_only_for_a_request(
    server: Server, files: NamedFiles
) -> None:
    connection = server.connect(files("k40s-extender-client-tls"))
    connection.sock.sendall(b"POST / HTTP/1.1\r\n")
    connection.sock.settimeout(0.05)
    with pytest.raises(TimeoutError):
        connection.sock.recv(1)
    connection.sock.settimeout(120)

    connection.sock.sendall(b"\r\n")

    assert connection.sock.recv(100).startswith(b"HTTP/1.1 403 Forbidden\r\n")


def test_serves_its_client_when_files_are_few(files: NamedFiles) -> None:
    tls = files("k40s-scheduler-tls")
    with serving(files("k40s-extender-tls").cert.parent, files=64) as running:
        kept = running.connect(tls)
        assert ask(kept)[0] == 200
        for _ in range(200):
            running.reach()

        assert ask(kept)[0] == 200
        assert ask(running.connect(tls))[0] == 200


@needs_ipv6
@pytest.mark.parametrize(
    ("host", "addresses"),
    [("::", ["127.0.0.1", "::1"]), ("::1", ["::1"]), ("localhost", ["127.0.0.1"])],
)
def test_serves_at_addresses_of_both_families(
    files: NamedFiles, host: str, addresses: list[str]
) -> None:
    context = client_context(files("k40s-scheduler-tls"))
    with serving(files("k40s-extender-tls").cert.parent, host=host) as running:
        for address in addresses:
            assert ask(running.connect_with(context, address))[0] == 200


@needs_ipv6
def test_a_daemon_is_called_at_its_ipv6_address(files: NamedFiles) -> None:
    with serving(files("k40s-extender-tls").cert.parent, host="::1") as running:
        client = HttpClient(
            tls=files("k40s-scheduler-tls"),
            server_name=SERVER_NAME,
            timeout=Nanoseconds(120 * NS_PER_S),
        )
        with closing(client):
            status, _ = client.request("POST", f"https://[::1]:{running.port}/", b"x")

    assert status == 200


def test_says_in_one_line_that_it_cannot_listen(files: NamedFiles) -> None:
    directory = files("k40s-extender-tls").cert.parent

    ended = subprocess.run(
        [sys.executable, "-c", CHILD, "8443", str(directory), "192.0.2.1", "0"],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )

    assert ended.returncode != 0
    assert ended.stderr.splitlines()[-1].endswith(
        "cannot listen at 192.0.2.1:8443: Cannot assign requested address"
    )


def test_gunicorn_is_of_the_major_version_whose_internals_are_used() -> None:
    installed = gunicorn.version_info[0]

    assert installed == GUNICORN_MAJOR, (
        f"gunicorn {gunicorn.__version__} is installed, and k40s uses internals of version"
        f" {GUNICORN_MAJOR}: compare its Worker, RequestParser, Response and create() with"
        " k40s/http/gunicorn_worker.py and k40s/http/connections/wsgi_adapter.py, then set"
        " GUNICORN_MAJOR and the bound in pyproject.toml"
    )


def test_the_package_is_bound_to_that_major_version_of_gunicorn() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    bounds = [need for need in project["dependencies"] if need.startswith("gunicorn")]

    assert bounds == [f"gunicorn>={GUNICORN_MAJOR},<{GUNICORN_MAJOR + 1}"]

"""The probe port, with real sockets on loopback."""

import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter

from k40s.errors import UnavailableError
from k40s.http.listening import Host, has_ipv6
from k40s.http.probes import ProbeServer

needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this system has no IPv6")


@contextmanager
def probing(host: str = "127.0.0.1", limit: int = 20) -> Iterator[ProbeServer]:
    registry = CollectorRegistry()
    Counter("k40s_things", "Things", registry=registry).inc()
    server = ProbeServer(host=Host(host), port=0, registry=registry, limit=limit, timeout=60)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def reach(server: ProbeServer, address: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection((address, server.port), timeout=60)


def get(server: ProbeServer, path: str, address: str = "127.0.0.1") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(address, server.port, timeout=60)
    with closing(connection):
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()


@pytest.mark.parametrize("said", [b"", b"GET /heal", b"GET /metrics HTTP/1.1\r\nA: b\r\n"])
def test_answers_while_many_connections_say_nothing_or_half(said: bytes) -> None:
    with probing() as server, ExitStack() as undo:
        threads = threading.active_count()
        for _ in range(200):
            undo.enter_context(reach(server)).sendall(said)

        assert get(server, "/healthz")[0] == 200
        assert get(server, "/readyz")[0] == 200
        assert b"k40s_things_total 1.0" in get(server, "/metrics")[1]
        assert threading.active_count() == threads
        assert len(server) <= 20


def test_answers_while_answers_are_not_read() -> None:
    with probing() as server, ExitStack() as undo:
        for _ in range(30):
            undo.enter_context(reach(server)).sendall(b"GET /metrics HTTP/1.1\r\n\r\n")

        assert get(server, "/healthz")[0] == 200


def test_a_client_that_has_said_its_last_word_is_still_answered() -> None:
    with probing() as server, reach(server) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
        client.shutdown(socket.SHUT_WR)

        assert client.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"\r\n\r\n", b"400"),
        (b"\x16\x03\x01\r\n\r\n", b"400"),
        (b"GET  /healthz HTTP/1.1\r\n\r\n", b"400"),
        (b"x" * 9000, b"400"),
        (b"POST /healthz HTTP/1.1\r\n\r\n", b"405"),
        (b"GET /scheduler/filter HTTP/1.1\r\n\r\n", b"404"),
        (b"GET /metrics?name=a HTTP/1.1\r\n\r\n", b"200"),
        (b"GET /healthz HTTP/1.1\r\n\r\nGET /healthz HTTP/1.1\r\n\r\n", b"200"),
    ],
)
def test_each_connection_gets_one_answer(said: bytes, status: bytes) -> None:
    with probing() as server, reach(server) as client:
        client.sendall(said)

        answer = b""
        while received := client.recv(4096):
            answer += received

    assert answer.split(b" ", 2)[1] == status
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"\r\nConnection: close\r\n" in answer


@needs_ipv6
@pytest.mark.parametrize(
    ("host", "addresses"),
    [
        ("::", ["127.0.0.1", "::1"]),
        ("::1", ["::1"]),
        ("0.0.0.0", ["127.0.0.1"]),  # noqa: S104  # that is what is tested
        ("localhost", ["127.0.0.1"]),
    ],
)
def test_probes_are_answered_at_addresses_of_both_families(host: str, addresses: list[str]) -> None:
    with probing(host) as server:
        assert [get(server, "/healthz", address)[0] for address in addresses] == [200] * len(
            addresses
        )


def test_says_where_it_cannot_listen() -> None:
    with pytest.raises(UnavailableError, match=r"cannot listen at 192\.0\.2\.1:8444"):
        ProbeServer(host=Host("192.0.2.1"), port=8444, registry=CollectorRegistry())


def test_frees_port_and_files_when_it_stops() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with probing() as server:
        assert get(server, "/healthz")[0] == 200

    assert len(list(Path("/proc/self/fd").iterdir())) == before

"""The server's worker: one write per response, and threads that stay with a busy connection."""

import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from gunicorn.config import Config

from k40s.runtime.worker import BusyConnectionWorker, OneWriteResponse


class Recording:
    """A socket that remembers its writes."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []

    def sendall(self, data: bytes) -> None:
        self.writes.append(data)


def respond(sock: Recording, method: str = "POST") -> OneWriteResponse:
    request: Any = SimpleNamespace(method=method, version=(1, 1), should_close=lambda: False)
    connected: Any = sock
    return OneWriteResponse(request, connected, Config())


def test_head_and_body_are_one_write() -> None:
    sock = Recording()
    response = respond(sock)

    response.start_response("200 OK", [("Content-Length", "2"), ("Content-Type", "text/plain")])
    response.write(b"ok")
    response.close()

    (written,) = sock.writes
    head, _, body = written.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\nDate: ")
    assert b"\r\nConnection: keep-alive\r\nContent-Length: 2\r\n" in head
    assert body == b"ok"


def test_a_response_without_a_body_is_one_write() -> None:
    sock = Recording()
    response = respond(sock)

    response.start_response("204 No Content", [])
    response.close()

    assert len(sock.writes) == 1
    assert sock.writes[0].endswith(b"\r\n\r\n")


def test_a_body_of_unknown_length_is_chunked() -> None:
    sock = Recording()
    response = respond(sock)

    response.start_response("200 OK", [])
    response.write(b"ab")
    response.write(b"c")
    response.close()

    head, _, body = b"".join(sock.writes).partition(b"\r\n\r\n")
    assert b"Transfer-Encoding: chunked" in head
    assert body == b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"


def test_a_longer_body_follows_the_first_write() -> None:
    sock = Recording()
    response = respond(sock)

    response.start_response("200 OK", [("Content-Length", "3")])
    response.write(b"ab")
    response.write(b"c")
    response.close()

    assert sock.writes[0].endswith(b"\r\n\r\nab")
    assert sock.writes[1:] == [b"c"]


@pytest.fixture
def worker() -> BusyConnectionWorker:
    config = Config()
    config.set("threads", 2)
    app = SimpleNamespace(wsgi=lambda: None)
    made = BusyConnectionWorker(0, 0, [], app, 30, config, SimpleNamespace())
    made.tmp.close()
    return made


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    near, far = socket.socketpair()
    with near, far:
        yield near, far


def connection(sock: object, buffered: bytes = b"") -> SimpleNamespace:
    unreader = SimpleNamespace(buf=SimpleNamespace(getvalue=lambda: buffered))
    return SimpleNamespace(sock=sock, parser=SimpleNamespace(unreader=unreader))


def test_a_connection_with_another_request_is_asked_again(
    worker: BusyConnectionWorker, pair: tuple[socket.socket, socket.socket]
) -> None:
    near, far = pair
    far.sendall(b"P")

    assert worker.is_asked_again(connection(near))


def test_a_silent_connection_goes_back(
    worker: BusyConnectionWorker, pair: tuple[socket.socket, socket.socket]
) -> None:
    assert not worker.is_asked_again(connection(pair[0]))


def test_a_request_that_was_read_ahead_counts(worker: BusyConnectionWorker) -> None:
    assert worker.is_asked_again(connection(None, b"POST"))


def test_what_tls_has_decrypted_counts(worker: BusyConnectionWorker) -> None:
    assert worker.is_asked_again(connection(SimpleNamespace(pending=lambda: 5)))


def test_a_worker_that_stops_waits_for_nobody(worker: BusyConnectionWorker) -> None:
    worker.alive = False

    assert not worker.is_asked_again(connection(None, b"POST"))


def test_a_closed_connection_is_not_asked_again(
    worker: BusyConnectionWorker, pair: tuple[socket.socket, socket.socket]
) -> None:
    pair[0].close()

    assert not worker.is_asked_again(connection(pair[0]))


def test_half_of_the_threads_stay_free(
    worker: BusyConnectionWorker, pair: tuple[socket.socket, socket.socket]
) -> None:
    near, far = pair
    far.sendall(b"P")
    answers: list[bool] = []

    def pending() -> int:
        answers.append(worker.is_asked_again(connection(near)))
        return 1

    worker.is_asked_again(connection(SimpleNamespace(pending=pending)))

    assert answers == [False]

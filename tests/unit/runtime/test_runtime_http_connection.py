import socket
import time
from collections.abc import Iterator

import pytest

from k40s.runtime.http_connection import Connection, Head, ProtocolError, format_request
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds

OK = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture
def ends() -> Iterator[tuple[Connection, socket.socket]]:
    ours, theirs = socket.socketpair()
    connection = Connection(ours)
    connection.set_deadline(time.monotonic_ns() + 20 * NS_PER_S)
    yield connection, theirs
    connection.close()
    theirs.close()


def test_writes_a_request_at_once() -> None:
    sent = format_request("POST", "/a?b=c", {"Host": "h", "Accept": "x"}, b"{}")

    assert sent == b"POST /a?b=c HTTP/1.1\r\nHost: h\r\nAccept: x\r\nContent-Length: 2\r\n\r\n{}"


@pytest.mark.parametrize("target", ["", "a", "/a b", "/a\r\nX: y", "/ä"])
def test_refuses_a_path_that_would_be_more(target: str) -> None:
    with pytest.raises(ValueError, match="not a path"):
        format_request("GET", target, {}, None)


def test_refuses_a_header_that_would_be_more() -> None:
    with pytest.raises(ValueError, match="header"):
        format_request("GET", "/", {"Authorization": "Bearer a\r\nX: y"}, None)


@pytest.mark.parametrize(
    ("answer", "body", "kept"),
    [
        (OK + b"Content-Length: 3\r\n\r\nabc", b"abc", True),
        (OK + b"content-length:3\r\nConnection: close\r\n\r\nabc", b"abc", False),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\nA;x\r\n0123456789\r\n0\r\nT: t\r\n\r\n",
         b"a0123456789", True),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", b"", True),
        (b"HTTP/1.0 200\r\nContent-Length: 1\r\n\r\na", b"a", False),
        (OK + b"\r\nto the end", b"to the end", False),
    ],
    ids=["length", "close", "chunks", "promise and no body", "old", "end"],
)  # fmt: skip
@pytest.mark.parametrize("piece", [1, 1000])
def test_reads_an_answer_however_it_comes(
    ends: tuple[Connection, socket.socket], answer: bytes, body: bytes, kept: bool, piece: int
) -> None:
    connection, peer = ends
    for start in range(0, len(answer), piece):
        peer.send(answer[start : start + piece])
    if body == b"to the end":
        peer.shutdown(socket.SHUT_WR)

    head = connection.read_head()

    assert connection.read_body(head, longest=100) == body
    assert head.kept is kept
    assert not kept or connection.is_idle()


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 99 no\r\n\r\n",
        OK + b"no colon\r\n\r\n",
        OK + b"Content-Length: -1\r\n\r\n",
        OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        OK + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        OK + b"Transfer-Encoding: gzip\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
        OK + b"Content-Length: 101\r\n\r\n" + b"x" * 101,
        OK + b"Content-Length: 5\r\n\r\nabc",
        OK + b"X: " + b"x" * 70_000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 20,
        b"",
    ],
)
def test_refuses_what_is_not_as_agreed(
    ends: tuple[Connection, socket.socket], answer: bytes
) -> None:
    connection, peer = ends
    peer.sendall(answer)
    peer.shutdown(socket.SHUT_WR)

    with pytest.raises(ProtocolError):
        connection.read_body(connection.read_head(), longest=100)


def test_waits_no_longer_than_told_for_a_peer_that_trickles(
    ends: tuple[Connection, socket.socket],
) -> None:
    connection, peer = ends
    peer.sendall(OK + b"Content-Length: 9\r\n\r\na")
    head = connection.read_head()
    connection.set_deadline(time.monotonic_ns() + 20 * NS_PER_MS)

    with pytest.raises(TimeoutError):
        connection.read_body(head, longest=100)

    connection.set_silence(Nanoseconds(20 * NS_PER_MS))
    with pytest.raises(TimeoutError):
        list(connection.read_parts(Head(status=200, length=9, chunked=False, kept=True)))


def test_a_connection_that_was_ended_or_says_more_is_not_idle(
    ends: tuple[Connection, socket.socket],
) -> None:
    connection, peer = ends
    assert connection.is_idle()

    peer.close()

    assert not connection.is_idle()

"""One whole request to one whole response, by gunicorn's parser and a WSGI application."""

import socket
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from gunicorn.config import Config

from k40s.http.connections.wsgi_adapter import handle_request

SEEN: list[dict[str, Any]] = []


def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:  # noqa: ANN401  # WSGI
    SEEN.append(environ)
    body = environ["wsgi.input"].read()
    match environ["PATH_INFO"]:
        case "/length":
            start_response("200 OK", [("Content-Length", str(len(body)))])
            return [body[:2], body[2:]]
        case "/pieces":
            start_response("200 OK", [])
            return [b"ab", b"c"]
        case "/nothing":
            start_response("204 No Content", [])
            return []
        case "/fault":
            start_response("200 OK", [])
            raise ZeroDivisionError
        case _:
            start_response("404 Not Found", [("Content-Length", "0")])
            return []


@pytest.fixture
def pair() -> Iterator[socket.socket]:
    near, far = socket.socketpair()
    SEEN.clear()
    with near, far:
        yield near


def ask(pair: socket.socket, request: bytes, *, keep: bool = True) -> tuple[bytes, bytes, bool]:
    """Head, body, whether the connection is kept."""
    response, kept = handle_request(app, Config(), request, pair, ("::1", 4711, 0, 0), keep=keep)
    head, _, body = response.partition(b"\r\n\r\n")
    return head, body, kept


def post(path: str, body: bytes = b"", *fields: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *fields, "", ""]
    return "\r\n".join(lines).encode() + body


def test_the_response_is_whole_and_does_not_say_what_serves(pair: socket.socket) -> None:
    head, body, kept = ask(pair, post("/length", b"hello"))

    assert head.startswith(b"HTTP/1.1 200 OK\r\nDate: ")
    assert b"\r\nConnection: keep-alive\r\nContent-Length: 5" in head
    assert b"Server" not in head
    assert (body, kept) == (b"hello", True)


def test_a_response_without_a_body_has_none(pair: socket.socket) -> None:
    head, body, kept = ask(pair, post("/nothing"))

    assert head.startswith(b"HTTP/1.1 204 No Content\r\n")
    assert (body, kept) == (b"", True)


def test_a_body_of_unknown_length_is_chunked(pair: socket.socket) -> None:
    head, body, _ = ask(pair, post("/pieces"))

    assert b"Transfer-Encoding: chunked" in head
    assert body == b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"


def test_reads_a_chunked_body(pair: socket.socket) -> None:
    head = b"POST /length HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"

    assert ask(pair, head + b"5\r\nhello\r\n0\r\n\r\n")[1] == b"hello"


@pytest.mark.parametrize(
    ("request_", "keep"),
    [
        (post("/length", b"x"), False),
        (post("/length", b"x", "Connection: close"), True),
        (b"GET /length HTTP/1.0\r\n\r\n", True),
    ],
)
def test_says_that_the_connection_ends(pair: socket.socket, request_: bytes, keep: bool) -> None:
    head, _, kept = ask(pair, request_, keep=keep)

    assert b"\r\nConnection: close" in head
    assert not kept


def test_the_application_sees_its_peer_and_its_connection(pair: socket.socket) -> None:
    ask(pair, post("/length"))

    (environ,) = SEEN
    assert (environ["REMOTE_ADDR"], environ["REMOTE_PORT"]) == ("::1", "4711")
    assert environ["gunicorn.socket"] is pair


def test_a_fault_of_the_application_is_answered_and_logged(
    pair: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    head, body, kept = ask(pair, post("/fault"))

    assert head.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert (body, kept) == (b'{"error": "internal error"}', False)
    assert caplog.records[0].message == "request failed"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET / HTTP/9.9\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n", b"400"),
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n", b"414"),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n", b"431"),
        (b"GET / HTTP/1.1\r\nExpect: miracles\r\n\r\n", b"417"),
    ],
)
def test_what_is_no_request_is_refused_without_the_application(
    pair: socket.socket, request_: bytes, status: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    head, _, kept = ask(pair, request_)

    assert head.split(b" ")[1] == status
    assert (kept, SEEN, caplog.records) == (False, [], [])


def test_says_to_go_on_only_where_the_body_is_waited_for(pair: socket.socket) -> None:
    head, body, _ = ask(pair, post("/length", b"hello", "Expect: 100-continue"))

    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert body == b"hello"

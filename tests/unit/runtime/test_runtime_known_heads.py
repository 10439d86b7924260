import socket
from collections.abc import Iterator
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.http.errors import InvalidHeader, InvalidHeaderName, InvalidHTTPVersion
from gunicorn.http.parser import RequestParser
from gunicorn.http.wsgi import create

from k40s.runtime.known_heads import KnowingParser, KnownHeads, keep_environ, repeat_environ

OTHERS = ("wsgi.input", "wsgi.early_hints", "wsgi.errors", "gunicorn.socket")


class Caller:
    """Sends requests on one connection to a parser of ours."""

    def __init__(self, heads: KnownHeads, port: int) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.client = ("10.0.0.1", port)
        self.parser: Any = None
        former: Any = RequestParser(Config(), self.ours, self.client)
        self.theirs.sendall(post(b"first"))
        assert next(former).body.read() == b"first"
        self.parser = KnowingParser(former, heads)

    def call(self, raw: bytes) -> tuple[dict[str, Any], bytes, bool]:
        """The environ, the body, and whether the head was known."""
        self.theirs.sendall(raw)
        request = next(self.parser)
        repeated = repeat_environ(request, self.ours, self.client)
        environ = repeated
        if environ is None:
            _, made = create(request, self.ours, self.client, ("10.0.0.2", "8443"), Config())
            environ = dict(made)
            keep_environ(request, environ)
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH", 0)))
        facts = {key: value for key, value in environ.items() if key not in OTHERS}
        return facts, body, repeated is not None


def post(body: bytes, *, path: bytes = b"/scheduler/filter", more: bytes = b"") -> bytes:
    return (
        b"POST %b HTTP/1.1\r\nHost: h:1\r\nUser-Agent: Go-http-client/1.1\r\n"
        b"Content-Length: %d\r\nContent-Type: application/json\r\n%b\r\n%b"
        % (path, len(body), more, body)
    )


@pytest.fixture
def callers() -> Iterator[list[Caller]]:
    heads = KnownHeads()
    both = [Caller(heads, 1000), Caller(heads, 2000)]
    yield both
    for caller in both:
        caller.ours.close()
        caller.theirs.close()


def test_a_known_head_makes_the_environ_that_gunicorn_made(callers: list[Caller]) -> None:
    learnt, body, known = callers[0].call(post(b"ab"))
    assert (body, known) == (b"ab", False)

    for caller, sent in ((callers[0], b"ab"), (callers[1], b"x" * 20_000), (callers[0], b"")):
        environ, body, known = caller.call(post(sent))

        assert (body, known) == (sent, True)
        own = {"REMOTE_PORT": str(caller.client[1]), "CONTENT_LENGTH": str(len(sent))}
        assert environ == learnt | own


@pytest.mark.parametrize(
    "other",
    [
        post(b"ab", path=b"/scheduler/bind"),
        post(b"ab", more=b"X: y\r\n"),
        post(b"ab").replace(b"Content-Length: 2", b"Content-Length:2"),
        post(b"ab", more=b"Expect: 100-continue\r\n"),
        post(b"ab", more=b"Connection: close\r\n"),
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
    ],
    ids=["path", "header", "form", "expectation", "last one", "chunks"],
)
def test_another_head_is_parsed(callers: list[Caller], other: bytes) -> None:
    caller = callers[0]
    caller.call(post(b"ab"))

    assert not caller.call(other)[2]


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (post(b"", more=b"Content-Length: 0\r\n"), InvalidHeader),
        (post(b"", more=b"Host: other\r\n"), InvalidHeader),
        (post(b"", more=b"a b: c\r\n"), InvalidHeaderName),
        (post(b"", path=b"/a b"), InvalidHTTPVersion),
    ],
    ids=["two lengths", "two hosts", "no name", "no path"],
)
def test_what_gunicorn_refuses_is_refused_again(
    callers: list[Caller], bad: bytes, error: type[Exception]
) -> None:
    callers[0].call(post(b"ab"))

    for caller in callers:
        with pytest.raises(error):
            caller.call(bad)


def test_reads_heads_in_pieces_and_requests_in_one_piece(callers: list[Caller]) -> None:
    caller = callers[0]
    caller.call(post(b"ab"))

    caller.theirs.sendall(post(b"12") + post(b"345") + post(b"6")[:40])
    bodies = [next(caller.parser).body.read() for _ in range(2)]
    caller.theirs.sendall(post(b"6")[40:])

    assert [*bodies, next(caller.parser).body.read()] == [b"12", b"345", b"6"]


def test_ends_with_the_connection(callers: list[Caller]) -> None:
    callers[0].theirs.close()

    with pytest.raises(StopIteration):
        next(callers[0].parser)


def test_forgets_before_there_are_too_many() -> None:
    heads = KnownHeads(most=2)
    for key in (b"a", b"b", b"c"):
        heads.learn(key, object())

    assert heads.find(b"a") is None
    assert heads.find(b"c") is not None

"""Request heads that gunicorn has parsed before are not parsed again.

A caller such as kube-scheduler sends the same head all day: only the length of the body differs.
Parsing and checking it costs more than many an answer. A head is known when gunicorn has accepted
the same bytes but for the digits of Content-Length; so nothing is judged here that gunicorn would
judge otherwise.
"""

import copy
import re
import threading
from dataclasses import dataclass
from typing import Any

from gunicorn.http.body import Body, LengthReader
from gunicorn.http.parser import RequestParser

_MOST = 64
_LONGEST = 2048
_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\nContent-Length: ([0-9]{1,9})\r\n")
_OF_A_CALL = ("wsgi.input", "wsgi.early_hints", "gunicorn.socket", "REMOTE_ADDR", "REMOTE_PORT")


@dataclass(slots=True)
class KnownHead:
    """A request that gunicorn has parsed, and the environ that it made of it."""

    request: Any
    environ: dict[str, Any] | None = None


class KnownHeads:
    """At most so many, of all connections; any thread may ask."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._known: dict[bytes, KnownHead] = {}

    def find(self, key: bytes) -> KnownHead | None:
        """The head under this key."""
        return self._known.get(key)

    def learn(self, key: bytes, request: Any) -> KnownHead:  # noqa: ANN401  # gunicorn's own
        """Remember one more; when there are too many, all are forgotten."""
        found = KnownHead(request)
        with self._lock:
            if len(self._known) >= self._most:
                self._known = {}
            self._known[key] = found
        return found


class KnowingParser(RequestParser):
    """Takes over a connection from gunicorn's own parser, between two requests."""

    def __init__(self, former: Any, heads: KnownHeads) -> None:  # noqa: ANN401  # gunicorn's own
        self.cfg = former.cfg
        self.unreader = former.unreader
        self.mesg = former.mesg
        self.source_addr = former.source_addr
        self.req_count = former.req_count
        self._heads = heads

    def __next__(self) -> Any:  # noqa: ANN401  # gunicorn's own
        """Return the next request; raises what gunicorn's own parser does."""
        former: Any = self
        if former.mesg.should_close() or not former.finish_body():  # the stubs know less
            raise StopIteration
        data = self.unreader.read()
        if not data:
            raise StopIteration
        head, end, rest = data.partition(_END)
        match = _LENGTH.search(head + b"\r\n") if end and len(head) <= _LONGEST else None
        if match is None:
            self.unreader.unread(data)
            return super().__next__()
        key = head[: match.start(1)] + head[match.end(1) :]
        known = self._heads.find(key)
        if known is None:
            self.unreader.unread(data)
            return self._parse(key)
        self.unreader.unread(rest)
        return self._repeat(known, match[1].decode())

    def _parse(self, key: bytes) -> Any:  # noqa: ANN401  # gunicorn's own
        request: Any = super().__next__()
        simple = isinstance(request.body.reader, LengthReader) and not request.trailers
        if simple and not request.should_close() and not request._expected_100_continue:  # noqa: SLF001
            template = copy.copy(request)
            template.body = template.unreader = None
            request.known = self._heads.learn(key, template)
        return request

    def _repeat(self, known: KnownHead, length: str) -> Any:  # noqa: ANN401  # gunicorn's own
        self.req_count += 1
        request = copy.copy(known.request)
        request.unreader = self.unreader
        request.peer_addr = request.remote_addr = self.source_addr
        request.req_number = self.req_count
        request.headers = [
            (name, length if name == "CONTENT-LENGTH" else text) for name, text in request.headers
        ]
        request.body = Body(LengthReader(self.unreader, int(length)))
        request.known, request.length = known, length
        self.mesg = request
        return request


def repeat_environ(request: Any, sock: Any, client: Any) -> dict[str, Any] | None:  # noqa: ANN401
    """The environ of a request whose head is known, or None."""
    known: KnownHead | None = getattr(request, "known", None)
    if known is None or known.environ is None or not isinstance(client, tuple):
        return None
    return {
        **known.environ,
        "wsgi.input": request.body,
        "gunicorn.socket": sock,
        "REMOTE_ADDR": client[0],
        "REMOTE_PORT": str(client[1]),
        "CONTENT_LENGTH": request.length,
    }


def keep_environ(request: Any, environ: dict[str, Any]) -> None:  # noqa: ANN401  # gunicorn's own
    """Remember what was made of a request whose head is known. Call it before others change it."""
    known: KnownHead | None = getattr(request, "known", None)
    if known is not None and known.environ is None:
        known.environ = {k: value for k, value in environ.items() if k not in _OF_A_CALL}

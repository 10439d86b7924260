"""Raw JSON requests to the API server over a pool of authenticated connections."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from urllib3.connectionpool import HTTPConnectionPool

from k40s.errors import K40sError, UnavailableError
from k40s.runtime.http_connection import ProtocolError, format_request
from k40s.runtime.kept_connections import FAILURES, KeptConnections
from k40s.runtime.watching import GoneError
from k40s.units import Nanoseconds

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"

_MAX_ANSWER = 64 << 20
"""Bytes. A page of 500 pods takes some megabytes."""
_MAX_LINE = 16 << 20
"""Bytes of one event of a watch: etcd holds objects of at most 1.5 MB."""
_MAX_TEXT = 200
_encode = json.JSONEncoder(separators=(",", ":")).encode


class ConflictError(K40sError):
    """The API server has a newer or another truth (409)."""


class NotFoundError(K40sError):
    """The object to act on does not exist (404)."""


class ApiTransport:
    """Sends requests, and turns answers into JSON or one of our errors.

    ``authorize`` returns the headers that prove who we are; it is asked before each request,
    because service account tokens are renewed on disk.
    """

    def __init__(
        self,
        *,
        pool: HTTPConnectionPool,
        authorize: Callable[[], Mapping[str, str]],
        timeout: Nanoseconds,
        base_path: str = "",
    ) -> None:
        self._connections = KeptConnections(pool)
        self._authorize = authorize
        self._timeout = timeout
        self._base_path = base_path

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        content_type: str = JSON,
        accept: str = JSON,
        timeout: Nanoseconds | None = None,
    ) -> dict[str, Any]:
        """Return the object that a 2xx answer carries.

        A request that may have arrived is never repeated here; ``timeout`` bounds the call as a
        whole. Raises ``NotFoundError`` (404), ``ConflictError`` (409), ``GoneError`` (410), and
        ``UnavailableError`` for everything else.
        """
        call = f"{method} {path}"
        deadline = time.monotonic_ns() + (self._timeout if timeout is None else timeout)
        headers = {"Accept": accept, "Content-Type": content_type}
        content = None if body is None else _encode(body).encode()
        connection = None
        try:
            sent = self._format(method, path, headers, content)
            connection = self._connections.take(deadline)
            connection.send(sent)
            head = connection.read_head()
            data = connection.read_body(head, longest=_MAX_ANSWER)
        except FAILURES as error:
            if connection is not None:
                connection.close()
            raise UnavailableError(f"{call}: {_shorten(str(error))}") from error
        if head.kept:
            self._connections.give_back(connection)
        else:
            connection.close()
        return _read(call, head.status, data)

    def stream(self, path: str, *, accept: str, silence: Nanoseconds) -> Iterator[dict[str, Any]]:
        """Yield the objects of a watch, one per line, until the server ends it.

        Raises like ``request``; silence for longer than ``silence`` counts as a lost connection.
        """
        call = f"GET {path}"
        deadline = time.monotonic_ns() + self._timeout
        connection = None
        try:
            sent = self._format("GET", path, {"Accept": accept}, None)
            connection = self._connections.take(deadline)
            connection.send(sent)
            connection.set_silence(silence)
            head = connection.read_head()
            if head.status != 200:  # noqa: PLR2004  # the one success of a GET
                connection.set_deadline(deadline)
                _read(call, head.status, connection.read_body(head, longest=_MAX_ANSWER))
            for line in _split_lines(connection.read_parts(head)):
                yield _decode(call, line)
        except FAILURES as error:
            raise UnavailableError(f"{call}: {_shorten(str(error))}") from error
        finally:
            if connection is not None:
                connection.close()

    def _format(
        self, method: str, path: str, headers: dict[str, str], content: bytes | None
    ) -> bytes:
        whole = {"Host": self._connections.host, **headers, **self._authorize()}
        return format_request(method, self._base_path + path, whole, content)


def _split_lines(parts: Iterator[bytes]) -> Iterator[bytes]:
    """Yield lines that are not blank, as soon as each is whole; a rest without end is no line."""
    begun: list[bytes] = []
    size = 0
    for part in parts:
        *whole, rest = part.split(b"\n")
        for line in whole:
            begun.append(line)
            if joined := b"".join(begun).strip():
                yield joined
            begun, size = [], 0
        begun.append(rest)
        size += len(rest)
        if size > _MAX_LINE:
            raise ProtocolError(f"an event above {_MAX_LINE} bytes")
    if b"".join(begun).strip():
        raise ProtocolError("the last event is not whole")


def _read(call: str, status: int, data: bytes) -> dict[str, Any]:
    if 200 <= status < 300:  # noqa: PLR2004  # the class of success
        return _decode(call, data)
    text = f"{call}: {status} {_message(data)}"
    if status == 404:  # noqa: PLR2004  # named by the error
        raise NotFoundError(text)
    if status == 409:  # noqa: PLR2004  # named by the error
        raise ConflictError(text)
    if status == 410:  # noqa: PLR2004  # named by the error
        raise GoneError(text)
    raise UnavailableError(text)


def _decode(call: str, data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except ValueError as error:
        raise UnavailableError(f"{call}: the answer is not JSON") from error
    if not isinstance(value, dict):
        raise UnavailableError(f"{call}: the answer is not an object")
    return value


def _message(data: bytes) -> str:
    """The message of a Status object, or the beginning of whatever was sent."""
    try:
        text = str(json.loads(data)["message"])
    except (ValueError, KeyError, TypeError):
        text = data[:_MAX_TEXT].decode(errors="replace")
    return _shorten(text)


def _shorten(text: str) -> str:
    return text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 1] + "…"

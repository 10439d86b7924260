"""Raw JSON requests to the API server over a pool of authenticated connections."""

import http.client
import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import urllib3
from urllib3.connectionpool import HTTPConnectionPool

from k40s.errors import K40sError, UnavailableError
from k40s.runtime.kept_connections import KeptConnections, is_direct
from k40s.runtime.watching import GoneError
from k40s.units import NS_PER_S, Nanoseconds

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"

_RETRIES = urllib3.Retry(total=1, connect=1, read=0, redirect=0, status=0, other=0)
"""Only a request that was never sent is repeated; the status is the caller's to judge."""
_MAX_TEXT = 200
_MAX_ANSWER = 64 << 20
"""Bytes. A page of 500 pods takes some megabytes."""


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
        self._pool = pool
        self._kept = KeptConnections(pool) if is_direct(pool) else None
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

        A request that may have arrived is never repeated. Raises ``NotFoundError`` (404),
        ``ConflictError`` (409), ``GoneError`` (410), and ``UnavailableError`` for everything else.
        """
        limit = self._timeout if timeout is None else timeout
        headers = {"Accept": accept, "Content-Type": content_type}
        content = None if body is None else json.dumps(body).encode()
        return _read(f"{method} {path}", *self._exchange(method, path, headers, content, limit))

    def _exchange(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes | None,
        limit: Nanoseconds,
    ) -> tuple[int, bytes]:
        if self._kept is None:
            wait = urllib3.Timeout(total=limit / NS_PER_S)
            answer = self._send(
                method, path, headers=headers, body=body, timeout=wait, preload=True
            )
            return answer.status, answer.data
        try:
            return self._kept.exchange(
                method,
                self._base_path + path,
                headers={**headers, **self._authorize()},
                body=body,
                deadline=time.monotonic_ns() + limit,
                longest=_MAX_ANSWER,
            )
        except (http.client.HTTPException, OSError, ValueError) as error:
            cause = str(error) or type(error).__name__
            raise UnavailableError(f"{method} {path}: {_shorten(cause)}") from error

    def stream(self, path: str, *, accept: str, silence: Nanoseconds) -> Iterator[dict[str, Any]]:
        """Yield the objects of a watch, one per line, until the server ends it.

        Raises like ``request``; silence for longer than ``silence`` counts as a lost connection.
        """
        call = f"GET {path}"
        answer = self._send(
            "GET",
            path,
            headers={"Accept": accept},
            body=None,
            timeout=urllib3.Timeout(connect=self._timeout / NS_PER_S, read=silence / NS_PER_S),
            preload=False,
        )
        try:
            if answer.status != 200:  # noqa: PLR2004  # the one success of a GET
                _read(call, answer.status, answer.data)
            for line in answer:
                if line.strip():
                    yield _decode(call, line)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise UnavailableError(f"{call}: {_shorten(str(error))}") from error
        finally:
            answer.close()

    def _send(
        self,
        method: str,
        path: str,
        *,
        headers: dict[str, str],
        body: bytes | None,
        timeout: urllib3.Timeout,
        preload: bool,
    ) -> urllib3.BaseHTTPResponse:
        headers.update(self._authorize())
        try:
            return self._pool.urlopen(
                method,
                self._base_path + path,
                body=body,
                headers=headers,
                retries=_RETRIES,
                redirect=False,
                timeout=timeout,
                preload_content=preload,
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise UnavailableError(f"{method} {path}: {_shorten(str(error))}") from error


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

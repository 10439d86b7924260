"""JSON requests to the API server, and the errors that its answers stand for."""

import json
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from k40s.errors import K40sError, UnavailableError
from k40s.http.client import HttpClient
from k40s.kube.list_watch import GoneError
from k40s.units import Nanoseconds

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json"

_MAX_TEXT = 200
_MAX_DIGITS = 20
_REFUSALS = (400, 401, 422)
MAX_ANSWER = 64 << 20
"""Bytes. A page of 500 pods takes some megabytes."""


class ConflictError(K40sError):
    """The object is at another version at the API server, or exists already (409)."""


class NotFoundError(K40sError):
    """The object to act on does not exist (404)."""


class TooManyRequestsError(UnavailableError):
    """Not now (429): a PodDisruptionBudget forbids an eviction, or the server is overloaded."""


class RefusedError(UnavailableError):
    """The API server refuses the request (400, 401, 403, 422), and has certainly not done it."""


class ForbiddenError(RefusedError):
    """The caller has no right to it (403)."""


class ApiTransport:
    """Sends requests, and turns answers into JSON or one of our errors."""

    def __init__(self, client: HttpClient) -> None:
        self._client = client

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
        ``ConflictError`` (409), ``GoneError`` (410), ``RefusedError`` (400, 401, 403, 422),
        ``TooManyRequestsError`` (429), and ``UnavailableError`` for everything else: then it may
        have happened.
        """
        headers = {"Accept": accept, "Content-Type": content_type}
        content = None if body is None else json.dumps(body).encode()
        status, data = self._client.request(method, path, content, headers=headers, timeout=timeout)
        return _read(f"{method} {path}", status, data)

    def stream(self, path: str, *, accept: str, silence: Nanoseconds) -> Iterator[dict[str, Any]]:
        """Yield the objects of a watch, one per line, until the server ends it.

        Raises like ``request``; silence for longer than ``silence`` counts as a lost connection.
        """
        call = f"GET {path}"
        with self._client.stream(path, headers={"Accept": accept}, silence=silence) as answer:
            if answer.status != HTTPStatus.OK:
                _read(call, answer.status, answer.read())
            for line in answer.lines():
                if line.strip():
                    yield _decode(call, line)


def _read(call: str, status: int, data: bytes) -> dict[str, Any]:
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return _decode(call, data)
    text = f"{call}: {status} {_message(data)}"
    match status:
        case HTTPStatus.NOT_FOUND:
            raise NotFoundError(text)
        case HTTPStatus.CONFLICT:
            raise ConflictError(text)
        case HTTPStatus.GONE:
            raise GoneError(text)
        case HTTPStatus.FORBIDDEN:
            raise ForbiddenError(text)
        case HTTPStatus.TOO_MANY_REQUESTS:
            raise TooManyRequestsError(text)
        case _:
            raise (RefusedError if status in _REFUSALS else UnavailableError)(text)


def _decode(call: str, data: bytes) -> dict[str, Any]:
    try:
        value = _loads(data)
    except (ValueError, RecursionError) as error:
        raise UnavailableError(f"{call}: the answer is not JSON") from error
    if not isinstance(value, dict):
        raise UnavailableError(f"{call}: the answer is not an object")
    return value


def _loads(data: bytes) -> object:
    """Decode JSON; whole numbers of more digits than Python reads at once become floats."""
    try:
        return json.loads(data)
    except json.JSONDecodeError:
        raise
    except ValueError:
        return json.loads(data, parse_int=_number)


def _number(text: str) -> int | float:
    return int(text) if len(text) <= _MAX_DIGITS else float(text)


def _message(data: bytes) -> str:
    """The message of a Status object, or the beginning of whatever was sent."""
    try:
        text = str(json.loads(data)["message"])
    except (ValueError, KeyError, TypeError, RecursionError):
        text = data[:_MAX_TEXT].decode(errors="replace")
    return _shorten(text)


def _shorten(text: str) -> str:
    return text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 1] + "…"

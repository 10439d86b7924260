"""Client of the node API: reserve, ask for admission, withdraw."""

import json
from http import HTTPStatus
from typing import Protocol
from urllib.parse import quote

from k40s.errors import InvalidInputError, UnavailableError
from k40s.http.client import LateError, UnreachableError, UntrustedError
from k40s.node_api.messages import (
    AdmissionAnswer,
    ReservationRequest,
    format_reservation_request,
    parse_admission_answer,
)
from k40s.reasons import Reason
from k40s.units import Nanoseconds

_RESERVED = (HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.CONFLICT)
_ADMISSION = (HTTPStatus.OK,)
_WITHDRAWN = (HTTPStatus.OK, HTTPStatus.NO_CONTENT, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)
"""409: the pod is bound there, and keeps what it holds."""


class DaemonError(UnavailableError):
    """No valid answer from a node's daemon. ``reason`` names the cause.

    ``certain``: nothing has changed at the node; otherwise the request may have been served.
    """

    def __init__(self, text: str, *, reason: Reason, certain: bool = False) -> None:
        super().__init__(text)
        self.reason = reason
        self.certain = certain


class Requests(Protocol):
    """The part of ``HttpClient`` that is used."""

    def request(
        self,
        method: str,
        url: str,
        body: bytes | None = None,
        *,
        timeout: Nanoseconds | None = None,
    ) -> tuple[int, bytes]:
        """Return (status, body). Raises ``UnavailableError``."""


class RubicanteClient:
    """Calls the daemon at any endpoint. Every method raises ``DaemonError``."""

    def __init__(self, client: Requests) -> None:
        self._client = client

    def reserve(
        self, endpoint: str, request: ReservationRequest, *, attempt: str
    ) -> AdmissionAnswer:
        """``PUT /v1/reservations/{uid}``; a refusal is an answer too."""
        url = _reservation(endpoint, request.pod.uid, attempt)
        text = format_reservation_request(request)
        return _read_answer(self._call("PUT", url, text, good=_RESERVED), request, f"PUT {url}")

    def query_admission(
        self, endpoint: str, request: ReservationRequest, *, timeout: Nanoseconds
    ) -> AdmissionAnswer:
        """``POST /v1/admission``: the answer that a reservation would get; changes nothing."""
        url = f"{endpoint}/v1/admission"
        text = format_reservation_request(request)
        body = self._call("POST", url, text, good=_ADMISSION, timeout=timeout)
        return _read_answer(body, request, f"POST {url}")

    def withdraw(self, endpoint: str, uid: str, *, attempt: str, timeout: Nanoseconds) -> None:
        """``DELETE /v1/reservations/{uid}``; one that does not exist is no error."""
        url = _reservation(endpoint, uid, attempt)
        self._call("DELETE", url, None, good=_WITHDRAWN, timeout=timeout)

    def _call(
        self,
        method: str,
        url: str,
        body: bytes | None,
        *,
        good: tuple[HTTPStatus, ...],
        timeout: Nanoseconds | None = None,
    ) -> bytes:
        try:
            status, answer = self._client.request(method, url, body, timeout=timeout)
        except UnavailableError as error:
            reason, certain = next(
                (found for kind, found in _FAILURES.items() if isinstance(error, kind)),
                (Reason.CPU_DAEMON_SILENT, False),
            )
            raise DaemonError(str(error), reason=reason, certain=certain) from error
        if status not in good:
            raise DaemonError(
                f"{method} {url}: status {status}: {answer[:200]!r}",
                reason=_reason_of(status, answer),
                certain=status != HTTPStatus.INTERNAL_SERVER_ERROR,
            )
        return answer


_FAILURES: dict[type[UnavailableError], tuple[Reason, bool]] = {
    UnreachableError: (Reason.CPU_DAEMON_SILENT, True),
    UntrustedError: (Reason.CPU_DAEMON_UNTRUSTED, True),
    LateError: (Reason.CPU_DAEMON_BUSY, False),
}
"""The reason for a call without an answer, and whether nothing has changed for certain."""


def _reason_of(status: int, body: bytes) -> Reason:
    """The reason in the daemon's answer, or the one that its status stands for."""
    if status == HTTPStatus.FORBIDDEN:
        return Reason.CPU_DAEMON_FORBIDS
    if status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return Reason.CPU_DAEMON_INVALID
    try:
        return Reason(json.loads(body)["reason"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return Reason.CPU_DAEMON_FAILED


def _read_answer(body: bytes, request: ReservationRequest, where: str) -> AdmissionAnswer:
    try:
        answer = parse_admission_answer(body)
    except InvalidInputError as error:
        raise _unreadable(f"{where}: {error}") from error
    wanted = {request.pod.uid} if answer.schedulable else set()
    if {held.pod_uid for held in answer.granted} != wanted:
        raise _unreadable(f"{where}: what is granted is not this pod's")
    return answer


def _unreadable(text: str) -> DaemonError:
    return DaemonError(text, reason=Reason.CPU_DAEMON_INVALID)


def _reservation(endpoint: str, uid: str, attempt: str) -> str:
    return f"{endpoint}/v1/reservations/{quote(uid, safe='')}?attempt={quote(attempt, safe='')}"

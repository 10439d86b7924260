"""Client of the node API: reserve, ask for admission, read the state, withdraw."""

from http import HTTPStatus
from urllib.parse import quote

from k40s.annotations import CpuState, parse_cpu_state
from k40s.errors import InvalidInputError
from k40s.node_api.calls import WITHDRAWN, CallReasons, DaemonError, NodeCalls, Requests
from k40s.node_api.messages import (
    AdmissionAnswer,
    ReservationRequest,
    format_reservation_request,
    parse_admission_answer,
)
from k40s.reasons import Reason
from k40s.units import Nanoseconds

__all__ = ["DaemonError", "Requests", "RubicanteClient"]

_RESERVED = (HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.CONFLICT)
_ADMISSION = (HTTPStatus.OK,)
_STATE = (HTTPStatus.OK,)
_REASONS = CallReasons(
    silent=Reason.CPU_DAEMON_SILENT,
    untrusted=Reason.CPU_DAEMON_UNTRUSTED,
    late=Reason.CPU_DAEMON_BUSY,
    forbids=Reason.CPU_DAEMON_FORBIDS,
    invalid=Reason.CPU_DAEMON_INVALID,
    failed=Reason.CPU_DAEMON_FAILED,
)


class RubicanteClient:
    """Calls the daemon at any endpoint. Every method raises ``DaemonError``."""

    def __init__(self, client: Requests) -> None:
        self._calls = NodeCalls(client, _REASONS)

    def reserve(
        self, endpoint: str, request: ReservationRequest, *, attempt: str
    ) -> AdmissionAnswer:
        """``PUT /v1/reservations/{uid}``; a refusal is an answer too."""
        url = _reservation(endpoint, request.pod.uid, attempt)
        text = format_reservation_request(request)
        return _read_answer(
            self._calls.call("PUT", url, text, good=_RESERVED), request, f"PUT {url}"
        )

    def query_admission(
        self, endpoint: str, request: ReservationRequest, *, timeout: Nanoseconds
    ) -> AdmissionAnswer:
        """``POST /v1/admission``: the answer that a reservation would get; changes nothing."""
        url = f"{endpoint}/v1/admission"
        text = format_reservation_request(request)
        body = self._calls.call("POST", url, text, good=_ADMISSION, timeout=timeout)
        return _read_answer(body, request, f"POST {url}")

    def read_state(self, endpoint: str, *, timeout: Nanoseconds) -> CpuState:
        """``GET /v1/state?form=published``: the published state, with all reservations."""
        url = f"{endpoint}/v1/state?form=published"
        body = self._calls.call("GET", url, None, good=_STATE, timeout=timeout)
        try:
            return parse_cpu_state(body.decode())
        except (InvalidInputError, UnicodeDecodeError) as error:
            raise _unreadable(f"GET {url}: {error}") from error

    def withdraw(self, endpoint: str, uid: str, *, attempt: str, timeout: Nanoseconds) -> None:
        """``DELETE /v1/reservations/{uid}``; one that does not exist is no error."""
        url = _reservation(endpoint, uid, attempt)
        self._calls.call("DELETE", url, None, good=WITHDRAWN, timeout=timeout)


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

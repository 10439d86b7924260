"""``CpuReservations`` over rubicante's HTTP API."""

from typing import Protocol
from urllib.parse import quote

from k40s.errors import InvalidInputError, UnavailableError
from k40s.node_api import (
    AdmissionAnswer,
    ReservationRequest,
    format_reservation_request,
    parse_admission_answer,
)
from k40s.units import Nanoseconds

_ANSWERED = (200, 201, 409)
_JUDGED = 200
_RELEASED = (200, 204, 404)


class Requests(Protocol):
    """The part of ``JsonClient`` that is used."""

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
    """Calls the daemon at any endpoint. Every method raises ``UnavailableError``."""

    def __init__(self, client: Requests) -> None:
        self._client = client

    def reserve(self, endpoint: str, request: ReservationRequest) -> AdmissionAnswer:
        """``PUT /v1/reservations/{uid}``; a refusal is an answer too."""
        url = _reservation(endpoint, request.pod.uid)
        status, body = self._client.request("PUT", url, format_reservation_request(request))
        if status not in _ANSWERED:
            raise UnavailableError(f"PUT {url}: status {status}: {body[:200]!r}")
        return _read_answer(body, request, f"PUT {url}: status {status}")

    def judge(
        self, endpoint: str, request: ReservationRequest, *, timeout: Nanoseconds
    ) -> AdmissionAnswer:
        """``POST /v1/admission``: what a reservation would be answered; changes nothing."""
        url = f"{endpoint}/v1/admission"
        text = format_reservation_request(request)
        status, body = self._client.request("POST", url, text, timeout=timeout)
        if status != _JUDGED:
            raise UnavailableError(f"POST {url}: status {status}: {body[:200]!r}")
        return _read_answer(body, request, f"POST {url}")

    def release(self, endpoint: str, uid: str) -> None:
        """``DELETE /v1/reservations/{uid}``; that there is none is as good."""
        url = _reservation(endpoint, uid)
        status, body = self._client.request("DELETE", url)
        if status not in _RELEASED:
            raise UnavailableError(f"DELETE {url}: status {status}: {body[:200]!r}")


def _read_answer(body: bytes, request: ReservationRequest, where: str) -> AdmissionAnswer:
    try:
        answer = parse_admission_answer(body)
    except InvalidInputError as error:
        raise UnavailableError(f"{where}: {error}") from error
    wanted = {request.pod.uid} if answer.schedulable else set()
    if {held.pod_uid for held in answer.granted} != wanted:
        raise UnavailableError(f"{where}: what is granted is not this pod's")
    return answer


def _reservation(endpoint: str, uid: str) -> str:
    return f"{endpoint}/v1/reservations/{quote(uid, safe='')}"

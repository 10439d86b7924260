"""Client of a station's API: apply a pod's slots, withdraw them."""

from http import HTTPStatus
from urllib.parse import quote

from k40s.errors import InvalidInputError
from k40s.node_api.calls import WITHDRAWN, CallReasons, DaemonError, NodeCalls, Requests
from k40s.node_api.network_messages import (
    SlotsAnswer,
    SlotsRequest,
    format_slots_request,
    parse_slots_answer,
)
from k40s.reasons import Reason
from k40s.units import Nanoseconds

_ANSWERED = (HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.CONFLICT)
_REASONS = CallReasons(
    silent=Reason.NETWORK_STATION_SILENT,
    untrusted=Reason.NETWORK_STATION_SILENT,
    late=Reason.NETWORK_STATION_SILENT,
    forbids=Reason.NETWORK_STATION_REFUSED,
    invalid=Reason.NETWORK_STATION_FAILED,
    failed=Reason.NETWORK_STATION_FAILED,
)


class ScarmiglioneClient:
    """Calls the daemon at any endpoint. Every method raises ``DaemonError``."""

    def __init__(self, client: Requests) -> None:
        self._calls = NodeCalls(client, _REASONS)

    def apply(
        self,
        endpoint: str,
        request: SlotsRequest,
        *,
        attempt: str,
        timeout: Nanoseconds | None = None,
    ) -> SlotsAnswer:
        """``PUT /v1/slots/{uid}``; a refusal is an answer too."""
        url = _slots(endpoint, request.pod.uid, attempt)
        body = format_slots_request(request)
        answer = self._calls.call("PUT", url, body, good=_ANSWERED, timeout=timeout)
        return _read_answer(answer, request, f"PUT {url}")

    def withdraw(self, endpoint: str, uid: str, *, attempt: str, timeout: Nanoseconds) -> None:
        """``DELETE /v1/slots/{uid}``; slots that do not exist are no error."""
        self._calls.call(
            "DELETE", _slots(endpoint, uid, attempt), None, good=WITHDRAWN, timeout=timeout
        )


def _read_answer(body: bytes, request: SlotsRequest, where: str) -> SlotsAnswer:
    try:
        answer = parse_slots_answer(body)
    except InvalidInputError as error:
        raise _unreadable(f"{where}: {error}") from error
    wanted = [slot.network for slot in request.slots] if answer.schedulable else []
    if [granted.network for granted in answer.granted] != wanted:
        raise _unreadable(f"{where}: what is granted is not what was asked for")
    return answer


def _unreadable(text: str) -> DaemonError:
    return DaemonError(text, reason=Reason.NETWORK_STATION_FAILED)


def _slots(endpoint: str, uid: str, attempt: str) -> str:
    return f"{endpoint}/v1/slots/{quote(uid, safe='')}?attempt={quote(attempt, safe='')}"

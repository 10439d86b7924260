"""Requests and answers of stations survive the way there and back; others are refused."""

import json

import pytest

from k40s.errors import InvalidInputError
from k40s.node_api.bodies import MAX_BODY, PodRef
from k40s.node_api.client import DaemonError
from k40s.node_api.network_client import ScarmiglioneClient
from k40s.node_api.network_messages import (
    GrantedSlot,
    RequestedSlot,
    SlotsAnswer,
    SlotsRequest,
    format_slots_answer,
    format_slots_request,
    parse_slots_answer,
    parse_slots_request,
)
from k40s.reasons import Reason
from k40s.tdma.model import Window
from k40s.units import Nanoseconds

POD = PodRef(uid="5b0e-1", namespace="plant", name="arm-0")
WINDOW = Window(offset=Nanoseconds(0), phase=1, every=4, length=Nanoseconds(40_320), payload=256)
REQUEST = SlotsRequest(pod=POD, slots=(RequestedSlot(network="plant", windows=(WINDOW, WINDOW)),))
GRANTED = GrantedSlot(network="plant", interface="rteth0", backend="tdmacfg", channel=2)


@pytest.mark.parametrize(
    "answer",
    [
        SlotsAnswer(schedulable=True, granted=(GRANTED,)),
        SlotsAnswer(
            schedulable=True,
            granted=(
                GrantedSlot(network="lan", interface="eth1", backend="taprio", priority=3),
                GrantedSlot(network="dry", interface="eth2", backend="none"),
            ),
        ),
        SlotsAnswer(schedulable=False, reason=Reason.NETWORK_NO_CHANNEL, detail="on plant"),
    ],
)
def test_an_answer_is_read_as_it_was_written(answer: SlotsAnswer) -> None:
    assert parse_slots_answer(format_slots_answer(answer)) == answer


def test_an_answer_without_detail_is_read_too() -> None:
    body = b'{"schedulable":true,"reason":null,"granted":[]}'

    assert parse_slots_answer(body) == SlotsAnswer(schedulable=True)


@pytest.mark.parametrize(
    ("place", "value", "path"),
    [
        (("pod", "uid"), "other", "$.pod.uid"),
        (("slots",), [], "$.slots"),
        (("slots", 0, "network"), "Plant", "$.slots[0].network"),
        (("slots", 0, "windows"), [], "$.slots[0].windows"),
        (("slots", 0, "windows", 0, "every"), 0, "$.slots[0].windows[0].every"),
        (("slots", 0, "windows", 0, "phase"), 4, "$.slots[0].windows[0].phase"),
        (("slots", 0, "windows", 0, "length"), "0ns", "$.slots[0].windows[0].length"),
        (("slots", 0, "windows", 0, "offset"), 5, "$.slots[0].windows[0].offset"),
        (("slots", 0, "windows", 0, "offset"), "1ns", "$.slots[0].windows[0]"),
        (("slots", 0, "windows", 0, "payload"), -1, "$.slots[0].windows[0].payload"),
    ],
)
def test_a_request_that_cannot_be_is_refused_by_its_field(
    place: tuple[str | int, ...], value: object, path: str
) -> None:
    body = json.loads(format_slots_request(REQUEST))
    at = body
    for step in place[:-1]:
        at = at[step]
    at[place[-1]] = value

    with pytest.raises(InvalidInputError) as failure:
        parse_slots_request(json.dumps(body).encode(), pod_uid=POD.uid)

    assert failure.value.path == path


def test_a_body_above_the_limit_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="at most"):
        parse_slots_request(b" " * (MAX_BODY + 1), pod_uid=None)


def test_an_answer_has_a_reason_exactly_when_it_refuses() -> None:
    with pytest.raises(ValueError, match="a reason is given exactly"):
        SlotsAnswer(schedulable=False)
    with pytest.raises(InvalidInputError, match="null exactly when"):
        parse_slots_answer(b'{"schedulable":false,"reason":null,"granted":[]}')
    both = b'{"network":"p","interface":"e","backend":"none","channel":2,"priority":2}'
    with pytest.raises(InvalidInputError, match="a channel or a priority"):
        parse_slots_answer(b'{"schedulable":true,"reason":null,"granted":[%s]}' % both)


class Canned:
    """Answers every call with the same."""

    def __init__(self, status: int, body: bytes) -> None:
        self.answer = status, body
        self.calls: list[tuple[str, str]] = []

    def request(
        self,
        method: str,
        url: str,
        body: bytes | None = None,
        *,
        timeout: Nanoseconds | None = None,
    ) -> tuple[int, bytes]:
        assert (body is None) == (method == "DELETE")
        assert timeout == 1
        self.calls.append((method, url))
        return self.answer


@pytest.mark.parametrize(
    ("status", "body", "reason", "certain"),
    [
        (403, b"", Reason.NETWORK_STATION_REFUSED, True),
        (422, b"{}", Reason.NETWORK_STATION_FAILED, True),
        (503, b'{"reason":"network.unhealthy"}', Reason.NETWORK_UNHEALTHY, True),
        (500, b"", Reason.NETWORK_STATION_FAILED, False),
        (200, b"{}", Reason.NETWORK_STATION_FAILED, False),
        (
            200,
            format_slots_answer(SlotsAnswer(schedulable=True)),
            Reason.NETWORK_STATION_FAILED,
            False,
        ),
    ],
)
def test_an_answer_that_is_none_has_a_reason(
    status: int, body: bytes, reason: Reason, certain: bool
) -> None:
    client = ScarmiglioneClient(Canned(status, body))

    with pytest.raises(DaemonError) as failure:
        client.apply("https://n", REQUEST, attempt="a b", timeout=Nanoseconds(1))

    assert (failure.value.reason, failure.value.certain) == (reason, certain)


def test_slots_that_are_not_there_can_be_withdrawn() -> None:
    canned = Canned(404, b"")

    ScarmiglioneClient(canned).withdraw("https://n", "u/1", attempt="a", timeout=Nanoseconds(1))

    assert canned.calls == [("DELETE", "https://n/v1/slots/u%2F1?attempt=a")]

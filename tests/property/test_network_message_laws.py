"""Any request to a station survives the way there and back; any other body is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k40s.errors import InvalidInputError
from k40s.node_api.bodies import PodRef
from k40s.node_api.network_messages import (
    RequestedSlot,
    SlotsRequest,
    format_slots_request,
    parse_slots_answer,
    parse_slots_request,
)
from k40s.tdma.model import Window
from k40s.units import Nanoseconds

POD = PodRef(uid="5b0e-1", namespace="plant", name="arm-0")

windows = st.integers(1, 1 << 20).flatmap(
    lambda every: st.builds(
        Window,
        offset=st.integers(0, 10**6).map(lambda us: Nanoseconds(us * 1000)),
        phase=st.integers(0, every - 1),
        every=st.just(every),
        length=st.integers(1, 10**9).map(Nanoseconds),
        payload=st.integers(60, 1500),
    )
)
slots = st.builds(
    RequestedSlot,
    network=st.from_regex(r"[a-z]{1,9}(-[a-z0-9]{1,9})?", fullmatch=True),
    windows=st.lists(windows, min_size=1, max_size=5).map(tuple),
)


@given(st.lists(slots, min_size=1, max_size=4).map(tuple))
def test_a_request_is_read_as_it_was_written(asked: tuple[RequestedSlot, ...]) -> None:
    request = SlotsRequest(pod=POD, slots=asked)

    assert parse_slots_request(format_slots_request(request), pod_uid=POD.uid) == request


@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_any_body_is_a_value_or_refused(body: bytes) -> None:
    for parse in (lambda b: parse_slots_request(b, pod_uid=None), parse_slots_answer):
        with pytest.raises(InvalidInputError):
            parse(body)

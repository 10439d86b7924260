"""Time on the wire."""

import pytest

from k40s.tdma.wire import bytes_within, time_of, wire_bytes, wire_time


@pytest.mark.parametrize(
    ("payload", "on_wire", "fast_ethernet"),
    [
        (28, 84, 6_720),
        (46, 84, 6_720),
        (60, 98, 7_840),
        (128, 166, 13_280),
        (256, 294, 23_520),
        (512, 550, 44_000),
        (1_024, 1_062, 84_960),
        (1_500, 1_538, 123_040),
    ],
)
def test_frames_take_what_ethernet_says(payload: int, on_wire: int, fast_ethernet: int) -> None:
    assert wire_bytes(payload) == on_wire
    assert wire_time(payload, 100_000_000) == fast_ethernet
    assert wire_time(payload, 10_000_000) == 10 * fast_ethernet


def test_a_part_of_a_nanosecond_counts_as_a_whole_one() -> None:
    assert wire_time(46, 7_000_000) == 96_000
    assert wire_time(47, 7_000_000) == 97_143


def test_no_more_bytes_than_pass_in_a_time_are_counted() -> None:
    assert bytes_within(6_720, 100_000_000) == 84
    assert bytes_within(6_719, 100_000_000) == 83
    assert time_of(84, 100_000_000) == 6_720

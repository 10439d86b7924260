"""What requests become on a cycle."""

import pytest

from k40s.tdma.expression import LONGEST_EVERY, MOST_SLOTS, Expression, Inexpressible, express
from k40s.tdma.model import Cycle, SlotRequest
from tests.unit.tdma.tdma_builders import make_cycle, make_request, us

CYCLE = make_cycle()


def expressed(request: SlotRequest, cycle: Cycle = CYCLE, jitter: int = 0) -> Expression:
    found = express(cycle, request, jitter=jitter)
    assert isinstance(found, Expression)
    return found


def refused(request: SlotRequest, cycle: Cycle = CYCLE, jitter: int = 0) -> Inexpressible:
    found = express(cycle, request, jitter=jitter)
    assert isinstance(found, Inexpressible)
    if found.nearest is not None:
        assert isinstance(express(cycle, found.nearest, jitter=jitter), Expression)
    return found


@pytest.mark.parametrize(
    ("period", "every", "repeats", "served"),
    [
        (1_000, 1, 1, 1_000),
        (4_000, 4, 1, 4_000),
        (500, 1, 2, 500),
        (200, 1, 5, 200),
        (1_999, 1, 1, 1_000),
        (7_300, 7, 1, 7_000),
        (999, 1, 2, 500),
        (333.4, 1, 4, 250),
    ],
)
def test_a_period_is_rounded_down_to_what_stations_can(
    period: float, every: int, repeats: int, served: float
) -> None:
    form = expressed(make_request(period, payload=60))

    assert (form.every, form.repeats, form.period) == (every, repeats, us(served))


def test_a_very_long_period_is_served_more_often() -> None:
    form = expressed(make_request(1_000 * (LONGEST_EVERY + 5), payload=60))

    assert form.every == LONGEST_EVERY


def test_guard_and_jitter_lengthen_a_slot() -> None:
    form = expressed(make_request(payload=256), jitter=us(7))

    assert form.length == us(23.52 + 20 + 7)
    assert (form.frames, form.block) == (1, form.length)


def test_a_payload_below_the_smallest_is_raised_to_it() -> None:
    assert expressed(make_request(payload=1)).payload == 60
    assert expressed(make_request(length=3)).payload == 60


def test_a_length_is_the_largest_packet_that_it_holds() -> None:
    assert expressed(make_request(length=100)).payload == 1_212
    assert expressed(make_request(length=123.04)).payload == 1_500
    assert expressed(make_request(length=123.04)).frames == 1


def test_a_length_beyond_one_packet_is_several_slots_of_one_size() -> None:
    form = expressed(make_request(length=300))

    assert (form.frames, form.payload) == (3, 1_212)
    assert form.stride == us(120)
    assert form.block == us(2 * 120 + 120)


def test_a_packet_beyond_the_mtu_is_refused_with_the_largest_one() -> None:
    found = refused(make_request(4_000, payload=1_501))

    assert found.because.startswith("payload: ")
    assert found.nearest == make_request(4_000, payload=1_500)


def test_a_length_beyond_the_cycle_is_refused_with_the_longest_one() -> None:
    found = refused(make_request(4_000, length=1_001))

    assert found.because.startswith("length: ")
    assert found.nearest is not None
    assert found.nearest.length == us(6 * 123.04)


def test_a_packet_longer_than_a_short_cycle_is_refused_with_a_smaller_one() -> None:
    found = refused(make_request(400, payload=1_500), make_cycle(100))

    assert found.because.startswith("payload: ")
    assert found.nearest == make_request(400, payload=624)


def test_a_cycle_that_holds_nothing_but_a_sync_has_no_nearest_request() -> None:
    found = refused(make_request(400, payload=60), make_cycle(30))

    assert found.nearest is None


def test_a_packet_beyond_the_mtu_that_is_too_long_as_well_gets_what_the_cycle_holds() -> None:
    found = refused(make_request(400, payload=1_501), make_cycle(100))

    assert found.nearest == make_request(400, payload=624)


def test_a_period_too_short_for_its_slot_is_refused_with_the_shortest_one() -> None:
    found = refused(make_request(100, payload=1_024))

    assert found.because.startswith("period: ")
    assert found.nearest == make_request(200, payload=1_024)


def test_a_period_that_no_part_of_the_cycle_has_is_refused() -> None:
    found = refused(make_request(500, payload=60), make_cycle(1_009))

    assert found.nearest == make_request(1_009, payload=60)


def test_more_slots_than_a_station_has_are_refused() -> None:
    short = make_cycle(1_000, guard=0, rate=1_000_000_000)

    found = refused(make_request(10, payload=60), short)

    assert found.nearest == make_request(20, payload=60)
    assert expressed(found.nearest, short).repeats <= MOST_SLOTS

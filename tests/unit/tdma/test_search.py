"""Which place the search chooses, and what it costs others."""

from fractions import Fraction
from itertools import pairwise

import pytest

from k40s.reasons import Reason
from k40s.tdma import check_table, damage, find_grant, utilization
from k40s.tdma.model import SlotGrant, SlotRequest, SlotTable, Window
from tests.unit.tdma.tdma_builders import make_cycle, make_request, make_window, us

CYCLE = make_cycle()


def grants(table: SlotTable, *requests: SlotRequest) -> list[SlotGrant]:
    """Grants of requests that arrive one after the other and all fit."""
    found = []
    for request in requests:
        grant = find_grant(table, request)
        assert isinstance(grant, SlotGrant)
        table = SlotTable(cycle=table.cycle, windows=table.windows + grant.windows)
        found.append(grant)
    assert check_table(table) is None
    return found


def test_the_first_slot_comes_after_the_sync_in_whole_microseconds() -> None:
    (grant,) = grants(SlotTable(cycle=CYCLE), make_request(4_000, payload=256))

    assert grant.windows == (
        Window(offset=us(27), phase=0, every=4, length=us(43.52), payload=256),
    )


def test_slots_of_long_periods_share_a_place_in_different_cycles() -> None:
    requests = [make_request(4_000, payload=256)] * 4

    found = grants(SlotTable(cycle=CYCLE), *requests)

    assert {grant.windows[0].offset for grant in found} == {us(27)}
    assert {grant.windows[0].phase for grant in found} == {0, 1, 2, 3}


def test_a_period_of_half_a_cycle_is_two_slots_that_far_apart() -> None:
    (grant,) = grants(SlotTable(cycle=CYCLE), make_request(500, payload=60))

    first, second = grant.windows
    assert second.offset - first.offset == us(500)
    assert (first.every, second.every) == (1, 1)


def test_slots_in_each_half_of_a_cycle_keep_clear_of_a_window_in_its_middle() -> None:
    table = SlotTable(cycle=CYCLE, windows=(make_window(480, 60),))

    (grant,) = grants(table, make_request(500, payload=60))

    assert us(40) <= grant.windows[0].offset <= us(480 - 27.84)


def test_a_long_request_is_contiguous_slots() -> None:
    (grant,) = grants(SlotTable(cycle=CYCLE), make_request(4_000, length=300))

    starts = [window.offset for window in grant.windows]
    assert [later - one for one, later in pairwise(starts)] == [us(120), us(120)]
    assert len({(window.phase, window.payload) for window in grant.windows}) == 1


def test_a_full_cycle_refuses() -> None:
    table = SlotTable(cycle=CYCLE, windows=(make_window(27, 973),))

    assert find_grant(table, make_request(payload=60)) is Reason.NETWORK_NO_SLOT


def test_a_freed_place_is_found_again() -> None:
    table = SlotTable(cycle=CYCLE, windows=(make_window(27, 400), make_window(455, 545)))

    assert find_grant(table, make_request(payload=60)) == SlotGrant(
        windows=(make_window(427, 27.84),)
    )


def test_the_jitter_of_a_station_may_be_what_does_not_fit() -> None:
    table = SlotTable(cycle=CYCLE, windows=(make_window(27, 400), make_window(455, 545)))

    found = find_grant(table, make_request(payload=60), jitter=us(0.2))

    assert found is Reason.NETWORK_NO_SLOT


def test_what_no_cycle_can_express_is_another_refusal() -> None:
    assert (
        find_grant(SlotTable(cycle=CYCLE), make_request(payload=1_501))
        is Reason.NETWORK_INEXPRESSIBLE
    )


def test_backup_masters_keep_their_place() -> None:
    cycle = make_cycle(backups=(100, 500))
    table = SlotTable(cycle=cycle)

    found = grants(table, *[make_request(payload=512)] * 8)

    for window in (window for grant in found for window in grant.windows):
        assert window.end <= us(100) or us(127) <= window.offset
        assert window.end <= us(500) or us(527) <= window.offset


@pytest.mark.parametrize("windows", [(), (make_window(100, 50, every=2),)])
def test_utilization_counts_syncs_and_windows(windows: tuple[Window, ...]) -> None:
    cycle = make_cycle(guard=13.28, backups=(500,))

    share = Fraction(2 * 20, 1_000) + len(windows) * Fraction(50, 2_000)
    assert utilization(SlotTable(cycle=cycle, windows=windows)) == share


def test_a_slot_in_a_place_that_is_spoilt_already_costs_less() -> None:
    table = SlotTable(cycle=CYCLE, windows=(make_window(27, 100, every=2),))
    spoilt = SlotGrant(windows=(make_window(27, 100, phase=1, every=2),))
    fresh = SlotGrant(windows=(make_window(500, 100, phase=1, every=2),))

    assert 0 < damage(table, spoilt) < damage(table, fresh) < 1


def test_a_slot_beside_another_costs_less_than_one_with_a_useless_gap() -> None:
    table = SlotTable(cycle=CYCLE, windows=(make_window(27, 100),))

    beside, apart = (SlotGrant(windows=(make_window(at, 100),)) for at in (127, 147))

    assert damage(table, beside) < damage(table, apart)


def test_no_slot_costs_nothing() -> None:
    assert damage(SlotTable(cycle=CYCLE), SlotGrant(windows=())) == 0


def test_the_search_chooses_what_costs_frequent_requests_nothing() -> None:
    table = SlotTable(cycle=CYCLE, windows=(make_window(500, 100, every=4),))

    grant = find_grant(table, make_request(8_000, payload=256))

    assert isinstance(grant, SlotGrant)
    assert us(500) <= grant.windows[0].offset <= us(600 - 43.52)
    assert grant.windows[0].phase % 4 != 0


def test_a_search_that_is_late_still_finds_a_free_place() -> None:
    blocker = make_window(100, 50, every=2)
    table = SlotTable(cycle=CYCLE, windows=(blocker,))

    grant = find_grant(table, make_request(4_000, payload=256), late=lambda: True)

    assert isinstance(grant, SlotGrant)
    assert check_table(SlotTable(cycle=CYCLE, windows=(blocker, *grant.windows))) is None


def test_a_search_can_be_given_up() -> None:
    def give_up() -> bool:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        find_grant(SlotTable(cycle=CYCLE), make_request(4_000, payload=256), late=give_up)

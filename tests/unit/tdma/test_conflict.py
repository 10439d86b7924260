"""The pairwise test and the check of whole tables."""

import random
from itertools import combinations

import pytest

from k40s.tdma import check_table
from k40s.tdma.conflict import CollisionError, neighbours, outside, overlap, prove
from k40s.tdma.model import SlotGrant, SlotTable, Window
from tests.unit.tdma.tdma_builders import make_cycle, make_window

CYCLE = make_cycle()


@pytest.mark.parametrize(
    ("one", "other", "meets"),
    [
        (make_window(100, 50), make_window(150, 50), False),
        (make_window(100, 50), make_window(149, 50), True),
        (make_window(100, 50), make_window(100, 50), True),
        (make_window(100, 50, phase=0, every=2), make_window(100, 50, phase=1, every=2), False),
        (make_window(100, 50, phase=0, every=2), make_window(100, 50, phase=1, every=3), True),
        (make_window(100, 50, phase=1, every=4), make_window(120, 50, phase=3, every=6), True),
        (make_window(100, 50, phase=1, every=4), make_window(120, 50, phase=2, every=6), False),
        (make_window(100, 50, phase=0, every=2), make_window(100, 50), True),
    ],
)
def test_two_slots_meet_if_their_windows_and_their_cycles_do(
    one: Window, other: Window, *, meets: bool
) -> None:
    assert overlap(one, other, CYCLE) is meets
    assert overlap(other, one, CYCLE) is meets


def test_a_window_may_end_with_the_cycle_and_not_later() -> None:
    assert not outside(make_window(950, 50), CYCLE)
    assert outside(make_window(951, 50), CYCLE)


def test_a_table_without_conflict_has_none() -> None:
    table = SlotTable(cycle=CYCLE, windows=(make_window(100, 50), make_window(150, 50)))

    assert check_table(table) is None


def test_the_first_conflicting_pair_of_a_table_is_named() -> None:
    one, other = make_window(100, 50), make_window(140, 50)

    assert check_table(SlotTable(cycle=CYCLE, windows=(one, other))) == (one, other)


@pytest.mark.parametrize("offset", [0, 26, 980, 2_000])
def test_a_slot_meets_the_sync_at_the_begin_of_its_cycle_or_of_the_next(offset: int) -> None:
    slot = make_window(offset, 50)

    assert check_table(SlotTable(cycle=CYCLE, windows=(slot,))) == (CYCLE.reserved[0], slot)


def test_a_grant_that_meets_a_slot_is_no_grant() -> None:
    table = SlotTable(cycle=CYCLE, windows=(make_window(100, 50, every=2),))
    apart = SlotGrant(windows=(make_window(100, 50, phase=1, every=2),))
    meets = SlotGrant(windows=(make_window(120, 50, phase=0, every=4),))

    assert prove(apart, table) is apart
    with pytest.raises(CollisionError):
        prove(meets, table)


def test_slots_of_one_grant_may_not_meet_either() -> None:
    grant = SlotGrant(windows=(make_window(100, 50), make_window(130, 50)))

    with pytest.raises(CollisionError):
        prove(grant, SlotTable(cycle=CYCLE))


def test_a_slot_meets_the_sync_of_a_backup_master() -> None:
    cycle, slot = make_cycle(backups=(500,)), make_window(480, 30, phase=3, every=8)

    assert check_table(SlotTable(cycle=cycle, windows=(slot,))) == (cycle.reserved[1], slot)


def test_a_conflict_is_found_wherever_it_stands_in_a_table() -> None:
    rng = random.Random(7)
    for _ in range(300):
        every = [rng.choice((1, 2, 3, 4, 6)) for _ in range(6)]
        windows = tuple(
            make_window(rng.randrange(30, 900), rng.randrange(5, 60), phase=n % k, every=k)
            for n, k in enumerate(every)
        )
        pairs = [set(pair) for pair in combinations(windows, 2) if overlap(*pair, CYCLE)]

        found = check_table(SlotTable(cycle=CYCLE, windows=windows))

        assert (found is None) == (not pairs)
        assert found is None or set(found) in pairs


def test_only_slots_at_the_same_place_are_compared() -> None:
    windows = tuple(
        make_window(50 + 9 * place, 9, phase=phase, every=8)
        for place in range(100)
        for phase in range(8)
    )

    assert check_table(SlotTable(cycle=CYCLE, windows=windows)) is None
    assert len(list(neighbours(windows))) == 100 * 8 * 7 / 2

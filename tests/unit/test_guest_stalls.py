"""Which times of a guest count as stalls; the processes that see them run in the guest only."""

import pytest

from tests.guest.stalls import BOUND, Stalls


@pytest.mark.parametrize(
    ("when", "covered"),
    [
        (9 * BOUND, False),
        (10 * BOUND, True),
        (15 * BOUND, True),
        (21 * BOUND, True),
        (21 * BOUND + 1, False),
        (30 * BOUND, True),
    ],
)
def test_a_stall_covers_its_time_and_some_after_it(when: int, *, covered: bool) -> None:
    stalls = Stalls([(30 * BOUND, 40 * BOUND), (10 * BOUND, 20 * BOUND)])

    assert stalls.cover(when) is covered


def test_stalls_of_several_cpus_are_joined() -> None:
    stalls = Stalls([(10, 90), (20, 30), (80, 100), (100 + 2 * BOUND, 101 + 2 * BOUND)])

    assert stalls.joint == [(10, 100 + BOUND), (100 + 2 * BOUND, 101 + 3 * BOUND)]


def test_nothing_is_covered_where_there_was_no_stall() -> None:
    assert not Stalls().cover(5)

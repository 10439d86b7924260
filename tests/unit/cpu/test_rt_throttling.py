from fractions import Fraction

from k40s.cpu.bandwidth import as_decimal, fits_capacity, room_above
from k40s.cpu.linux import avoids_rt_throttling


def test_short_servers_leave_headroom_up_to_nearly_nine_tenths() -> None:
    assert avoids_rt_throttling([(44, 100)] * 2, 0)
    assert not avoids_rt_throttling([(45_100, 100_000)] * 2, 0)


def test_a_long_server_can_spend_two_budgets_in_one_second() -> None:
    assert avoids_rt_throttling([(450_000, 1_000_000)], 0)
    assert not avoids_rt_throttling([(480_000, 1_000_000)], 0)


def test_each_server_may_overrun_by_a_tick() -> None:
    servers = [(11_000, 100_000)] * 7

    assert avoids_rt_throttling(servers, 0)
    assert not avoids_rt_throttling(servers, 8_000)


def test_a_sum_that_meets_its_capacity_exactly_fits() -> None:
    thirds = [(1, 3), (1, 3), (1, 3)]

    assert fits_capacity(thirds, Fraction(1))
    assert not fits_capacity([*thirds, (1, 10**15)], Fraction(1))
    assert fits_capacity([(1, 3)], Fraction(9, 10))
    assert not fits_capacity([(19, 20)], Fraction(9, 10))


def test_room_is_never_underestimated() -> None:
    room = room_above([(1, 3), (1, 7)], Fraction(9, 10))

    exact = (Fraction(9, 10) - Fraction(1, 3) - Fraction(1, 7)) * (1 << 40)
    assert exact <= room <= exact + 3


def test_shares_are_written_with_three_decimals() -> None:
    assert as_decimal(1 << 39) == "0.500"

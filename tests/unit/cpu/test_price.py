"""What containers take of a core beside what they declare, and what would take less."""

from dataclasses import replace
from fractions import Fraction

from k40s.cpu.model import DeadlineOffer, Domain, Mechanism
from k40s.cpu.price import LEAST_GAIN, Way, compared_prices, prices_of
from tests.unit.cpu.cpu_builders import admitted, held, ms, node, pod, task

LOOP = pod("loop", [task(0.1, 1)])


def test_a_container_is_compared_with_what_its_tasks_declare() -> None:
    servers = (
        held("a", 20, 100, task(10, 100), task(5, 100, name="u"), priorities=(98, 97)),
        held("b", 30, 100, task(25, 100), priorities=(96,)),
    )

    first, second = prices_of(servers)

    assert (first.pod_uid, first.declared, first.reserved) == (
        "a",
        Fraction(15, 100),
        Fraction(20, 100),
    )
    assert (second.declared, second.reserved) == (Fraction(1, 4), Fraction(3, 10))


def test_a_container_on_several_cores_has_one_price() -> None:
    parts = (
        held("a", 20, 100, task(10, 100), priorities=(98,)),
        held("a", 30, 100, task(20, 100, name="u"), priorities=(98,), core=1),
    )

    (price,) = prices_of(parts)

    assert (price.declared, price.reserved) == (Fraction(3, 10), Fraction(1, 2))


def test_a_short_loop_by_ticks_is_told_what_would_be_cheaper() -> None:
    (price,) = compared_prices(admitted(node(), LOOP).node)

    ways = {one.way: one for one in price.alternatives}
    assert set(ways) == {Way.DEADLINE, Way.HZ_1000, Way.LONGER_PERIODS}
    assert ways[Way.DEADLINE].share == Fraction(22, 100)
    assert not ways[Way.DEADLINE].offered
    assert ways[Way.DEADLINE].needs_hrtick
    assert all(one.share <= price.reserved - LEAST_GAIN for one in price.alternatives)
    assert [one.share for one in price.alternatives] == sorted(
        one.share for one in price.alternatives
    )


def test_exact_enforcement_has_nothing_cheaper_for_a_long_period() -> None:
    (price,) = compared_prices(admitted(node(tick=0), pod("a", [task(20, 100)])).node)

    assert price.alternatives == ()


def test_a_deadline_beyond_the_tick_needs_no_finer_enforcement() -> None:
    offer = DeadlineOffer(tick=ms(4), capacity=Fraction(9, 10), domain=Domain.PARTITIONED)
    current = admitted(
        replace(node(), deadline=offer),
        replace(pod("a", [task(2, 20)]), mechanism=Mechanism.RT_CGROUP),
    ).node

    (price,) = compared_prices(current)

    (deadline,) = (one for one in price.alternatives if one.way is Way.DEADLINE)
    assert deadline.offered
    assert not deadline.needs_hrtick


def test_a_constrained_deadline_is_told_that_a_budget_group_takes_less() -> None:
    offer = DeadlineOffer(tick=ms(0), capacity=Fraction(9, 10), domain=Domain.PARTITIONED)
    current = admitted(
        replace(node(tick=0), deadline=offer),
        replace(pod("a", [task(5, 100, 20)]), mechanism=Mechanism.DEADLINE),
    ).node

    (price,) = compared_prices(current)

    (group,) = (one for one in price.alternatives if one.way is Way.RT_CGROUP)
    assert group.share < price.reserved


def test_periods_of_the_longest_kind_get_no_longer() -> None:
    (price,) = compared_prices(admitted(node(), pod("a", [task(300_000, 3_600_000)])).node)

    assert Way.LONGER_PERIODS not in {one.way for one in price.alternatives}

from fractions import Fraction

import pytest

from k40s.cpu.admission.sched_deadline import deadlines_hold, domain_holds, interference
from k40s.cpu.analysis.edf import processor_demand_holds
from k40s.cpu.model import DeadlineOffer, Domain, Mechanism, Reservation, Server, Task
from tests.unit.cpu.cpu_builders import LOW, ms


def reservation(uid: str, wcet: float, period: float, deadline: float | None = None) -> Reservation:
    due = ms(period if deadline is None else deadline)
    return Reservation(
        pod_uid=uid,
        container="c",
        core=0,
        criticality=LOW,
        server=Server(budget=ms(wcet), period=ms(period)),
        tasks=(Task(name="t", wcet=ms(wcet), period=ms(period), deadline=due),),
        priorities=(),
        mechanism=Mechanism.DEADLINE,
    )


def offer(domain: Domain = Domain.PARTITIONED, cpus: int = 1, tick: float = 4) -> DeadlineOffer:
    return DeadlineOffer(tick=ms(tick), capacity=Fraction(9, 10), domain=domain, cpus=cpus)


def test_what_deadline_takes_is_two_budgets_and_two_overruns_more_than_its_share() -> None:
    alone = interference([(1_000, 10_000)], 4_000, 4_000)
    assert alone[0] == (1_000, 10_000, 18_000)
    assert sum(extra for extra, _period, _jitter in alone[1:]) + len(alone) * 4_000 == 8_000
    two = interference([(1_000, 10_000), (2_000, 20_000)], 4_000, 4_000)
    assert two[2][0] == 4_000
    exact = interference([(1_000, 10_000)], 4_000, 0)
    assert exact[1][0] == 8_000
    assert interference([], 4_000, 4_000) == ()


@pytest.mark.parametrize(
    ("tasks", "fits"),
    [
        ([(2, 6, 4), (2, 8, 5), (3, 9, 7)], True),
        ([(2, 6, 5), (2, 8, 4), (3, 12, 10)], True),
        ([(3, 4, 4), (1, 8, 4), (1, 100, 20)], True),
        ([(3, 4, 4), (1, 8, 4), (1, 100, 3)], False),
    ],
)
def test_one_pod_alone_is_judged_by_processor_demand(
    tasks: list[tuple[int, int, int]], fits: bool
) -> None:
    assert deadlines_hold(tasks, [], 4) is fits
    assert processor_demand_holds(tasks) is fits


def test_another_pod_may_overrun_once_by_a_tick() -> None:
    assert deadlines_hold([(6_000, 10_000, 10_000)], [], 4_000)
    assert deadlines_hold([(5_000, 10_000, 10_000)], [(1_000, 100_000, 100_000)], 4_000 - 101)
    assert not deadlines_hold([(5_000, 10_000, 10_000)], [(1_000, 100_000, 100_000)], 4_901)


def test_one_thread_alone_may_overrun_by_two_ticks_in_a_row() -> None:
    # From just after a tick a thread of (500, 1000) runs for 4000, gets the budgets of the periods
    # that it ran through at once, runs for 4000 more, sleeps until 9000 and runs until 12000.
    taken = interference([(500, 1_000)], 4_000, 4_000)

    assert sum(-(-(12_000 + j) // t) * c + 4_000 for c, t, j in taken) >= 11_000


def test_others_with_short_deadlines_may_demand_more_than_time_passes() -> None:
    # The deadline at 17000 holds. But 3000 later the others, released then, want 4000 more.
    own = [(3_000, 17_000, 17_000)]
    others = [(4_700, 14_000, 6_000), (5_600, 14_000, 14_000)]

    assert not deadlines_hold(own, others, 0)


def test_a_thread_of_another_pod_may_wake_with_a_part_of_its_budget() -> None:
    """By whole budgets, (7, 100, 9) above (4, 12, 12) would do: 7 by 9, and 11 by 12."""
    own, other = [(7, 100, 9)], [(4, 12, 12)]

    assert processor_demand_holds([*own, *other])
    assert not deadlines_hold(own, other, 0)


def test_a_domain_holds_up_to_its_capacity() -> None:
    nine_tenths = [reservation("a", 45, 100), reservation("a", 45, 100)]

    assert domain_holds(nine_tenths, offer())
    assert not domain_holds([*nine_tenths, reservation("a", 0.5, 1_000)], offer())
    assert not domain_holds([reservation("a", 95, 100)], offer(Domain.SHARED, cpus=2))


def test_an_exclusive_domain_holds_one_pod() -> None:
    two = [reservation("a", 1, 100), reservation("b", 1, 100)]

    assert domain_holds(two, offer())
    assert not domain_holds(two, offer(Domain.EXCLUSIVE))


def test_migrating_threads_are_judged_by_density_with_the_overruns_of_others() -> None:
    shared = offer(Domain.SHARED, cpus=2)
    light = [reservation("a", 30, 100) for _ in range(4)]
    heavy = [reservation("a", 30, 100), reservation("a", 30, 100), reservation("a", 85, 100)]

    assert domain_holds(light, shared)
    assert not domain_holds(heavy, shared)
    assert not domain_holds([reservation("a", 30, 100, 33)], shared)
    tight = [reservation("a", 3, 5), reservation("b", 1, 100)]
    assert domain_holds(tight, offer(Domain.SHARED, cpus=2, tick=1))
    assert not domain_holds(tight, offer(Domain.SHARED, cpus=2, tick=4))

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import pytest

from k40s.cpu.model import ContainerDemand, Reservation, Server, Task
from k40s.units import NS_PER_S, Nanoseconds
from tests.unit.cpu.cpu_builders import held, ms, node, task


@pytest.mark.parametrize(("wcet", "period", "deadline"), [(0, 10, 10), (5, 10, 4), (5, 10, 11)])
def test_a_task_fits_its_deadline_and_that_its_period(
    wcet: float, period: float, deadline: float
) -> None:
    with pytest.raises(ValueError, match="wcet <= deadline <= period"):
        task(wcet, period, deadline)


@pytest.mark.parametrize("period", [Nanoseconds(99_999), Nanoseconds(3601 * NS_PER_S)])
def test_a_task_period_lies_between_100_microseconds_and_an_hour(period: Nanoseconds) -> None:
    with pytest.raises(ValueError, match="100us to 3600s"):
        Task(name="t", wcet=Nanoseconds(1), period=period, deadline=period)


@pytest.mark.parametrize("budget", [0, 11])
def test_a_server_has_a_budget_up_to_its_period(budget: float) -> None:
    with pytest.raises(ValueError, match="budget <= period"):
        Server(budget=ms(budget), period=ms(10))


def test_utilization_and_bandwidth_are_exact() -> None:
    assert task(1, 3).utilization == Fraction(1, 3)
    assert Server(budget=ms(1), period=ms(3)).bandwidth == Fraction(1, 3)


def test_a_container_demand_has_a_task() -> None:
    with pytest.raises(ValueError, match="has no task"):
        ContainerDemand(container="c", tasks=())


def test_a_reservation_has_one_priority_for_each_task() -> None:
    with pytest.raises(ValueError, match="one priority per task"):
        held("a", 1, 10, task(1, 10), priorities=())


BROKEN: list[Callable[[], object]] = [
    lambda: replace(node(), cores=(1, 1)),
    lambda: replace(node(), tick=Nanoseconds(-1)),
    lambda: replace(node(), platform_factor=Fraction(0)),
    lambda: replace(node(), core_capacity=Fraction(11, 10)),
    lambda: replace(node(), node_capacity=Fraction(-1)),
]


@pytest.mark.parametrize("broken", BROKEN)
def test_a_node_that_cannot_be_is_refused(broken: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"twice|negative|capacities"):
        broken()


def reservations() -> tuple[Reservation, ...]:
    return (
        held("a", 1, 10, task(1, 10), priorities=(60,)),
        held("b", 2, 10, task(1, 10), priorities=(70,)),
        held("a", 3, 10, task(1, 10), priorities=(98,), core=1),
    )


def test_a_core_lists_its_reservations_from_the_most_urgent() -> None:
    current = node(*reservations(), cores=2)

    assert [r.pod_uid for r in current.on_core(0)] == ["b", "a"]
    assert current.utilization(0) == Fraction(3, 10)


def test_a_node_without_a_pod_keeps_the_others() -> None:
    current = node(*reservations(), cores=2)

    assert [r.pod_uid for r in current.without("a").reservations] == ["b"]
    assert current.without("nobody") is current

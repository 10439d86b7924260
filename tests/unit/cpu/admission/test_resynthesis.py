"""Where an exchange lets a refused pod in, and where none is sought."""

from dataclasses import replace
from fractions import Fraction

import pytest

from k40s.cpu.admission.admit import admit
from k40s.cpu.admission.exchange import Exchange, arrived, completed, overlapping
from k40s.cpu.admission.hi_reserve import find_reserve_breach
from k40s.cpu.admission.resynthesis import (
    MOST_SERVERS,
    admit_or_exchange,
    find_exchange,
    may_exchange,
)
from k40s.cpu.effort import Effort
from k40s.cpu.model import CpuNode, DeadlineOffer, Domain, Mechanism, PodDemand, Server
from k40s.cpu.outcome import Admission, Rejection
from tests.unit.cpu.cpu_builders import HI, admitted, ms, node, pod, task


def by_group(demand: PodDemand) -> PodDemand:
    return replace(demand, mechanism=Mechanism.RT_CGROUP)


def by_thread(demand: PodDemand) -> PodDemand:
    return replace(demand, mechanism=Mechanism.DEADLINE)


def first_come(current: CpuNode) -> CpuNode:
    """Long periods came first, and took long server periods."""
    for number, (wcet, period) in enumerate(((60, 600), (30, 200))):
        current = admitted(current, by_group(pod(f"p{number}", [task(wcet, period)]))).node
    return current


def refused(current: CpuNode) -> PodDemand:
    """A pod of short period that only an exchange lets in."""
    for wcet in range(9, 20):
        demand = by_group(pod("new", [task(wcet, 40)]))
        if isinstance(admit(current, demand), Rejection) and find_exchange(current, demand):
            return demand
    raise AssertionError("none is")


@pytest.fixture
def full() -> CpuNode:
    return first_come(node())


def test_a_pod_that_fits_needs_no_exchange() -> None:
    assert isinstance(admit_or_exchange(node(), pod("a", [task(5, 100)])), Admission)


def test_a_refused_pod_gets_in_by_an_exchange(full: CpuNode) -> None:
    demand = refused(full)

    plan = admit_or_exchange(full, demand)

    assert isinstance(plan, Exchange)
    current = full
    for step in plan.steps:
        both = overlapping(current, step)
        assert both is not None
        current = completed(both, step)
    end = arrived(current, plan)
    assert end is not None
    assert [one.pod_uid for one in end.reservations] == ["p0", "p1", "new"]
    assert plan.pod_uid == "new"


def test_a_pod_that_no_exchange_helps_is_refused(full: CpuNode) -> None:
    demand = by_group(pod("big", [task(80, 100)]))

    assert isinstance(admit_or_exchange(full, demand), Rejection)
    assert not may_exchange(full, demand)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"changing": frozenset({0})}, id="a core that changes already"),
        pytest.param({"node_capacity": Fraction(0)}, id="no rt-cgroups"),
        pytest.param({"ancestor_period": ms(100)}, id="containers' own cgroups"),
        pytest.param({"cores": (1,)}, id="no servers on its cores"),
    ],
)
def test_some_nodes_are_left_alone(full: CpuNode, other: dict[str, object]) -> None:
    demand = refused(full)

    closed = replace(full, **other)  # type: ignore[arg-type]  # the parameters are of several types

    assert find_exchange(closed, demand) is None
    assert not may_exchange(closed, demand)


def test_a_pod_that_holds_something_is_left_alone(full: CpuNode) -> None:
    assert not may_exchange(full, replace(refused(full), pod_uid="p0"))


def test_a_pod_that_asks_for_another_core_is_left_alone(full: CpuNode) -> None:
    demand = refused(full)
    (container,) = demand.containers
    pinned = replace(container, tasks=tuple(replace(one, core=1) for one in container.tasks))

    assert not may_exchange(replace(full, cores=(0, 1)), replace(demand, containers=(pinned,)))


def test_a_core_of_many_servers_is_left_alone() -> None:
    current = node(tick=0)
    for number in range(MOST_SERVERS + 1):
        current = admitted(current, pod(f"p{number}", [task(1, 500)])).node

    assert not may_exchange(current, pod("new", [task(1, 20)]))


def test_a_core_of_long_periods_is_left_alone() -> None:
    current = admitted(node(), pod("slow", [task(1_000, 40_000)])).node

    assert not may_exchange(current, pod("new", [task(5, 40)]))


def test_the_effort_is_bounded(full: CpuNode) -> None:
    demand = refused(full)

    assert find_exchange(full, demand, effort=Effort(10)) is None


def test_where_only_another_pod_could_not_be_served_nothing_is_planned(full: CpuNode) -> None:
    impossible = by_group(pod("new", [task(1, 4)]))

    assert find_exchange(full, impossible) is None


def with_deadline(current: CpuNode, domain: Domain) -> CpuNode:
    offer = DeadlineOffer(tick=current.tick, capacity=Fraction(9, 10), domain=domain)
    return replace(current, deadline=offer)


def test_servers_make_room_for_a_thread_of_sched_deadline() -> None:
    current = first_come(with_deadline(node(), Domain.PARTITIONED))

    plans = [
        find_exchange(current, demand)
        for tenths in range(20, 100)
        if isinstance(
            admit(current, demand := by_thread(pod("new", [task(tenths / 10, 60)]))), Rejection
        )
    ]

    found = next(plan for plan in plans if plan is not None)
    assert [one.mechanism for one in found.granted] == [Mechanism.DEADLINE]
    assert all(step.before.mechanism is Mechanism.RT_CGROUP for step in found.steps)


def test_threads_that_migrate_or_exceed_the_kernel_are_left_alone() -> None:
    shared = first_come(with_deadline(node(), Domain.SHARED))
    apart = first_come(with_deadline(node(), Domain.PARTITIONED))

    assert not may_exchange(first_come(node()), by_thread(pod("new", [task(3, 60)])))
    assert not may_exchange(shared, by_thread(pod("new", [task(3, 60)])))
    assert not may_exchange(apart, by_thread(pod("new", [task(0.99, 1)])))


def test_the_reserve_for_hi_stays_free(full: CpuNode) -> None:
    demand = refused(full)
    reserve = Server(budget=ms(20), period=ms(100))

    kept = find_exchange(replace(full, hi_reserve=reserve), demand)
    for_hi = find_exchange(
        replace(full, hi_reserve=Server(budget=ms(2), period=ms(100))),
        replace(demand, criticality=HI),
    )

    assert kept is None
    assert for_hi is None or for_hi.granted[0].criticality is HI


def reserving_for_hi(cores: int) -> tuple[CpuNode, PodDemand]:
    """A LOW pod that needs an exchange on core 0."""
    current = node()
    for number, (wcet, period) in enumerate(((60, 600), (10, 50))):
        current = admitted(current, by_group(pod(f"p{number}", [task(wcet, period)]))).node
    current = replace(
        current,
        cores=tuple(range(cores)),
        node_capacity=Fraction(cores),
        hi_reserve=Server(budget=ms(5), period=ms(200)),
    )
    return current, by_group(pod("new", [replace(task(10.4, 40), core=0)]))


def test_a_low_pod_closes_no_core_without_which_hi_has_no_room() -> None:
    current, demand = reserving_for_hi(cores=1)

    assert find_exchange(replace(current, hi_reserve=None), demand) is not None
    assert find_exchange(current, demand) is None


def test_a_hi_pod_may_close_the_core_that_has_the_room_for_hi(full: CpuNode) -> None:
    current = replace(full, hi_reserve=Server(budget=ms(5), period=ms(500)))
    demand = by_group(pod("new", [task(5, 30)], criticality=HI))
    assert find_reserve_breach(admit, current, current.cores) is None

    assert find_exchange(current, demand) is not None


def test_a_low_pod_takes_no_more_of_a_room_for_hi_that_is_too_small_already(full: CpuNode) -> None:
    demand = refused(full)
    current = replace(full, hi_reserve=Server(budget=ms(150), period=ms(200)))
    assert find_reserve_breach(admit, current, current.cores) is not None

    assert find_exchange(current, demand) is None


def test_a_low_pod_closes_a_core_while_hi_has_room_on_another() -> None:
    current, demand = reserving_for_hi(cores=2)

    assert isinstance(admit(current, demand), Rejection)
    assert find_exchange(current, demand) is not None
    assert find_exchange(replace(current, changing=frozenset({1})), demand) is None


def test_a_shared_group_of_other_cores_stays_as_it_is() -> None:
    current = replace(node(cores=2), shared_groups=True, node_capacity=Fraction(95, 100))
    for number, (wcet, period) in enumerate(((60, 600), (60, 600), (30, 200), (30, 200))):
        current = admitted(current, by_group(pod(f"p{number}", [task(wcet, period)]))).node
    demands = [by_group(pod("new", [task(tenths / 10, 40)])) for tenths in range(10, 80)]

    plans = [
        plan for one in demands if isinstance(plan := admit_or_exchange(current, one), Exchange)
    ]

    used = {one.group for one in current.reservations}
    for plan in plans:
        for step in plan.steps:
            assert step.after.group not in {
                one.group for one in current.reservations if one.core == plan.core
            }
            assert step.after.group not in used or step.after.server in {
                one.server for one in current.reservations if one.group == step.after.group
            }

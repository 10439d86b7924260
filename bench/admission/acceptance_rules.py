"""The admission rules that ``bench.admission.acceptance`` compares, for containers on one core.

Each takes containers, lists of (C, T) in microseconds with D = T, and δ. All but the last count the
overhead of a job (``k40s.cpu.linux``), keep ΣQ/P ≤ 0.9 and, where servers are of real-time groups,
the RT throttling limit of ``k40s.cpu.linux``. Offline rules see all containers at once and give
them bands by shortest period; admission sees them one after the other.
"""

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from random import Random

from k40s.cpu.admission.admit import admit
from k40s.cpu.admission.exchange import Exchange, arrived, completed, overlapping
from k40s.cpu.admission.resynthesis import admit_or_exchange
from k40s.cpu.analysis import containment
from k40s.cpu.analysis.deferrable_server import deferrable, largest_budget, server_response
from k40s.cpu.analysis.edf import processor_demand_holds
from k40s.cpu.analysis.response_time import (
    Interference,
    ServerParameters,
    TaskParameters,
    response_time,
)
from k40s.cpu.analysis.supply_bound import Supply, periodic_resource, response_on
from k40s.cpu.bandwidth import fits_capacity
from k40s.cpu.linux import JOB_OVERHEAD, ROOT_PERIOD, SERVER_OVERHEAD, avoids_rt_throttling
from k40s.cpu.model import (
    ContainerDemand,
    CpuNode,
    DeadlineOffer,
    Domain,
    Mechanism,
    PodDemand,
    Task,
)
from k40s.cpu.outcome import Admission, Rejection
from k40s.cpu.synthesis import PERIOD_DIVISORS, SHORTEST_PERIOD, cost, least_budget
from k40s.criticality import Criticality
from k40s.simulation.core import CoreSimulation, SimServer, SimTask
from k40s.units import NS_PER_US, Nanoseconds

Containers = Sequence[Sequence[tuple[int, int]]]
Tasks = tuple[TaskParameters, ...]
Budgeting = Callable[[Tasks, int, Interference, int], int | None]
"""Least budget for tasks, a period, what is above, and δ."""

CAPACITY = Fraction(9, 10)
MANY_DIVISORS = range(1, 17)


def by_admission(
    containers: Containers, tick: int, mechanism: Mechanism, *, exchanges: bool = True
) -> bool:
    """Admission by a node of one core, of one pod for each container, in this order.

    With ``exchanges`` servers of the core are exchanged where a pod is refused otherwise.
    """
    node = one_core(tick)
    for demand in demands_of(containers, mechanism):
        outcome = admit_or_exchange(node, demand) if exchanges else admit(node, demand)
        if isinstance(outcome, Rejection):
            return False
        node = outcome.node if isinstance(outcome, Admission) else exchanged(node, outcome)
    return True


def one_core(tick: int) -> CpuNode:
    """An empty node of one core that offers both mechanisms."""
    delta = Nanoseconds(tick * NS_PER_US)
    return CpuNode(
        cores=(0,),
        tick=delta,
        node_capacity=Fraction(1),
        core_capacity=CAPACITY,
        platform="any",
        platform_factor=Fraction(1),
        deadline=DeadlineOffer(tick=delta, capacity=CAPACITY, domain=Domain.PARTITIONED),
    )


def demands_of(
    containers: Containers, mechanism: Mechanism, *, first: int = 0
) -> Iterator[PodDemand]:
    """A LOW pod for each container, with numbers from the ``first`` on."""
    for number, tasks in enumerate(containers, start=first):
        wanted = tuple(
            Task(
                name=f"t{index}",
                wcet=Nanoseconds(wcet * NS_PER_US),
                period=Nanoseconds(period * NS_PER_US),
                deadline=Nanoseconds(period * NS_PER_US),
            )
            for index, (wcet, period) in enumerate(tasks)
        )
        yield PodDemand(
            pod_uid=f"p{number}",
            criticality=Criticality.LOW,
            containers=(ContainerDemand(container="c", tasks=wanted),),
            mechanism=mechanism,
        )


def exchanged(node: CpuNode, plan: Exchange) -> CpuNode:
    """The node after an exchange, each point of which passes the full test."""
    for step in plan.steps:
        both = overlapping(node, step)
        if both is None:
            raise AssertionError("a step of a plan does not hold")
        node = completed(both, step)
    after = arrived(node, plan)
    if after is None:
        raise AssertionError("the end of a plan does not hold")
    return after


def by_priorities(containers: Containers) -> bool:
    """Flat fixed priorities by period, exact, without any isolation between containers."""
    tasks = sorted((task for c in containers for task in figures(c)), key=lambda task: task[1])
    return all(
        response_time(wcet=c, deadline=d, above=tuple((a, b, 0) for a, b, _ in tasks[:index]))
        for index, (c, _, d) in enumerate(tasks)
    )


def by_demand(containers: Containers) -> bool:
    """A SCHED_DEADLINE reservation for each task, all of which keep their contracts."""
    tasks = [task for c in containers for task in figures(c)]
    return fits_capacity([(c, t) for c, t, _ in tasks], CAPACITY) and processor_demand_holds(tasks)


def by_servers(
    containers: Containers,
    tick: int,
    *,
    budgeting: Sequence[Budgeting],
    divisors: Sequence[int],
    burst: int | None = None,
) -> bool:
    """Deferrable servers, each with the cheapest of the budgets that the tests and periods give.

    Cost is admission's own, or else bandwidth and ``burst`` times Q/T, T being the container's
    shortest period.
    """
    servers: list[ServerParameters] = []
    for tasks in sorted(map(figures, containers), key=shortest):
        above = tuple(deferrable(*server) for server in servers)
        found = [
            (budget, period)
            for period in _periods(tasks, divisors)
            for test in budgeting
            if (budget := test(tasks, period, above, tick)) is not None
        ]
        if not found:
            return False
        servers.append(min(found, key=_costs(shortest(tasks), tick, burst)))
    return fits_capacity(servers, CAPACITY) and avoids_rt_throttling(servers, tick)


def by_periodic_resources(containers: Containers, tick: int) -> bool:
    """Servers under EDF (HCBS), tasks analyzed by the periodic resource model."""
    servers = []
    for tasks in map(figures, containers):
        found = [
            (budget, period)
            for period in _periods(tasks, PERIOD_DIVISORS)
            if (budget := _periodic_budget(tasks, period, tick)) is not None
        ]
        if not found:
            return False
        servers.append(min(found, key=_cost))
    return fits_capacity(servers, CAPACITY)


def hierarchical(tasks: Tasks, period: int, above: Interference, tick: int) -> int | None:
    """Davis & Burns."""
    high = largest_budget(period, above, tick)
    return least_budget(tasks, (1, high), period, above, tick)


def explicit_deadline(tasks: Tasks, period: int, above: Interference, tick: int) -> int | None:
    """Easwaran, Anand & Lee, the deadline being the server's response time."""

    def serves(budget: int) -> bool:
        received = server_response(budget, period, above, tick)
        if received is None:
            return False
        supply = Supply(budget=budget, period=period, deadline=received, tick=tick)
        return _all_served(supply, tasks)

    return _least(serves, largest_budget(period, above, tick))


contained = containment.least_budget


def misses_by_utilization(containers: Containers, tick: int, chance: Random) -> bool:
    """Whether servers of just the tasks' utilization miss in simulation, all contracts being kept.

    (Q, P) = (⌈P·ΣC/T⌉, shortest T), bands by period, phases random; C without any overhead.
    """
    core = CoreSimulation(tick=tick, tick_phase=chance.randrange(max(1, tick)))
    priority = 0
    longest = 0
    for number, tasks in enumerate(sorted(containers, key=lambda c: -min(t for _, t in c))):
        period = min(t for _, t in tasks)
        share = sum((Fraction(c, t) for c, t in tasks), Fraction(0))
        sims = []
        for index, (wcet, interval) in enumerate(sorted(tasks, key=lambda task: -task[1])):
            priority += 1
            longest = max(longest, interval)
            sims.append(
                SimTask(
                    name=str(index),
                    wcet=wcet,
                    period=interval,
                    deadline=interval,
                    priority=priority,
                    release=chance.randrange(interval),
                )
            )
        refill = 1 + chance.randrange(period)
        budget = min(period, -(-period * share.numerator // share.denominator))
        core.add(
            SimServer(
                name=str(number),
                budget=budget,
                period=period,
                next_replenishment=refill,
                tasks=sims,
            )
        )
    for step in range(1, 13):
        core.run(step * longest // 4)
        if core.misses:
            return True
    core.finish()
    return bool(core.misses)


def figures(tasks: Sequence[tuple[int, int]]) -> Tasks:
    """(C, T, D) with the overhead of a job, by period."""
    return tuple(sorted(((c + JOB_OVERHEAD, t, t) for c, t in tasks), key=lambda task: task[1]))


def shortest(tasks: Tasks) -> int:
    return min(period for _, period, _ in tasks)


def _periods(tasks: Tasks, divisors: Sequence[int]) -> Iterator[int]:
    least = min(ROOT_PERIOD, shortest(tasks))
    return (least // divisor for divisor in divisors if least // divisor >= SHORTEST_PERIOD)


def _cost(server: ServerParameters) -> Fraction:
    return Fraction(server[0] + SERVER_OVERHEAD, server[1])


def _costs(least: int, tick: int, burst: int | None) -> Callable[[ServerParameters], Fraction]:
    if burst is None:
        return lambda server: Fraction(cost(server, least, tick))
    return lambda server: _cost(server) + Fraction(burst * server[0], least)


def _periodic_budget(tasks: Tasks, period: int, tick: int) -> int | None:
    return _least(lambda q: _all_served(periodic_resource(q, period, tick), tasks), period)


def _all_served(supply: Supply, tasks: Tasks) -> bool:
    return all(
        response_on(supply, task, tasks[:index]) is not None for index, task in enumerate(tasks)
    )


def _least(serves: Callable[[int], bool], high: int) -> int | None:
    """By bisection; None where not even the highest suffices."""
    if high < 1 or not serves(high):
        return None
    low = 1
    while low < high:
        middle = (low + high) // 2
        if serves(middle):
            high = middle
        else:
            low = middle + 1
    return high

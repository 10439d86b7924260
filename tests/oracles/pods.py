"""Random nodes and pods of the kind that admission often takes."""

from dataclasses import replace
from fractions import Fraction
from math import exp, log
from random import Random

from hypothesis import strategies as st

from k40s.cpu.model import (
    ContainerDemand,
    CpuNode,
    DeadlineOffer,
    Domain,
    Mechanism,
    Packing,
    PodDemand,
    Task,
)
from k40s.criticality import Criticality
from k40s.units import NS_PER_MS, Nanoseconds

PERIODS = (20, 25, 30, 40, 50, 60, 80, 100, 125, 150, 200, 250, 300, 400, 500, 1000)
"""Milliseconds."""
TICKS = (0, 1, 4)


SHAPES = ((1,), (1,), (1,), (2,), (3,), (1, 1), (1, 2))
"""Tasks in each container of a pod."""
DEADLINES = (100, 100, 100, 90, 70, 50)
"""Per cent of the period."""
PRIORITIES = (None, None, 1, 3, 5)
UIDS = "pqrstu"


def task_of(number: int) -> Task:
    """A task of 0.5 to 15 % of a CPU, its deadline equal to its period or shorter.

    One number stands for one task, because drawing is what takes hypothesis long.
    """
    number, period_index = divmod(number, len(PERIODS))
    number, deadline_index = divmod(number, len(DEADLINES))
    number, priority_index = divmod(number, len(PRIORITIES))
    period = PERIODS[period_index] * NS_PER_MS
    wcet = (5 + number % 146) * period // 1_000
    return Task(
        name="t",
        wcet=Nanoseconds(wcet),
        period=Nanoseconds(period),
        deadline=Nanoseconds(period * DEADLINES[deadline_index] // 100),
        priority=PRIORITIES[priority_index],
    )


TASKS = st.integers(0, len(PERIODS) * len(DEADLINES) * len(PRIORITIES) * 146 - 1).map(task_of)


@st.composite
def pods(draw: st.DrawFn) -> PodDemand:
    """A pod of one or two containers with one to three tasks each."""
    number, shape_index = divmod(draw(st.integers(0, len(SHAPES) * len(UIDS) * 2 - 1)), len(SHAPES))
    uid_index, criticality = divmod(number, 2)
    return PodDemand(
        pod_uid=UIDS[uid_index],
        criticality=(Criticality.LOW, Criticality.HI)[criticality],
        containers=tuple(
            ContainerDemand(
                container=f"c{index}",
                tasks=tuple(replace(draw(TASKS), name=f"t{number}") for number in range(size)),
            )
            for index, size in enumerate(SHAPES[shape_index])
        ),
    )


def empty_node(tick_ms: int, cores: int = 1, capacity: Fraction = Fraction(9, 10)) -> CpuNode:
    """A node whose sum over all cores is not what limits it."""
    return CpuNode(
        cores=tuple(range(cores)),
        tick=Nanoseconds(tick_ms * NS_PER_MS),
        node_capacity=Fraction(cores),
        core_capacity=capacity,
        platform="any",
        platform_factor=Fraction(1),
    )


@st.composite
def nodes(draw: st.DrawFn) -> CpuNode:
    """An empty node of one to three cores, ideal or with ticks of 1 or 4 ms."""
    return empty_node(draw(st.sampled_from(TICKS)), draw(st.integers(1, 3)))


def pod_of(uid: str, *, wcet_ms: int = 5, period_ms: int = 100) -> PodDemand:
    """A HI pod of one task."""
    period = Nanoseconds(period_ms * NS_PER_MS)
    task = Task(name="t", wcet=Nanoseconds(wcet_ms * NS_PER_MS), period=period, deadline=period)
    return PodDemand(
        pod_uid=uid,
        criticality=Criticality.HI,
        containers=(ContainerDemand(container="c", tasks=(task,)),),
    )


def random_pod(chance: Random, uid: str) -> PodDemand:
    """A pod of one container, where a seed has to give the same pods for ever."""
    drawn = []
    for index in range(chance.choice((1, 1, 2))):
        period = chance.choice(PERIODS) * NS_PER_MS
        wcet = period * chance.randrange(10, 150) // 1_000_000 * 1_000
        drawn.append(
            Task(
                name=f"t{index}",
                wcet=Nanoseconds(wcet),
                period=Nanoseconds(period),
                deadline=Nanoseconds(period),
            )
        )
    return PodDemand(
        pod_uid=uid,
        criticality=chance.choice((Criticality.LOW, Criticality.HI)),
        containers=(ContainerDemand(container="c", tasks=tuple(drawn)),),
    )


def random_large_pod(chance: Random, uid: str, cores: int) -> PodDemand:
    """A pod of up to two containers with up to four tasks, by any mechanism, sometimes pinned."""
    containers = []
    for number in range(chance.choice((1, 1, 2))):
        drawn = []
        heaviest = chance.choice((30, 60, 150, 300))
        for index in range(chance.choice((1, 1, 2, 3, 4))):
            period = chance.choice((5, 8, 10, 12, *PERIODS)) * NS_PER_MS
            wcet = period * chance.randrange(10, heaviest) // 1_000_000 * 1_000
            drawn.append(
                Task(
                    name=f"t{index}",
                    wcet=Nanoseconds(wcet),
                    period=Nanoseconds(period),
                    deadline=Nanoseconds(period * chance.choice(DEADLINES) // 100),
                    core=chance.randrange(cores) if chance.random() < 0.1 else None,
                )
            )
        containers.append(ContainerDemand(container=f"c{number}", tasks=tuple(drawn)))
    return PodDemand(
        pod_uid=uid,
        criticality=chance.choice((Criticality.LOW, Criticality.HI)),
        containers=tuple(containers),
        mechanism=chance.choice((None, None, *Mechanism)),
    )


def random_node(chance: Random, tick_ms: int) -> CpuNode:
    """An empty node of one to three cores, with any mechanisms, groups and packing."""
    cores = chance.choice((1, 2, 2, 3))
    domain = chance.choice((None, *Domain))
    shared = chance.random() < 0.5
    offer = DeadlineOffer(
        tick=Nanoseconds(tick_ms * NS_PER_MS),
        capacity=Fraction(9, 10),
        domain=domain or Domain.PARTITIONED,
        cpus=cores if domain is Domain.SHARED else 1,
    )
    return replace(
        empty_node(tick_ms, cores),
        node_capacity=Fraction(95, 100) if shared else Fraction(cores),
        shared_groups=shared,
        deadline=offer if domain else None,
        packing=chance.choice(tuple(Packing)),
    )


SHORTEST_MS = {0: 5, 1: 10, 2: 15, 4: 20, 10: 60}
"""Shortest periods that a core with ticks of so many milliseconds takes by rt-cgroups."""


def falling_pods(chance: Random, tick_ms: int, number: int) -> list[PodDemand]:
    """Pods of one container, those with the longest periods first: the order that costs most."""
    low, high = log(SHORTEST_MS[tick_ms]), log(1_000)
    shortest = sorted((exp(chance.uniform(low, high)) for _ in range(number)), reverse=True)
    return [_pod_of_period(chance, f"p{index}", period) for index, period in enumerate(shortest)]


def _pod_of_period(chance: Random, uid: str, shortest_ms: float) -> PodDemand:
    drawn = []
    for index in range(chance.choice((1, 2, 2, 3))):
        factor = 1 if index == 0 else chance.uniform(1, 3)
        period = Nanoseconds(int(shortest_ms * factor) * NS_PER_MS)
        wcet = Nanoseconds(max(1_000, int(period * chance.uniform(0.01, 0.12)) // 1_000 * 1_000))
        drawn.append(Task(name=f"t{index}", wcet=wcet, period=period, deadline=period))
    return PodDemand(
        pod_uid=uid,
        criticality=chance.choice((Criticality.LOW, Criticality.LOW, Criticality.HI)),
        containers=(ContainerDemand(container="c", tasks=tuple(drawn)),),
        mechanism=Mechanism.RT_CGROUP,
    )

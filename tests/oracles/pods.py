"""Random nodes and pods of the kind that admission often takes."""

from fractions import Fraction
from random import Random

from hypothesis import strategies as st

from k40s.cpu.model import ContainerDemand, CpuNode, PodDemand, Task
from k40s.criticality import Criticality
from k40s.units import NS_PER_MS, NS_PER_US, Nanoseconds

PERIODS = (20, 25, 30, 40, 50, 60, 80, 100, 125, 150, 200, 250, 300, 400, 500, 1000)
"""Milliseconds."""
TICKS = (0, 1, 4)


@st.composite
def tasks(draw: st.DrawFn, *, periods: tuple[int, ...] = PERIODS) -> Task:
    """A task of 0.5 to 15 % of a CPU, its deadline equal to its period or shorter."""
    period = draw(st.sampled_from(periods)) * NS_PER_MS
    wcet = draw(st.integers(min_value=5, max_value=150)) * period // 1000
    deadline = period * draw(st.sampled_from((100, 100, 100, 90, 70, 50))) // 100
    return Task(
        name=draw(st.sampled_from("abcdef")),
        wcet=Nanoseconds(wcet // NS_PER_US * NS_PER_US),
        period=Nanoseconds(period),
        deadline=Nanoseconds(deadline // NS_PER_US * NS_PER_US),
        priority=draw(st.one_of(st.none(), st.none(), st.integers(1, 5))),
    )


@st.composite
def pods(
    draw: st.DrawFn, *, periods: tuple[int, ...] = PERIODS, uids: tuple[str, ...] = tuple("pqrstu")
) -> PodDemand:
    """A pod of one or two containers with one to three tasks each."""
    sizes = draw(st.sampled_from(((1,), (1,), (1,), (2,), (3,), (1, 1), (1, 2))))
    return PodDemand(
        pod_uid=draw(st.sampled_from(uids)),
        criticality=draw(st.sampled_from((Criticality.LOW, Criticality.HI))),
        containers=tuple(
            ContainerDemand(
                container=f"c{index}",
                tasks=tuple(draw(tasks(periods=periods)) for _ in range(size)),
            )
            for index, size in enumerate(sizes)
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

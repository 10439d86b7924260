"""Random nodes, and pods that admission has put on them: what is then run for real."""

from enum import Enum
from fractions import Fraction
from random import Random

from k40s.cpu.admission.admit import admit
from k40s.cpu.model import (
    ContainerDemand,
    CpuNode,
    DeadlineOffer,
    Domain,
    Mechanism,
    PodDemand,
    Task,
)
from k40s.cpu.outcome import Admission
from k40s.criticality import Criticality
from k40s.units import NS_PER_MS, NS_PER_US, Nanoseconds
from tests.fakes.rubicante.world import uid
from tests.kernel.conftest import CORE
from tests.kernel.deadline_scene import TICK

_PERIODS = (40, 50, 80, 100, 160, 200, 250)
_CAPACITY = Fraction(85, 100)


class Kind(Enum):
    """What holds the containers of a set, and where."""

    RT_CGROUP = "rt-cgroup"
    PARTITIONED = "deadline, partitioned"
    SHARED = "deadline, shared domain"
    MIXED = "both on one core"


def random_node(chance: Random, kind: Kind) -> CpuNode:
    """A core with two to four pods that admission has taken, one task or two each."""
    node = empty_node(kind)
    for number in range(1, 5):
        outcome = admit(node, _pod(chance, kind, number))
        if isinstance(outcome, Admission):
            node = outcome.node
    pods = {held.pod_uid for held in node.reservations}
    kinds = {held.mechanism for held in node.reservations}
    if len(pods) < 2 or (kind is Kind.MIXED and len(kinds) < 2):
        return random_node(chance, kind)
    return node


def empty_node(kind: Kind) -> CpuNode:
    """A node that offers what a kind needs, on CPU 1 or both."""
    shared = kind is Kind.SHARED
    return CpuNode(
        cores=(0, CORE) if shared else (CORE,),
        tick=TICK,
        node_capacity=Fraction(0) if shared or kind is Kind.PARTITIONED else _CAPACITY,
        core_capacity=_CAPACITY,
        platform="",
        platform_factor=Fraction(1),
        deadline=None
        if kind is Kind.RT_CGROUP
        else DeadlineOffer(
            tick=TICK,
            capacity=_CAPACITY if not shared else Fraction(1, 2),
            domain=Domain.SHARED if shared else Domain.PARTITIONED,
            cpus=2 if shared else 1,
        ),
    )


def _pod(chance: Random, kind: Kind, number: int) -> PodDemand:
    mechanism = {
        Kind.RT_CGROUP: Mechanism.RT_CGROUP,
        Kind.MIXED: chance.choice(tuple(Mechanism)),
    }.get(kind, Mechanism.DEADLINE)
    tasks = []
    for index in range(chance.choice((1, 1, 2))):
        period = chance.choice(_PERIODS) * NS_PER_MS
        wcet = max(2 * NS_PER_MS, round(period * chance.uniform(0.03, 0.15)))
        deadline = max(wcet, round(period * chance.choice((1, 1, 0.8))))
        tasks.append(
            Task(
                name=f"t{number}{index}",
                wcet=Nanoseconds(wcet // NS_PER_US * NS_PER_US),
                period=Nanoseconds(period),
                deadline=Nanoseconds(deadline // NS_PER_US * NS_PER_US),
            )
        )
    return PodDemand(
        pod_uid=uid(number),
        criticality=chance.choice((Criticality.HI, Criticality.LOW)),
        containers=(ContainerDemand(container="main", tasks=tuple(tasks)),),
        mechanism=mechanism,
    )

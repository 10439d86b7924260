"""What a container's reservations take of a core, beside what its tasks declare, and what is less.

``declared`` is ΣC/T of the tasks as they are declared, ``reserved`` the ΣQ/P that their servers
take. The difference is the price of holding the container to its contract: overheads, the
granularity of enforcement δ, and periods that do not fit. Alternatives are computed by admission
itself, for the container alone on an empty core of the same node: what another pod takes from it
meanwhile is not part of the comparison.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction

from k40s.cpu.admission.admit import admit
from k40s.cpu.model import (
    ContainerDemand,
    CpuNode,
    DeadlineOffer,
    Domain,
    Mechanism,
    PodDemand,
    Reservation,
    Task,
    total_bandwidth,
)
from k40s.cpu.outcome import Admission
from k40s.criticality import Criticality
from k40s.units import NS_PER_MS, Nanoseconds

LEAST_GAIN = Fraction(1, 100)
"""Of a core. An alternative that saves less is not worth a change."""
PERIOD_FACTOR = 10
FINER_TICK = Nanoseconds(NS_PER_MS)
"""At HZ = 1000, the finest tick that Linux offers."""


class Way(StrEnum):
    """How a container could take less of a core."""

    DEADLINE = "deadline"
    RT_CGROUP = "rt-cgroup"
    HZ_1000 = "hz-1000"
    LONGER_PERIODS = "periods-x10"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """``share`` of a core that the container takes alone on an empty one, by that way.

    ``offered`` says whether the node has the mechanism. ``needs_hrtick``: beside threads of other
    pods its deadlines are accepted only with the scheduler feature HRTICK_DL.
    """

    way: Way
    share: Fraction
    offered: bool = True
    needs_hrtick: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """The price of one container's reservations; ``alternatives`` take less, the least first."""

    pod_uid: str
    container: str
    declared: Fraction
    reserved: Fraction
    alternatives: tuple[Alternative, ...] = ()


def prices_of(reservations: Sequence[Reservation]) -> tuple[Price, ...]:
    """The price of each container, in order, without alternatives."""
    held: dict[tuple[str, str], list[Reservation]] = {}
    for one in reservations:
        held.setdefault((one.pod_uid, one.container), []).append(one)
    return tuple(
        Price(
            pod_uid=uid,
            container=container,
            declared=sum((t.utilization for r in own for t in r.tasks), Fraction(0)),
            reserved=total_bandwidth(own),
        )
        for (uid, container), own in held.items()
    )


def compared_prices(node: CpuNode) -> tuple[Price, ...]:
    """The price of each container that a node holds, with the alternatives that take less."""
    found = []
    for price in prices_of(node.reservations):
        own = [
            held
            for held in node.reservations
            if (held.pod_uid, held.container) == (price.pod_uid, price.container)
        ]
        found.append(replace(price, alternatives=_alternatives(node, own, price.reserved)))
    return tuple(found)


def _alternatives(
    node: CpuNode, own: Sequence[Reservation], reserved: Fraction
) -> tuple[Alternative, ...]:
    mechanism = own[0].mechanism
    tasks = tuple(replace(task, core=None) for held in own for task in held.tasks)
    criticality = own[0].criticality
    alone = _share_alone(node, tasks, criticality, mechanism)
    limit = (reserved if alone is None else min(alone, reserved)) - LEAST_GAIN
    found = [one for one in _candidates(node, tasks, criticality, mechanism) if one.share <= limit]
    return tuple(sorted(found, key=lambda one: one.share))


def _candidates(
    node: CpuNode, tasks: tuple[Task, ...], criticality: Criticality, mechanism: Mechanism
) -> Iterator[Alternative]:
    if mechanism is Mechanism.RT_CGROUP:
        offer = node.deadline
        share = _share_alone(node, tasks, criticality, Mechanism.DEADLINE)
        if share is not None:
            tick = node.tick if offer is None else offer.tick
            tight = any(task.deadline <= tick for task in tasks)
            yield Alternative(
                way=Way.DEADLINE, share=share, offered=offer is not None, needs_hrtick=tight
            )
        if node.tick > FINER_TICK:
            finer = replace(node, tick=FINER_TICK)
            share = _share_alone(finer, tasks, criticality, Mechanism.RT_CGROUP)
            if share is not None:
                yield Alternative(way=Way.HZ_1000, share=share)
    elif node.node_capacity > 0:
        share = _share_alone(node, tasks, criticality, Mechanism.RT_CGROUP)
        if share is not None:
            yield Alternative(way=Way.RT_CGROUP, share=share)
    longer = _with_longer_periods(tasks)
    share = None if longer is None else _share_alone(node, longer, criticality, mechanism)
    if share is not None:
        yield Alternative(way=Way.LONGER_PERIODS, share=share)


def _with_longer_periods(tasks: tuple[Task, ...]) -> tuple[Task, ...] | None:
    """The same load in jobs that are longer and rarer; None where a period would be too long."""
    try:
        return tuple(
            replace(
                task,
                wcet=Nanoseconds(PERIOD_FACTOR * task.wcet),
                period=Nanoseconds(PERIOD_FACTOR * task.period),
                deadline=Nanoseconds(PERIOD_FACTOR * task.deadline),
            )
            for task in tasks
        )
    except ValueError:
        return None


def _share_alone(
    node: CpuNode, tasks: tuple[Task, ...], criticality: Criticality, mechanism: Mechanism
) -> Fraction | None:
    """ΣQ/P of a container alone on an empty core; None where it is refused even so."""
    offer = node.deadline
    empty = replace(
        node,
        cores=node.cores[:1],
        reservations=(),
        node_capacity=Fraction(1),
        hi_reserve=None,
        deadline=DeadlineOffer(
            tick=node.tick if offer is None else offer.tick,
            capacity=node.core_capacity if offer is None else offer.capacity,
            domain=Domain.PARTITIONED,
            delay=Nanoseconds(0) if offer is None else offer.delay,
        ),
    )
    demand = PodDemand(
        pod_uid="alone",
        criticality=criticality,
        containers=(ContainerDemand(container="alone", tasks=tasks),),
        mechanism=mechanism,
    )
    outcome = admit(empty, demand)
    return total_bandwidth(outcome.granted) if isinstance(outcome, Admission) else None

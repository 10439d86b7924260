"""Bandwidth reserved for HI pods on every node.

A node names a task (C, T). Every core keeps C/T of its capacity free of LOW servers, and beside all
LOW pods of the node a HI pod with that one task would be admitted: by the same test that admits
it when it arrives, so that bandwidth, deadlines of LOW tasks below it, priorities and numbers are
all covered (docs/adr/0017-room-for-hi.md).
"""

from collections.abc import Collection, Iterator
from dataclasses import replace
from fractions import Fraction

from k40s.cpu.model import (
    ANY_CORE,
    ContainerDemand,
    CpuNode,
    Packing,
    PodDemand,
    Server,
    Task,
)
from k40s.cpu.outcome import Admission, Admit, Rejection
from k40s.criticality import Criticality
from k40s.reasons import Reason
from k40s.units import NS_PER_US, Nanoseconds

LEAST_RESERVE = Nanoseconds(1_000_000)
"""A node that is too small for its reserve keeps half of it, and so on down to this WCET."""
_UID = "k40s-hi-reserve"


def find_reserve_breach(admit: Admit, node: CpuNode, cores: Collection[int]) -> Rejection | None:
    """Rejects what a LOW pod was granted on ``cores`` where it uses the reserve for HI; else None.

    ``node`` is the one after the grant; ``admit`` is its test. Reservations of HI pods count as
    part of the reserve. A node without reserve, or too small for any, rejects nothing; one whose
    cores are ``changing`` is not too small for that. The HI task gets a budget group of its own
    here: one that it could share may be gone when it arrives.
    """
    if node.hi_reserve is None:
        return None
    held = tuple(one for one in node.reservations if one.criticality is not Criticality.HI)
    below = replace(node, reservations=held, packing=Packing.WORST_FIT, shared_groups=False)
    empty = replace(below.holding(()), changing=frozenset())
    for reserve in _halved(node.hi_reserve):
        breach = _first_breach(admit, below, cores, reserve)
        if breach is None:
            return None
        if isinstance(breach, Rejection):
            return breach
        if isinstance(admit(empty, reserve_demand(reserve)), Admission):
            return Rejection(reason=Reason.CPU_RESERVED_FOR_HI, detail=breach)
    return None


def reserve_demand(reserve: Server) -> PodDemand:
    """The HI pod of the reserve: one task with WCET C and period T."""
    task = Task(name="reserve", wcet=reserve.budget, period=reserve.period, deadline=reserve.period)
    return PodDemand(
        pod_uid=_UID,
        criticality=Criticality.HI,
        containers=(ContainerDemand(container="reserve", tasks=(task,)),),
    )


def _halved(reserve: Server) -> Iterator[Server]:
    while True:
        yield reserve
        half = Nanoseconds(reserve.budget // (2 * NS_PER_US) * NS_PER_US)
        if half < LEAST_RESERVE:
            return
        reserve = replace(reserve, budget=half)


def _first_breach(
    admit: Admit, below: CpuNode, cores: Collection[int], reserve: Server
) -> str | Rejection | None:
    """A text; a rejection where the test gave no answer."""
    for core in cores:
        limit = _capacity(below, core) - reserve.bandwidth
        used = below.utilization(core)
        if used > limit:
            where = "the shared root domain" if core == ANY_CORE else f"core {core}"
            return f"LOW pods would use {float(used):.3f} of {float(limit):.3f} on {where}"
    outcome = admit(below, reserve_demand(reserve))
    if isinstance(outcome, Admission):
        return None
    if outcome.reason in (Reason.CPU_TEST_FAILED, Reason.CPU_ANALYSIS_LIMIT):
        return outcome
    return f"the HI task that the node keeps room for would be refused: {outcome.detail}"


def _capacity(node: CpuNode, core: int) -> Fraction:
    offer = node.deadline
    if offer is None:
        return node.core_capacity
    if core == ANY_CORE:
        return offer.capacity * offer.cpus
    return node.core_capacity if node.on_core(core) else max(node.core_capacity, offer.capacity)

"""Admission of a pod to a node: all of its containers or none.

Containers are placed in order of decreasing utilization, each by one mechanism. A result is given
only after the full test (``k40s.cpu.verification``) has passed on the very reservations it holds.
"""

from collections import Counter

from k40s.cpu.bands import Band
from k40s.cpu.cores import NodeLoad
from k40s.cpu.jobs import Refusals, assign, migrate
from k40s.cpu.model import (
    ANY_CORE,
    ContainerDemand,
    CpuNode,
    Domain,
    Mechanism,
    PodDemand,
    Reservation,
)
from k40s.cpu.necessity import may_fit
from k40s.cpu.offers import mechanisms_for, offered_mechanisms
from k40s.cpu.outcome import Admission, Rejection
from k40s.cpu.seats import Asker
from k40s.cpu.verification import node_holds
from k40s.reasons import Reason

__all__ = ["admit", "may_fit"]

_TELLING = (
    Reason.CPU_CORE_UNKNOWN,
    Reason.CPU_NOT_SCHEDULABLE,
    Reason.CPU_NO_PRIORITY,
    Reason.CPU_NODE_BANDWIDTH,
    Reason.CPU_NO_BANDWIDTH,
    Reason.CPU_NO_MECHANISM,
)
"""Where cores or mechanisms refuse for different reasons, the first of these is the pod's."""


def admit(node: CpuNode, demand: PodDemand) -> Admission | Rejection:
    """Admit a pod, or say why not. The node after admission holds all reservations.

    A pod that already holds exactly what it demands keeps it, unchanged. Otherwise its old
    reservations are dropped first; numbers of budget groups that they had are not given out
    again by the same admission.
    """
    held = _held_already(node, demand)
    if held is not None:
        return Admission(node=node, granted=held)
    offered = offered_mechanisms(node, demand)
    if isinstance(offered, Reason):
        return Rejection(reason=offered, detail="no core takes real-time tasks by what is asked")
    taken = frozenset(r.group for r in node.reservations if r.group is not None)
    after = node.without(demand.pod_uid)
    wanted = [(Band.of_demand(c, demand.criticality).share, c) for c in demand.containers]
    for _share, container in sorted(wanted, key=lambda entry: -entry[0]):
        outcome = _place(after, Asker(demand, container, taken), offered)
        if isinstance(outcome, Rejection):
            return outcome
        after = outcome
    return Admission(node=after, granted=_in_order(after, demand))


def _held_already(node: CpuNode, demand: PodDemand) -> tuple[Reservation, ...] | None:
    """The pod's reservations, if they are exactly what it demands and still hold."""
    held = _in_order(node, demand)
    if not held:
        return None
    wanted = Counter((c.container, task) for c in demand.containers for task in c.tasks)
    if Counter((r.container, task) for r in held for task in r.tasks) != wanted:
        return None
    for reservation in held:
        mechanism = demand.mechanism or reservation.mechanism
        asked = {task.core for task in reservation.tasks} - {None, reservation.core}
        if reservation.criticality is not demand.criticality or asked:
            return None
        if reservation.mechanism is not mechanism:
            return None
    return held if node_holds(node) else None


def _in_order(node: CpuNode, demand: PodDemand) -> tuple[Reservation, ...]:
    """The pod's reservations in the order of its containers, and of their tasks."""
    containers = {c.container: index for index, c in enumerate(demand.containers)}
    tasks = {
        (c.container, task): index for c in demand.containers for index, task in enumerate(c.tasks)
    }

    def rank(held: Reservation) -> tuple[int, int]:
        first = tasks.get((held.container, held.tasks[0]), len(tasks))
        return containers.get(held.container, len(containers)), first

    return tuple(sorted((r for r in node.reservations if r.pod_uid == demand.pod_uid), key=rank))


def _place(node: CpuNode, asker: Asker, offered: tuple[Mechanism, ...]) -> CpuNode | Rejection:
    """The node with one more container, by the first mechanism that takes it."""
    tasks = asker.container.tasks
    unknown = {task.core for task in tasks} - {None, *node.cores}
    if unknown:
        detail = f"container {asker.container.container}: core {unknown} takes no reservations"
        return Rejection(reason=Reason.CPU_CORE_UNKNOWN, detail=detail)
    load = NodeLoad(node)
    offer = node.deadline
    refusals: list[Refusals] = []
    for mechanism in mechanisms_for(node, asker.container, offered):
        shared = offer is not None and offer.domain is Domain.SHARED
        by = migrate if shared and mechanism is Mechanism.DEADLINE else assign
        outcome = by(load, tasks, asker.seat(mechanism))
        if isinstance(outcome, CpuNode):
            return outcome
        refusals.append(outcome)
    return _refusal(asker.container, refusals)


def _refusal(container: ContainerDemand, refusals: list[Refusals]) -> Rejection:
    """The most telling reason, and what each core said, by mechanism in the order tried."""
    reason = min((r.reason for by in refusals for _, r in by), key=_TELLING.index)
    texts = ["; ".join(f"{_where(core)}: {r.detail}" for core, r in by) for by in refusals]
    return Rejection(
        reason=reason, detail=f"container {container.container}: {'; else '.join(texts)}"
    )


def _where(core: int) -> str:
    return "any core" if core == ANY_CORE else f"core {core}"

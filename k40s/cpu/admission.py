"""Admission of a pod to a node: first fit over the cores, all of its containers or none.

Each container gets one server on one core. Containers are tried in order of decreasing
utilization, cores in the order in which the node lists them. A result is given only after the
core's full test (``k40s.cpu.verification``) has passed on the very reservations it holds.
"""

from collections.abc import Mapping
from fractions import Fraction

from k40s.cpu.bands import Band
from k40s.cpu.cores import Placement, loads_of, settle
from k40s.cpu.figures import task_figures
from k40s.cpu.model import ContainerDemand, CpuNode, PodDemand, Reservation, Task
from k40s.cpu.outcome import Admission, Rejection
from k40s.cpu.partition import place
from k40s.cpu.verification import core_holds, node_holds
from k40s.reasons import Reason

_TELLING = (
    Reason.CPU_NOT_SCHEDULABLE,
    Reason.CPU_NO_PRIORITY,
    Reason.CPU_NODE_BANDWIDTH,
    Reason.CPU_NO_BANDWIDTH,
)
"""Where cores refuse for different reasons, the first of these is the pod's."""


def admit(node: CpuNode, demand: PodDemand) -> Admission | Rejection:
    """Admit a pod, or say why not. The node after admission holds all reservations.

    A pod that already holds exactly what it demands keeps it, unchanged. Otherwise its old
    reservations are dropped first.
    """
    held = _held_already(node, demand)
    if held is not None:
        return Admission(node=node, granted=held)
    after = node.without(demand.pod_uid)
    if not after.cores:
        return Rejection(reason=Reason.CPU_NO_REAL_TIME, detail="no core takes real-time tasks")
    wanted = [(Band.of_demand(c, demand.criticality), c) for c in demand.containers]
    for band, container in sorted(wanted, key=lambda entry: -entry[0].share):
        outcome = _first_fit(after, demand, container, band)
        if isinstance(outcome, Rejection):
            return outcome
        after = outcome
    return Admission(node=after, granted=_in_order(after, demand))


def may_fit(
    *, core_utilizations: Mapping[int, Fraction], node: CpuNode, demand: PodDemand
) -> Reason | None:
    """The necessary condition on bandwidth alone; None where the pod may fit.

    Never refuses what ``admit`` accepts, if ``core_utilizations`` are those of the node, and
    ``node`` holds the pod's own reservations if the utilizations count them.
    """
    if not node.cores:
        return Reason.CPU_NO_REAL_TIME
    own = dict.fromkeys((*node.cores, *core_utilizations), Fraction(0))
    for reservation in node.reservations:
        if reservation.pod_uid == demand.pod_uid and reservation.core in own:
            own[reservation.core] += reservation.server.bandwidth
    needs = [_utilization(container.tasks) for container in demand.containers]
    free = [
        max(Fraction(0), node.core_capacity - core_utilizations.get(core, Fraction(0)) + own[core])
        for core in node.cores
    ]
    if max(needs, default=Fraction(0)) > max(free) or sum(needs) > sum(free):
        return Reason.CPU_NO_BANDWIDTH
    used = sum(core_utilizations.values(), Fraction(0)) - sum(own.values())
    if used + sum(needs) > node.node_capacity:
        return Reason.CPU_NODE_BANDWIDTH
    return None


def _held_already(node: CpuNode, demand: PodDemand) -> tuple[Reservation, ...] | None:
    """The pod's reservations, if they are exactly what it demands and still hold."""
    if not any(r.pod_uid == demand.pod_uid for r in node.reservations):
        return None
    held = _in_order(node, demand)
    wanted = [(c.container, c.tasks, demand.criticality) for c in demand.containers]
    if [(r.container, r.tasks, r.criticality) for r in held] != wanted or not node_holds(node):
        return None
    return held


def _in_order(node: CpuNode, demand: PodDemand) -> tuple[Reservation, ...]:
    """The pod's reservations in the order of its containers."""
    order = {c.container: index for index, c in enumerate(demand.containers)}
    own = [r for r in node.reservations if r.pod_uid == demand.pod_uid]
    return tuple(sorted(own, key=lambda r: order.get(r.container, len(order))))


def _first_fit(
    node: CpuNode, demand: PodDemand, container: ContainerDemand, band: Band
) -> CpuNode | Rejection:
    """The node with one more container on the first core that takes it."""
    refusals: list[tuple[int, Rejection]] = []
    for load in loads_of(node):
        placement = place(load, band)
        if isinstance(placement, Placement):
            after = settle(node, load, placement, band, demand=demand, container=container)
            if core_holds(after.on_core(load.core), after):
                return after
            placement = Rejection(
                reason=Reason.CPU_NOT_SCHEDULABLE, detail="what the core holds fails its test"
            )
        refusals.append((load.core, placement))
    reason = min((r.reason for _, r in refusals), key=_TELLING.index)
    figures = "; ".join(f"core {core}: {refusal.detail}" for core, refusal in refusals)
    return Rejection(reason=reason, detail=f"container {container.container}: {figures}")


def _utilization(tasks: tuple[Task, ...]) -> Fraction:
    """ΣC/T as the analyses see it, overheads included."""
    figures = (task_figures(task) for task in tasks)
    return sum((Fraction(cost, period) for cost, period, _ in figures), Fraction(0))

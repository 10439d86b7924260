"""Tasks of one container on one core, by either mechanism: the node with them, or why not.

Nothing is handed out that ``k40s.cpu.verification`` has not judged on the reservations themselves.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from k40s.cpu.bands import Band
from k40s.cpu.cores import NodeLoad, deadline_tick_figure, tick_figure
from k40s.cpu.deadline import domain_holds, interference
from k40s.cpu.figures import server_figures, task_figures
from k40s.cpu.granting import deadline_reservation, settle, with_grown
from k40s.cpu.model import (
    ANY_CORE,
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
from k40s.cpu.outcome import Rejection
from k40s.cpu.partition import grown_below, place
from k40s.cpu.verification import core_holds, groups_hold, migrating_hold
from k40s.reasons import Reason

LONGEST_DEADLINE_PERIOD = 1 << 22
"""Microseconds. The kernel takes no longer period for SCHED_DEADLINE."""

Seat = Callable[[NodeLoad, int, tuple[Task, ...]], CpuNode | Rejection]
"""Puts tasks on a core of a node."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Whose tasks want a place. ``taken`` are numbers that no new budget group may have."""

    demand: PodDemand
    container: ContainerDemand
    taken: Collection[int]

    def seat(self, mechanism: Mechanism) -> Seat:
        """How this mechanism puts tasks on a core."""
        return self.by_server if mechanism is Mechanism.RT_CGROUP else self.by_deadline

    def by_server(self, load: NodeLoad, core: int, tasks: tuple[Task, ...]) -> CpuNode | Rejection:
        """One deferrable server for all of the tasks."""
        node = load.node
        there = load.on(core)
        if there.deadline and node.deadline and node.deadline.domain is Domain.EXCLUSIVE:
            return _refusal(Reason.CPU_NO_BANDWIDTH, "a pod has it for itself")
        if node.ancestor_period is not None and len(tasks) < len(self.container.tasks):
            return _refusal(Reason.CPU_NO_MECHANISM, "a container's own cgroup serves one core")
        container = replace(self.container, tasks=tasks)
        band = Band.of_demand(container, self.demand.criticality)
        placement = place(there, band)
        if isinstance(placement, Rejection):
            return placement
        after = settle(
            node,
            there,
            placement,
            band,
            demand=self.demand,
            container=container,
            taken=self.taken,
        )
        return after if core_holds(after, core) and groups_hold(after) else _broken()

    def by_deadline(
        self, load: NodeLoad, core: int, tasks: tuple[Task, ...]
    ) -> CpuNode | Rejection:
        """A reservation of SCHED_DEADLINE for each task."""
        node = load.node
        if node.deadline is None:
            return _refusal(Reason.CPU_NO_MECHANISM, "the node does not offer SCHED_DEADLINE")
        new = []
        for task in tasks:
            refusal = _beyond_kernel(task)
            if refusal is not None:
                return refusal
            new.append(deadline_reservation(self.demand, self.container.container, task, core))
        held = [r for r in node.reservations if r.mechanism is Mechanism.DEADLINE]
        domain = [r for r in held if r.core == core]
        refusal = _refuse_exclusive(node.deadline, node, held, new) or _refuse_domain(
            node.deadline, [*domain, *new]
        )
        if refusal is not None:
            return refusal
        grown = _grow_for(load, core, new)
        if isinstance(grown, Rejection):
            return grown
        after = grown.holding((*grown.reservations, *new))
        touched = [core] if core != ANY_CORE else [c for c in node.cores if node.on_core(c)]
        holds = all(core_holds(after, c) for c in touched) and groups_hold(after)
        return after if holds and migrating_hold(after) else _broken()


def _beyond_kernel(task: Task) -> Rejection | None:
    """Why SCHED_DEADLINE itself cannot have the task."""
    wcet, _period, deadline = task_figures(task)
    if deadline > LONGEST_DEADLINE_PERIOD:
        detail = (
            f"SCHED_DEADLINE takes no period above 4.194304s, task {task.name} has {deadline}us"
        )
        return _refusal(Reason.CPU_NOT_SCHEDULABLE, detail)
    if wcet > deadline:
        detail = f"task {task.name} needs {wcet}us with overheads, within {deadline}us"
        return _refusal(Reason.CPU_NOT_SCHEDULABLE, detail)
    return None


def _refuse_exclusive(
    offer: DeadlineOffer, node: CpuNode, held: list[Reservation], new: list[Reservation]
) -> Rejection | None:
    """A pod has one core of an exclusive domain, and the core has one pod."""
    if offer.domain is not Domain.EXCLUSIVE:
        return None
    uid, core = new[0].pod_uid, new[0].core
    if node.on_core(core) or any(r.core == core and r.pod_uid != uid for r in held):
        return _refusal(Reason.CPU_NO_BANDWIDTH, "other pods are on it")
    if any(r.pod_uid == uid and r.core != core for r in held):
        return _refusal(Reason.CPU_NO_BANDWIDTH, "a pod gets one exclusive core")
    return None


def _refuse_domain(offer: DeadlineOffer, reservations: list[Reservation]) -> Rejection | None:
    if domain_holds(reservations, offer):
        return None
    bandwidth = total_bandwidth(reservations)
    if bandwidth > offer.capacity * offer.cpus:
        detail = f"SCHED_DEADLINE would have {float(bandwidth):.3f} of "
        detail += f"{float(offer.capacity * offer.cpus):.3f}"
        return _refusal(Reason.CPU_NO_BANDWIDTH, detail)
    return _refusal(Reason.CPU_NOT_SCHEDULABLE, "by earliest deadline first a task could be late")


def _grow_for(load: NodeLoad, core: int, new: list[Reservation]) -> CpuNode | Rejection:
    """The node with the servers that must be larger below ``new`` threads of SCHED_DEADLINE."""
    node = load.node
    tick = tick_figure(node)
    for touched in node.cores if core == ANY_CORE else (core,):
        if not node.on_core(touched):
            continue
        load = load if load.node is node else NodeLoad(node)
        there = load.on(touched)
        servers = (*there.deadline_servers, *(server_figures(r.server) for r in new))
        taken = interference(servers, deadline_tick_figure(node), tick)
        grown = grown_below(there, taken, servers)
        if isinstance(grown, Rejection):
            return grown
        node = node.holding(tuple(with_grown(node.reservations, there, grown)))
    return node


def _broken() -> Rejection:
    return _refusal(Reason.CPU_NOT_SCHEDULABLE, "what the core holds fails its test")


def _refusal(reason: Reason, detail: str) -> Rejection:
    return Rejection(reason=reason, detail=detail)

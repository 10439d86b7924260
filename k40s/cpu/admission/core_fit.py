"""Tasks of one container on one core, by either mechanism: the node with them, or why not.

Nothing is granted that ``schedulability`` has not tested on the reservations themselves.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from k40s.cpu.admission.band_placement import Placement, grow_below_deadline, place_band, spent
from k40s.cpu.admission.core_load import Band, CoreLoad, NodeLoad, Search
from k40s.cpu.admission.sched_deadline import (
    domain_holds,
    interference,
    quantize_deadline_task,
)
from k40s.cpu.admission.schedulability import core_holds, groups_hold, migrating_hold
from k40s.cpu.analysis.response_time import ServerParameters
from k40s.cpu.linux import (
    LONGEST_DEADLINE_PERIOD,
    Level,
    dense_priorities,
    quantize_deadline_tick,
    quantize_server,
    quantize_tick,
)
from k40s.cpu.model import (
    ANY_CORE,
    ContainerDemand,
    CpuNode,
    DeadlineOffer,
    Domain,
    Mechanism,
    PodDemand,
    Reservation,
    Server,
    Task,
    total_bandwidth,
)
from k40s.cpu.outcome import Rejection
from k40s.criticality import Criticality
from k40s.reasons import Reason
from k40s.units import NS_PER_US, Nanoseconds

MOST_TASKS = 96
"""On a core, by both mechanisms; bounds the analyses of each admission."""
MOST_TASKS_BELOW_HI = 64
"""Of these, tasks of LOW pods."""

CoreFit = Callable[[NodeLoad, int, tuple[Task, ...]], CpuNode | Rejection]
"""Fits tasks on a core of a node, or rejects them."""


@dataclass(frozen=True, slots=True)
class PlacementRequest:
    """A container of a pod to be placed; ``taken`` are group numbers that must not be reused.

    ``search`` has the parameters of the search.
    """

    demand: PodDemand
    container: ContainerDemand
    taken: Collection[int]
    search: Search

    def core_fit(self, mechanism: Mechanism) -> CoreFit:
        """The fit by a mechanism."""
        return self.by_server if mechanism is Mechanism.RT_CGROUP else self.by_deadline

    def by_server(self, load: NodeLoad, core: int, tasks: tuple[Task, ...]) -> CpuNode | Rejection:
        """One deferrable server for all of the tasks."""
        node = load.node
        core_load = load.on(core)
        if core_load.deadline and node.deadline and node.deadline.domain is Domain.EXCLUSIVE:
            return _rejection(Reason.CPU_NO_BANDWIDTH, "a pod has it for itself")
        rejection = _reject_core(load, core, tasks, self.demand.criticality)
        if rejection is not None:
            return rejection
        if node.ancestor_period is not None and len(tasks) < len(self.container.tasks):
            return _rejection(Reason.CPU_NO_MECHANISM, "a container's own cgroup serves one core")
        container = replace(self.container, tasks=tasks)
        band = Band.of_demand(container, self.demand.criticality)
        placement = place_band(core_load, band, self.search)
        if isinstance(placement, Rejection):
            return placement
        after = with_newcomer(
            node,
            core_load,
            placement,
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
            return _rejection(Reason.CPU_NO_MECHANISM, "the node does not offer SCHED_DEADLINE")
        new = [
            deadline_reservation(self.demand, self.container.container, task, core, node.deadline)
            for task in tasks
            if _reject_beyond_kernel(task, node.deadline) is None
        ]
        rejection = _reject_core(load, core, tasks, self.demand.criticality) or next(
            filter(None, (_reject_beyond_kernel(task, node.deadline) for task in tasks)), None
        )
        if rejection is not None:
            return rejection
        domain = load.deadline_reservations(core)
        self.search.effort.take(len(domain) + len(new), len(domain))
        if self.search.effort.is_spent():
            return spent()
        rejection = _reject_exclusive(node.deadline, node, domain, new) or _reject_domain(
            node.deadline, [*domain, *new]
        )
        if rejection is not None:
            return rejection
        grown = _grow_for(load, core, new, self.search)
        if isinstance(grown, Rejection):
            return grown
        after = grown.holding((*grown.reservations, *new))
        touched = [core] if core != ANY_CORE else [c for c in node.cores if node.on_core(c)]
        holds = all(core_holds(after, c) for c in touched) and groups_hold(after)
        return after if holds and migrating_hold(after) else _broken()


def _reject_core(
    load: NodeLoad, core: int, tasks: tuple[Task, ...], criticality: Criticality
) -> Rejection | None:
    """Rejects a core whose servers are being exchanged, and one that would have too many tasks.

    A shared root domain may have as many for each CPU.
    """
    changing = load.node.changing
    if core in changing or (core == ANY_CORE and changing):
        return _rejection(Reason.CPU_CORE_CHANGING, "its servers are being exchanged")
    offer = load.node.deadline
    cpus = offer.cpus if core == ANY_CORE and offer is not None else 1
    number, below_hi = load.tasks_on(core)
    if number + len(tasks) > MOST_TASKS * cpus:
        return _rejection(Reason.CPU_TOO_MANY_TASKS, f"{number} of {MOST_TASKS * cpus} are there")
    if criticality is not Criticality.HI and below_hi + len(tasks) > MOST_TASKS_BELOW_HI * cpus:
        detail = f"{below_hi} of {MOST_TASKS_BELOW_HI * cpus} LOW ones are there"
        return _rejection(Reason.CPU_TOO_MANY_TASKS, detail)
    return None


def _reject_beyond_kernel(task: Task, offer: DeadlineOffer) -> Rejection | None:
    """Rejects a task that SCHED_DEADLINE itself does not take."""
    wcet, _period, deadline = quantize_deadline_task(task, offer)
    if deadline > LONGEST_DEADLINE_PERIOD:
        detail = (
            f"SCHED_DEADLINE takes no period above 4.194304s, task {task.name} has {deadline}us"
        )
        return _rejection(Reason.CPU_NOT_SCHEDULABLE, detail)
    if wcet > deadline:
        detail = f"task {task.name} needs {wcet}us with overheads, within {deadline}us"
        return _rejection(Reason.CPU_NOT_SCHEDULABLE, detail)
    return None


def _reject_exclusive(
    offer: DeadlineOffer, node: CpuNode, domain: list[Reservation], new: list[Reservation]
) -> Rejection | None:
    """A pod has one core of an exclusive domain, and the core has one pod."""
    if offer.domain is not Domain.EXCLUSIVE:
        return None
    uid, core = new[0].pod_uid, new[0].core
    if node.on_core(core) or any(r.pod_uid != uid for r in domain):
        return _rejection(Reason.CPU_NO_BANDWIDTH, "other pods are on it")
    if any(
        r.mechanism is Mechanism.DEADLINE and r.pod_uid == uid and r.core != core
        for r in node.reservations
    ):
        return _rejection(Reason.CPU_NO_BANDWIDTH, "a pod gets one exclusive core")
    return None


def _reject_domain(offer: DeadlineOffer, reservations: list[Reservation]) -> Rejection | None:
    if domain_holds(reservations, offer):
        return None
    bandwidth = total_bandwidth(reservations)
    if bandwidth > offer.capacity * offer.cpus:
        detail = f"SCHED_DEADLINE would have {float(bandwidth):.3f} of "
        detail += f"{float(offer.capacity * offer.cpus):.3f}"
        return _rejection(Reason.CPU_NO_BANDWIDTH, detail)
    return _rejection(Reason.CPU_NOT_SCHEDULABLE, "by earliest deadline first a task could be late")


def _grow_for(
    load: NodeLoad, core: int, new: list[Reservation], search: Search
) -> CpuNode | Rejection:
    """The node with servers grown for ``new`` threads of SCHED_DEADLINE above them."""
    node = load.node
    tick = quantize_tick(node)
    for touched in node.cores if core == ANY_CORE else (core,):
        if not node.on_core(touched):
            continue
        load = load if load.node is node else NodeLoad(node)
        core_load = load.on(touched)
        servers = (*core_load.deadline_servers, *(quantize_server(r.server) for r in new))
        taken = interference(servers, quantize_deadline_tick(node), tick)
        grown = grow_below_deadline(core_load, taken, servers, search)
        if isinstance(grown, Rejection):
            return grown
        node = node.holding(tuple(with_grown(node.reservations, core_load, grown)))
    return node


def _broken() -> Rejection:
    return _rejection(Reason.CPU_NOT_SCHEDULABLE, "what the core holds fails its test")


def _rejection(reason: Reason, detail: str) -> Rejection:
    return Rejection(reason=reason, detail=detail)


def with_newcomer(
    node: CpuNode,
    load: CoreLoad,
    placement: Placement,
    *,
    demand: PodDemand,
    container: ContainerDemand,
    taken: Collection[int],
) -> CpuNode:
    """The node with the newcomer at its levels, dense priorities, and the others' new budgets.

    ``taken`` are group numbers that must not be reused, besides those in use.
    """
    newcomer = placement.newcomer
    by_level = dense_priorities(level for band in (*load.bands, newcomer) for level in band.levels)
    group = placement.group
    if group is None and load.sharing:
        group = _least_free({*taken, *(held.group for held in node.reservations)})
    granted = Reservation(
        pod_uid=demand.pod_uid,
        container=container.container,
        core=load.core,
        criticality=demand.criticality,
        server=as_server(placement.server),
        tasks=container.tasks,
        priorities=_priorities(newcomer, by_level),
        group=group,
    )
    after = list(node.reservations)
    for position, server, band in zip(load.positions, placement.others, load.bands, strict=True):
        priorities = _priorities(band, by_level)
        after[position] = _changed(after[position], as_server(server), priorities)
    return node.holding((*after, granted))


def with_grown(
    reservations: Sequence[Reservation], load: CoreLoad, servers: tuple[ServerParameters, ...]
) -> list[Reservation]:
    """The reservations with the grown servers of a core; priorities stay."""
    after = list(reservations)
    for position, server in zip(load.positions, servers, strict=True):
        after[position] = _changed(after[position], as_server(server), after[position].priorities)
    return after


def deadline_reservation(
    demand: PodDemand, container: str, task: Task, core: int, offer: DeadlineOffer
) -> Reservation:
    """A reservation of SCHED_DEADLINE: Q is the WCET with overheads, P the relative deadline.

    With P = D the kernel serves a job at once whenever it arrives. With P > D it delays each job
    until P after it served the one before, so that one late wake-up delays all that follow.
    """
    wcet, _period, deadline = quantize_deadline_task(task, offer)
    return Reservation(
        pod_uid=demand.pod_uid,
        container=container,
        core=core,
        criticality=demand.criticality,
        server=as_server((wcet, deadline)),
        tasks=(task,),
        priorities=(),
        mechanism=Mechanism.DEADLINE,
    )


def as_server(server: ServerParameters) -> Server:
    """(Q, P) in nanoseconds."""
    budget, period = server
    return Server(budget=Nanoseconds(budget * NS_PER_US), period=Nanoseconds(period * NS_PER_US))


def _priorities(band: Band, by_level: Mapping[Level, int]) -> tuple[int, ...]:
    """In the order of the container's tasks."""
    found = [0] * len(band.order)
    for position, level in zip(band.order, band.levels, strict=True):
        found[position] = by_level[level]
    return tuple(found)


def _least_free(taken: set[int | None]) -> int:
    number = 0
    while number in taken:
        number += 1
    return number


def _changed(held: Reservation, server: Server, priorities: tuple[int, ...]) -> Reservation:
    if held.server == server and held.priorities == priorities:
        return held
    return replace(held, server=server, priorities=priorities)

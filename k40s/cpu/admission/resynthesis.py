"""Finds an exchange of servers (``exchange``) that lets a refused pod in.

Order of arrival costs room: a server is chosen for the pods that are there, and keeps its period.
On refusal the servers of a core are synthesized again together with the newcomer, in order of
rank. Of the reservations whose (Q, P) differs then, as few as possible change, each by a second
budget group, in an order in which the core passes the full test at every point.

Servers of rt-cgroups change, and groups at the top of the cpu hierarchy: a container's own cgroup
is its only one. The newcomer may be held by either mechanism, where cores are root domains of
their own. Groups that other cores use stay as they are. A pod gets all of its reservations on the
one core that changes. A core that is changing already is left alone; and for a LOW pod, one without
which the node has no room for HI meanwhile.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations, islice

from k40s.cpu.admission.admit import admit, mechanisms_for, offered_mechanisms
from k40s.cpu.admission.band_placement import Choice, Placement, place_band
from k40s.cpu.admission.core_fit import deadline_reservation, with_newcomer
from k40s.cpu.admission.core_load import Band, CoreLoad, NodeLoad, Search
from k40s.cpu.admission.exchange import Exchange, Step, completed, drain_time, holds_both
from k40s.cpu.admission.hi_reserve import find_reserve_breach
from k40s.cpu.bandwidth import share_below
from k40s.cpu.effort import Effort
from k40s.cpu.linux import ALL_LEVELS, LevelRange, quantize_server, quantize_task
from k40s.cpu.model import ContainerDemand, CpuNode, Domain, Mechanism, PodDemand, Reservation
from k40s.cpu.outcome import Admission, Rejection
from k40s.criticality import Criticality
from k40s.reasons import Reason
from k40s.units import NS_PER_S, Nanoseconds

MOST_CORES = 2
"""Cores that are tried for a pod: those with the most room."""
MOST_SERVERS = 8
"""A core with more servers is left alone."""
MOST_STEPS = 4
MOST_SUBSETS = 24
"""Sets of reservations that are tried, small ones first."""
LONGEST_EXCHANGE = Nanoseconds(60 * NS_PER_S)
"""Of all waits together; a core with longer periods is left alone."""


def admit_or_exchange(
    node: CpuNode, demand: PodDemand, *, levels: LevelRange = ALL_LEVELS
) -> Admission | Exchange | Rejection:
    """Admission, or the exchange after which the pod is admitted, or why it is refused."""
    outcome = admit(node, demand, levels=levels)
    if isinstance(outcome, Admission):
        return outcome
    return find_exchange(node, demand, levels=levels) or outcome


def find_exchange(
    node: CpuNode,
    demand: PodDemand,
    *,
    levels: LevelRange = ALL_LEVELS,
    effort: Effort | None = None,
) -> Exchange | None:
    """An exchange that lets in a pod which ``admit`` refuses; None where none is found.

    Also what decides whether a departure lets a waiting pod in that still is refused.
    """
    if not _is_possible(node, demand):
        return None
    search = Search(levels, effort or Effort.for_cores(len(node.cores)))
    wanted = [replace(demand, mechanism=one) for one in _mechanisms(node, demand)]
    for core in _promising(NodeLoad(node), demand):
        for by in wanted:
            found = _Core(node, core, by, search).find()
            if found is not None or search.effort.is_spent():
                return found
    return None


def may_exchange(node: CpuNode, demand: PodDemand) -> bool:
    """The necessary condition on bandwidth: False where ``find_exchange`` finds nothing."""
    return _is_possible(node, demand) and bool(_promising(NodeLoad(node), demand))


def _is_possible(node: CpuNode, demand: PodDemand) -> bool:
    """Whether node and pod are of a kind that exchanges are for."""
    return (
        node.node_capacity > 0
        and node.ancestor_period is None
        and bool(demand.containers)
        and bool(_mechanisms(node, demand))
        and all(held.pod_uid != demand.pod_uid for held in node.reservations)
    )


def _mechanisms(node: CpuNode, demand: PodDemand) -> list[Mechanism]:
    """What may hold the newcomer on one core, in the order in which its first container is tried.

    Threads that migrate need room on all cores, and an exclusive core has no servers.
    """
    offered = offered_mechanisms(node, demand)
    if isinstance(offered, Reason):
        return []
    apart = node.deadline is not None and node.deadline.domain is Domain.PARTITIONED
    tasks = [quantize_task(task) for c in demand.containers for task in c.tasks]
    by_thread = apart and all(wcet <= deadline for wcet, _period, deadline in tasks)
    return [
        mechanism
        for mechanism in mechanisms_for(node, demand.containers[0], offered)
        if mechanism is Mechanism.RT_CGROUP or by_thread
    ]


def _promising(load: NodeLoad, demand: PodDemand) -> list[int]:
    """Cores where servers may give back what the newcomer needs, and a second group has room."""
    node = load.node
    needed = sum(Band.of_demand(c, demand.criticality).share for c in demand.containers)
    asked = {task.core for c in demand.containers for task in c.tasks} - {None}
    found: list[tuple[int, int]] = []
    for core in node.cores:
        if core in node.changing or asked - {core}:
            continue
        core_load = load.on(core)
        tasks = [band.share for band in core_load.bands]
        if not 0 < len(tasks) <= MOST_SERVERS or min(tasks) > core_load.core_room:
            continue
        servers = sum(share_below(*server) for server in core_load.servers)
        if needed <= core_load.core_room + servers - sum(tasks):
            found.append((core_load.core_room, core))
    best = [core for _, core in sorted(found, key=lambda one: -one[0])]
    return [core for core in best if _most_steps(node, core) > 0][:MOST_CORES]


def _most_steps(node: CpuNode, core: int) -> int:
    """How many steps fit the longest exchange; one more wait follows the last."""
    return min(MOST_STEPS, LONGEST_EXCHANGE // drain_time(node, core) - 1)


_Target = Mapping[Reservation, Choice]
"""Reservations with the servers that they change to."""


@dataclass(frozen=True, slots=True)
class _Path:
    """The steps so far, the node after them, and the group numbers that were in use on the way."""

    node: CpuNode
    steps: tuple[Step, ...]
    taken: frozenset[int]


class _Core:
    """The search on one core, for a newcomer that is held by one mechanism."""

    def __init__(self, node: CpuNode, core: int, demand: PodDemand, search: Search) -> None:
        self._core = core
        self._demand = demand
        self._search = search
        self._start = _Path(
            node, (), frozenset(r.group for r in node.reservations if r.group is not None)
        )
        self._known: dict[tuple[Reservation, ...], _Path | None] = {}
        self._has_reserve = node.hi_reserve is not None and self._keeps_reserve(node)

    def find(self) -> Exchange | None:
        """The exchange with the fewest steps that is found."""
        target = self._target() if self._may_close() else {}
        if not target or all(self._path((member,), target) is None for member in target):
            return None
        most = min(_most_steps(self._start.node, self._core), len(target))
        subsets = (some for count in range(1, most + 1) for some in combinations(target, count))
        for some in islice(subsets, MOST_SUBSETS):
            path = self._in_some_order(some, target)
            found = None if path is None else self._arrival(path)
            if found is not None or self._search.effort.is_spent():
                return found
        return None

    def _may_close(self) -> bool:
        """Whether the core may be closed for the pod: HI has its room on others meanwhile."""
        node = self._start.node
        closed = replace(node, changing=node.changing | {self._core})
        return self._demand.criticality is Criticality.HI or self._keeps_reserve(closed)

    def _target(self) -> _Target | None:
        """The reservations whose servers differ when all are synthesized by rank."""
        start, demand = self._start.node, self._demand
        held = start.on_core(self._core)
        by_group = demand.mechanism is Mechanism.RT_CGROUP
        rest = (r for r in start.reservations if r not in held)
        node = start.holding((*rest, *(() if by_group else _threads(start, demand, self._core))))
        new = [replace(demand, containers=(c,)) for c in demand.containers if by_group]
        members = [(_band(one), one, None) for one in new]
        present = [(Band.of_reservation(r), _clone(r), r) for r in held]
        found: dict[Reservation, Choice] = {}
        for band, one, member in sorted([*present, *members], key=lambda entry: entry[0].rank):
            load = NodeLoad(node).on(self._core)
            placed = place_band(load, band, self._search)
            if isinstance(placed, Rejection):
                return None
            node = self._with(node, load, placed, one, self._start.taken)
            if member is not None and placed.server != quantize_server(member.server):
                found[member] = Choice(placed.server, placed.group)
        return found

    def _in_some_order(self, some: tuple[Reservation, ...], target: _Target) -> _Path | None:
        """The path that changes exactly these, always the first that can be changed next."""
        done: tuple[Reservation, ...] = ()
        while len(done) < len(some):
            following = ((*done, member) for member in some if member not in done)
            possible = (order for order in following if self._path(order, target) is not None)
            order = next(possible, None)
            if order is None:
                return None
            done = order
        return self._known[done]

    def _path(self, order: tuple[Reservation, ...], target: _Target) -> _Path | None:
        """The path that changes these in this order; worked out once."""
        if order not in self._known:
            before = self._known[order[:-1]] if order[:-1] else self._start
            self._known[order] = before and self._longer(before, order[-1], target[order[-1]])
        return self._known[order]

    def _longer(self, path: _Path, member: Reservation, choice: Choice) -> _Path | None:
        """With the second group of one more reservation, beside which nobody has to grow."""
        load = NodeLoad(path.node).on(self._core)
        placed = place_band(load, Band.of_reservation(member), self._search, given=choice)
        if isinstance(placed, Rejection):
            return None
        overlap = self._with(path.node, load, placed, _clone(member), path.taken)
        *_, after = overlap.reservations
        if not holds_both(overlap, after):
            return None
        others = [r for r in overlap.on_core(self._core) if r is not after]
        before = next(r for r in others if (r.pod_uid, r.key) == (member.pod_uid, member.key))
        others.remove(before)
        step = Step(before=before, after=after, others=tuple(others))
        node = completed(overlap, step)
        if self._has_reserve and not self._keeps_reserve(node):
            return None
        taken = path.taken if after.group is None else path.taken | {after.group}
        return _Path(node, (*path.steps, step), taken)

    def _arrival(self, path: _Path) -> Exchange | None:
        """The exchange, if the newcomer is admitted at the end of a path."""
        uid, search = self._demand.pod_uid, self._search
        alone = replace(path.node, cores=(self._core,), hi_reserve=None)
        outcome = admit(
            alone, self._demand, levels=search.levels, effort=search.effort, taken=path.taken
        )
        if isinstance(outcome, Rejection):
            return None
        after = path.node.holding(outcome.node.reservations)
        below_hi = self._demand.criticality is not Criticality.HI
        if below_hi and not self._keeps_reserve(after):
            return None
        others = tuple(r for r in after.on_core(self._core) if r.pod_uid != uid)
        return Exchange(core=self._core, steps=path.steps, granted=outcome.granted, others=others)

    def _with(
        self,
        node: CpuNode,
        load: CoreLoad,
        placed: Placement,
        demand: PodDemand,
        taken: Collection[int],
    ) -> CpuNode:
        (container,) = demand.containers
        return with_newcomer(node, load, placed, demand=demand, container=container, taken=taken)

    def _keeps_reserve(self, node: CpuNode) -> bool:
        search = self._search
        test = partial(admit, levels=search.levels, effort=search.effort, cautious=True)
        return find_reserve_breach(test, node, (self._core,)) is None


def _band(demand: PodDemand) -> Band:
    (container,) = demand.containers
    return Band.of_demand(container, demand.criticality)


def _threads(node: CpuNode, demand: PodDemand, core: int) -> list[Reservation]:
    """What a pod holds of SCHED_DEADLINE on a core; nothing where the node does not offer it."""
    return [
        deadline_reservation(demand, container.container, task, core, node.deadline)
        for container in demand.containers
        if node.deadline is not None
        for task in container.tasks
    ]


def _clone(held: Reservation) -> PodDemand:
    """A demand for what a reservation serves."""
    container = ContainerDemand(container=held.container, tasks=held.tasks)
    return PodDemand(pod_uid=held.pod_uid, criticality=held.criticality, containers=(container,))

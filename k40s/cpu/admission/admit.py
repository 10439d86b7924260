"""Admission of a pod to a node: all of its containers or none.

Mechanism selection: which mechanisms a pod may use, and which a container is tried with first.

Bin packing: containers in order of decreasing utilization, each whole on one core or split over
several. Cores are tried in the order of the node's packing (first, best or worst fit), the tasks of
a split container by decreasing utilization. Not optimal: a container may be refused that another
assignment would fit.

A result is given only after the full test (``schedulability``) has passed on the very reservations
that it holds.
"""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import partial

from k40s.cpu.admission.core_fit import CoreFit, PlacementRequest
from k40s.cpu.admission.core_load import Band, NodeLoad, Search
from k40s.cpu.admission.hi_reserve import find_reserve_breach
from k40s.cpu.admission.schedulability import node_holds
from k40s.cpu.bandwidth import share_below
from k40s.cpu.effort import Effort
from k40s.cpu.linux import ALL_LEVELS, LevelRange, quantize_task
from k40s.cpu.model import (
    ANY_CORE,
    ContainerDemand,
    CpuNode,
    Domain,
    Mechanism,
    PodDemand,
    Reservation,
    Task,
)
from k40s.cpu.outcome import Admission, Rejection
from k40s.criticality import Criticality
from k40s.reasons import Reason

Refusals = list[tuple[int, Rejection]]
"""Rejections by core."""

SHORT_PERIODS = 25
"""A container with a period below so many ticks is tried with SCHED_DEADLINE first."""

_PRECEDENCE = (
    Reason.CPU_CORE_UNKNOWN,
    Reason.CPU_CORE_CHANGING,
    Reason.CPU_ANALYSIS_LIMIT,
    Reason.CPU_RESERVED_FOR_HI,
    Reason.CPU_TOO_MANY_TASKS,
    Reason.CPU_NOT_SCHEDULABLE,
    Reason.CPU_NO_PRIORITY,
    Reason.CPU_NODE_BANDWIDTH,
    Reason.CPU_NO_BANDWIDTH,
    Reason.CPU_NO_MECHANISM,
)
"""Where cores or mechanisms refuse for different reasons, the first of these is reported.

A reason that is not listed is reported before all of them.
"""


def admit(
    node: CpuNode,
    demand: PodDemand,
    *,
    levels: LevelRange = ALL_LEVELS,
    effort: Effort | None = None,
    cautious: bool = False,
    taken: Collection[int] = (),
) -> Admission | Rejection:
    """Admit a pod or reject it with a reason. The node after admission holds all reservations.

    A pod that already holds exactly what it demands keeps it, unchanged. Otherwise its old
    reservations are dropped first; their budget group numbers are not reused by the
    same admission. A LOW pod leaves the node's reserve for HI (``admission.hi_reserve``).
    ``levels`` are the SCHED_FIFO levels of each core, ``effort`` bounds the search, new budget
    groups get none of the numbers ``taken``. What a ``cautious`` admission admits is also admitted
    after others have departed.
    """
    held = _find_held(node, demand)
    if held is not None:
        return Admission(node=node, granted=held)
    offered = offered_mechanisms(node, demand)
    if isinstance(offered, Reason):
        return Rejection(reason=offered, detail="no core takes real-time tasks by what is asked")
    search = Search(levels, effort or Effort.for_cores(len(node.cores)), cautious)
    used = {*taken, *(r.group for r in node.reservations if r.group is not None)}
    after = node.without(demand.pod_uid)
    wanted = [(Band.of_demand(c, demand.criticality).share, c) for c in demand.containers]
    for _share, container in sorted(wanted, key=lambda entry: -entry[0]):
        outcome = _place_container(
            after, PlacementRequest(demand, container, used, search), offered
        )
        if isinstance(outcome, Rejection):
            return outcome
        after = outcome
    return Admission(node=after, granted=_in_order(after, demand))


def _find_held(node: CpuNode, demand: PodDemand) -> tuple[Reservation, ...] | None:
    """The pod's reservations, if they are exactly what it demands and still hold."""
    held = _in_order(node, demand)
    if not held:
        return None
    wanted = Counter((c.container, task) for c in demand.containers for task in c.tasks)
    if Counter((r.container, task) for r in held for task in r.tasks) != wanted:
        return None
    for reservation in held:
        mechanism = demand.mechanism or reservation.mechanism
        other_cores = {task.core for task in reservation.tasks} - {None, reservation.core}
        if reservation.criticality is not demand.criticality or other_cores:
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


def _place_container(
    node: CpuNode, request: PlacementRequest, offered: tuple[Mechanism, ...]
) -> CpuNode | Rejection:
    """The node with one more container, by the first mechanism that accepts it."""
    tasks = request.container.tasks
    unknown = {task.core for task in tasks} - {None, *node.cores}
    if unknown:
        detail = f"container {request.container.container}: core {unknown} takes no reservations"
        return Rejection(reason=Reason.CPU_CORE_UNKNOWN, detail=detail)
    load = NodeLoad(node)
    offer = node.deadline
    has_reserve = node.hi_reserve is not None and request.demand.criticality is not Criticality.HI
    refusals: list[Refusals] = []
    for mechanism in mechanisms_for(node, request.container, offered):
        shared = offer is not None and offer.domain is Domain.SHARED
        by = migrate if shared and mechanism is Mechanism.DEADLINE else assign
        fit = request.core_fit(mechanism)
        outcome = by(load, tasks, _keeping_hi_reserve(fit, request) if has_reserve else fit)
        if isinstance(outcome, CpuNode):
            return outcome
        refusals.append(outcome)
        if request.search.effort.is_spent():
            break
    return _refusal(request.container, refusals)


def _keeping_hi_reserve(fit: CoreFit, request: PlacementRequest) -> CoreFit:
    """The same, but rejected where it uses the bandwidth that the node reserves for HI."""

    def fit_beside_reserve(
        load: NodeLoad, core: int, tasks: tuple[Task, ...]
    ) -> CpuNode | Rejection:
        outcome = fit(load, core, tasks)
        if isinstance(outcome, Rejection):
            return outcome
        search = request.search
        test = partial(admit, levels=search.levels, effort=search.effort, cautious=True)
        breach = find_reserve_breach(test, outcome, (core,))
        return outcome if breach is None else breach

    return fit_beside_reserve


def _refusal(container: ContainerDemand, refusals: list[Refusals]) -> Rejection:
    """The reason of highest precedence, and the details by mechanism and core."""
    reason = min((r.reason for by in refusals for _, r in by), key=_precedence)
    texts = ["; ".join(f"{_where(core)}: {r.detail}" for core, r in by) for by in refusals]
    return Rejection(
        reason=reason, detail=f"container {container.container}: {'; else '.join(texts)}"
    )


def _precedence(reason: Reason) -> int:
    return _PRECEDENCE.index(reason) if reason in _PRECEDENCE else -1


def _where(core: int) -> str:
    return "any core" if core == ANY_CORE else f"core {core}"


@dataclass(frozen=True, slots=True)
class _Part:
    """Some of a container's tasks on one core, and the node with them."""

    core: int
    tasks: tuple[Task, ...]
    load: NodeLoad


def assign(load: NodeLoad, tasks: tuple[Task, ...], fit: CoreFit) -> CpuNode | Refusals:
    """The node with all tasks, or the rejections.

    A container is split if its tasks request different cores, or if it fits no core whole.
    """
    asked = {task.core for task in tasks if task.core is not None}
    if len(asked) > 1:
        return _split(load, tasks, fit)
    outcome = _first(load, asked or load.in_order(), tasks, fit)
    if isinstance(outcome, CpuNode) or len(tasks) == 1 or all(t.core is not None for t in tasks):
        return outcome
    parts = _split(load, tasks, fit)
    if isinstance(parts, CpuNode):
        return parts
    limit = Reason.CPU_ANALYSIS_LIMIT
    return [*outcome, *((core, refusal) for core, refusal in parts if refusal.reason is limit)]


def migrate(load: NodeLoad, tasks: tuple[Task, ...], fit: CoreFit) -> CpuNode | Refusals:
    """The node with all tasks in its shared root domain, where no thread can be pinned."""
    asked = {task.core for task in tasks if task.core is not None}
    if asked:
        detail = "in a shared root domain SCHED_DEADLINE threads have no core of their own"
        return [(core, Rejection(reason=Reason.CPU_NO_MECHANISM, detail=detail)) for core in asked]
    return _first(load, (ANY_CORE,), tasks, fit)


def _first(
    load: NodeLoad, cores: Iterable[int], tasks: tuple[Task, ...], fit: CoreFit
) -> CpuNode | Refusals:
    refusals: Refusals = []
    for core in cores:
        outcome = fit(load, core, tasks)
        if isinstance(outcome, CpuNode):
            return outcome
        refusals.append((core, outcome))
    return refusals


def _split(load: NodeLoad, tasks: tuple[Task, ...], fit: CoreFit) -> CpuNode | Refusals:
    """Task by task: those that request a core first, then by decreasing utilization."""
    parts: list[_Part] = []
    for task in sorted(tasks, key=lambda task: (task.core is None, -_share(task))):
        now = parts[-1].load if parts else load
        refusals: Refusals = []
        for core in now.in_order() if task.core is None else (task.core,):
            kept, again = _with_one_more(parts, core, task)
            outcome = _fitted(load, kept, [(c, _as_given(ts, tasks)) for c, ts in again], fit)
            if not isinstance(outcome, Rejection):
                parts = outcome
                break
            refusals.append((core, outcome))
        else:
            return refusals
    return parts[-1].load.node


def _with_one_more(
    parts: list[_Part], core: int, task: Task
) -> tuple[list[_Part], list[tuple[int, tuple[Task, ...]]]]:
    """The parts that stay when one more task joins, and those that have to be fitted again.

    From the part that it joins on, because budget groups and the node's bandwidth are common.
    """
    at = next((index for index, part in enumerate(parts) if part.core == core), len(parts))
    again = [(part.core, part.tasks) for part in parts[at:]] or [(core, ())]
    again[0] = (core, (*again[0][1], task))
    return parts[:at], again


def _fitted(
    load: NodeLoad,
    kept: list[_Part],
    wanted: list[tuple[int, tuple[Task, ...]]],
    fit: CoreFit,
) -> list[_Part] | Rejection:
    parts = list(kept)
    for core, tasks in wanted:
        outcome = fit(parts[-1].load if parts else load, core, tasks)
        if isinstance(outcome, Rejection):
            return outcome
        parts.append(_Part(core, tasks, NodeLoad(outcome)))
    return parts


def _as_given(some: tuple[Task, ...], tasks: tuple[Task, ...]) -> tuple[Task, ...]:
    """In the order in which the container lists them."""
    return tuple(sorted(some, key=tasks.index))


def _share(task: Task) -> int:
    wcet, period, _deadline = quantize_task(task)
    return share_below(wcet, period)


def offered_mechanisms(node: CpuNode, demand: PodDemand) -> tuple[Mechanism, ...] | Reason:
    """The mechanisms of the node that the pod may use."""
    available = [Mechanism.RT_CGROUP] if node.node_capacity > 0 else []
    if node.deadline is not None:
        available.append(Mechanism.DEADLINE)
    if not available or not node.cores:
        return Reason.CPU_NO_REAL_TIME
    requested = demand.mechanism
    if requested is None:
        return tuple(available)
    return (requested,) if requested in available else Reason.CPU_NO_MECHANISM


def mechanisms_for(
    node: CpuNode, container: ContainerDemand, offered: Iterable[Mechanism]
) -> tuple[Mechanism, ...]:
    """The mechanisms to try for a container, in order.

    Ticks cost servers most where periods are short (docs/adr/0009-which-mechanism.md).
    """
    shortest = min(task.period for task in container.tasks)
    first = Mechanism.DEADLINE if shortest < SHORT_PERIODS * node.tick else Mechanism.RT_CGROUP
    return tuple(sorted(offered, key=lambda mechanism: mechanism is not first))

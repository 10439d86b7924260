"""Necessary bandwidth condition, decidable from per-core utilizations alone."""

from collections.abc import Mapping
from fractions import Fraction

from k40s.cpu.admission.admit import offered_mechanisms
from k40s.cpu.linux import quantize_task
from k40s.cpu.model import ANY_CORE, CpuNode, Domain, Mechanism, PodDemand, Task
from k40s.reasons import Reason


def may_fit(
    *, core_utilizations: Mapping[int, Fraction], node: CpuNode, demand: PodDemand
) -> Reason | None:
    """The necessary condition on bandwidth alone; None where the pod may fit.

    Never refuses what ``admit`` accepts, if ``core_utilizations`` are those of the node, with that
    of a shared root domain under ``ANY_CORE``, and ``node`` holds the pod's own reservations if
    the utilizations count them.
    """
    offered = offered_mechanisms(node, demand)
    if isinstance(offered, Reason):
        return offered
    tasks = [task for container in demand.containers for task in container.tasks]
    if any(task.core is not None and task.core not in node.cores for task in tasks):
        return Reason.CPU_CORE_UNKNOWN
    own = dict.fromkeys((*node.cores, *core_utilizations, ANY_CORE), Fraction(0))
    for reservation in node.reservations:
        if reservation.pod_uid == demand.pod_uid and reservation.core in own:
            own[reservation.core] += reservation.server.bandwidth
    free = [
        max(Fraction(0), limit - core_utilizations.get(core, Fraction(0)) + own[core])
        for core, limit in _limits(node, offered)
    ]
    needs = [_utilization(task) for task in tasks]
    if max(needs, default=Fraction(0)) > max(free) or sum(needs) > sum(free):
        return Reason.CPU_NO_BANDWIDTH
    if node.deadline is None and not node.shared_groups:
        used = sum(core_utilizations.values(), Fraction(0)) - sum(own.values())
        if used + sum(needs) > node.node_capacity:
            return Reason.CPU_NODE_BANDWIDTH
    return None


def _limits(node: CpuNode, offered: tuple[Mechanism, ...]) -> list[tuple[int, Fraction]]:
    """Upper bound of ΣQ/P of each core, and of a shared root domain.

    A core that serves SCHED_DEADLINE beside rt-cgroups may be used up to its own capacity, though
    SCHED_DEADLINE alone may have less.
    """
    offer = node.deadline
    if offer is None or Mechanism.DEADLINE not in offered:
        return [(core, node.core_capacity) for core in node.cores]
    if offer.domain is Domain.SHARED:
        limit = node.core_capacity if Mechanism.RT_CGROUP in offered else Fraction(0)
        cores = [(core, limit) for core in node.cores]
        return [*cores, (ANY_CORE, offer.capacity * offer.cpus)]
    return [(core, max(node.core_capacity, offer.capacity)) for core in node.cores]


def _utilization(task: Task) -> Fraction:
    """C/T as the analyses see it, overheads included."""
    wcet, period, _deadline = quantize_task(task)
    return Fraction(wcet, period)

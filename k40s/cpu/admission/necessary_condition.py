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
    tasks = _tasks(demand)
    if any(task.core is not None and task.core not in node.cores for task in tasks):
        return Reason.CPU_CORE_UNKNOWN
    lacking, lacking_on_node = _lacking(core_utilizations, node, demand, offered)
    if lacking > 0:
        return Reason.CPU_NO_BANDWIDTH
    return Reason.CPU_NODE_BANDWIDTH if lacking_on_node > 0 else None


def find_lacking_bandwidth(
    *, core_utilizations: Mapping[int, Fraction], node: CpuNode, demand: PodDemand
) -> Fraction:
    """The least ΣQ/P that others have to give back before ``may_fit`` can pass; from 0.

    The arguments are those of ``may_fit``. What bandwidth cannot cure lacks nothing.
    """
    offered = offered_mechanisms(node, demand)
    if isinstance(offered, Reason):
        return Fraction(0)
    return max(Fraction(0), *_lacking(core_utilizations, node, demand, offered))


def needed_bandwidth(demand: PodDemand) -> tuple[Fraction, Fraction]:
    """ΣC/T of all tasks, overheads included, and the largest C/T among them.

    Servers take more: these are what no admission can go below.
    """
    needs = [_utilization(task) for task in _tasks(demand)]
    return sum(needs, Fraction(0)), max(needs, default=Fraction(0))


def free_bandwidth(
    *, core_utilizations: Mapping[int, Fraction], node: CpuNode, demand: PodDemand
) -> Mapping[int, tuple[Fraction, Fraction]]:
    """For each core that the demand may use: ΣQ/P free for it, and the bound of ΣQ/P there.

    A shared root domain is ``ANY_CORE``. Empty where the node offers no suitable mechanism.
    """
    offered = offered_mechanisms(node, demand)
    if isinstance(offered, Reason):
        return {}
    limits = _limits(node, offered)
    free = _free(core_utilizations, _held(core_utilizations, node, demand), limits)
    return {core: (room, limit) for (core, limit), room in zip(limits, free, strict=True)}


def _lacking(
    core_utilizations: Mapping[int, Fraction],
    node: CpuNode,
    demand: PodDemand,
    offered: tuple[Mechanism, ...],
) -> tuple[Fraction, Fraction]:
    """What the demand exceeds the cores by, and the node; not above 0 where there is enough.

    Whatever others give back makes each of the two smaller by that at most.
    """
    own = _held(core_utilizations, node, demand)
    free = _free(core_utilizations, own, _limits(node, offered))
    need, largest = needed_bandwidth(demand)
    lacking = max(largest - max(free), need - sum(free, Fraction(0)))
    if node.deadline is not None or node.shared_groups:
        return lacking, Fraction(0)
    used = sum(core_utilizations.values(), Fraction(0)) - sum(own.values())
    return lacking, used + need - node.node_capacity


def _held(
    core_utilizations: Mapping[int, Fraction], node: CpuNode, demand: PodDemand
) -> Mapping[int, Fraction]:
    """What the demand's own pod holds, by core."""
    own = dict.fromkeys((*node.cores, *core_utilizations, ANY_CORE), Fraction(0))
    for reservation in node.reservations:
        if reservation.pod_uid == demand.pod_uid and reservation.core in own:
            own[reservation.core] += reservation.server.bandwidth
    return own


def _free(
    core_utilizations: Mapping[int, Fraction],
    own: Mapping[int, Fraction],
    limits: list[tuple[int, Fraction]],
) -> list[Fraction]:
    """ΣQ/P free for the demand, in the order of the limits."""
    return [
        max(Fraction(0), limit - core_utilizations.get(core, Fraction(0)) + own[core])
        for core, limit in limits
    ]


def _tasks(demand: PodDemand) -> list[Task]:
    return [task for container in demand.containers for task in container.tasks]


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

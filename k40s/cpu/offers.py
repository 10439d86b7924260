"""Which mechanisms a pod may use on a node, and which a container is tried with first."""

from collections.abc import Iterable

from k40s.cpu.model import ContainerDemand, CpuNode, Mechanism, PodDemand
from k40s.reasons import Reason

SHORT_PERIODS = 25
"""A container with a period below so many ticks is tried with SCHED_DEADLINE first."""


def offered_mechanisms(node: CpuNode, demand: PodDemand) -> tuple[Mechanism, ...] | Reason:
    """What of the node's mechanisms the pod may use."""
    there = [Mechanism.RT_CGROUP] if node.node_capacity > 0 else []
    if node.deadline is not None:
        there.append(Mechanism.DEADLINE)
    if not there or not node.cores:
        return Reason.CPU_NO_REAL_TIME
    asked = demand.mechanism
    if asked is None:
        return tuple(there)
    return (asked,) if asked in there else Reason.CPU_NO_MECHANISM


def mechanisms_for(
    node: CpuNode, container: ContainerDemand, offered: Iterable[Mechanism]
) -> tuple[Mechanism, ...]:
    """The mechanisms to try for a container, in order.

    Ticks cost servers most where periods are short (docs/adr/0009-which-mechanism.md).
    """
    shortest = min(task.period for task in container.tasks)
    first = Mechanism.DEADLINE if shortest < SHORT_PERIODS * node.tick else Mechanism.RT_CGROUP
    return tuple(sorted(offered, key=lambda mechanism: mechanism is not first))

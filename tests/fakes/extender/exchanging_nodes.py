"""Nodes that refuse a pod as they are, and take it once servers have been exchanged."""

from dataclasses import replace

from k40s.annotations import CpuState
from k40s.cpu.admission.admit import admit
from k40s.cpu.model import ContainerDemand, CpuNode, PodDemand, Task
from k40s.cpu.outcome import Admission
from k40s.criticality import Criticality
from k40s.units import NS_PER_MS, Nanoseconds
from tests.fakes.extender.world import make_cpu_node, make_cpu_state, make_pod, make_task

LOAD = ((60, 600), (30, 200))
"""WCETs and periods in ms, in an order that leaves little room: long server periods first."""


def exchanging_node(*, scale: int = 1) -> CpuNode:
    """Pods of long periods came first, and took long server periods."""
    node = replace(make_cpu_node(), shared_groups=True)
    for number, (wcet, period) in enumerate(LOAD):
        node = with_task(node, f"held-{number}", wcet * scale, period * scale)
    return node


def exchanging_state(**changes: object) -> CpuState:
    """What such a node publishes."""
    return make_cpu_state(exchanging_node(), **changes)


def with_task(node: CpuNode, uid: str, wcet_ms: int, period_ms: int) -> CpuNode:
    """The node with one more pod, which it must admit."""
    outcome = admit(node, demand_of(uid, wcet_ms, period_ms))
    assert isinstance(outcome, Admission)
    return outcome.node


def demand_of(uid: str, wcet_ms: int, period_ms: int) -> PodDemand:
    period = Nanoseconds(period_ms * NS_PER_MS)
    task = Task(name="t", wcet=Nanoseconds(wcet_ms * NS_PER_MS), period=period, deadline=period)
    container = ContainerDemand(container="main", tasks=(task,))
    return PodDemand(pod_uid=uid, criticality=Criticality.LOW, containers=(container,))


def pod_in_need(name: str = "new", wcet: str = "14ms") -> dict[str, object]:
    """A pod of short period that only an exchange lets in there."""
    return make_pod(name, criticality="LOW", tasks=[make_task(wcet, "40ms")])

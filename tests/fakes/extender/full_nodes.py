"""Nodes that are full of bound pods, a pod that preempts, and its claim."""

from collections.abc import Mapping

from k40s.annotations import PREEMPTION_KEY
from k40s.annotations.preemption import Claim, Victim, format_claim
from k40s.cpu.admission.admit import admit
from k40s.cpu.model import CpuNode, PodDemand
from k40s.cpu.outcome import Admission
from k40s.cpu.workload import resolve
from k40s.kube.records import PodRecord
from k40s.units import NS_PER_S
from tests.fakes.extender.world import (
    PLATFORM,
    World,
    make_cpu_node,
    make_cpu_state,
    make_node,
    make_pod,
    make_task,
    record_of,
)

Pod = dict[str, object]


def rt_pod(uid: str, criticality: str = "LOW", wcet: str = "30ms") -> Pod:
    """A pod of one task with a period of 100 ms; its UID is at most 8 characters long."""
    assert len(uid) <= len("12345678")
    return make_pod(uid, uid=uid, criticality=criticality, tasks=[make_task(wcet, "100ms")])


def fill(world: World, name: str, *pods: Pod, node: CpuNode | None = None) -> CpuNode:
    """Admits the pods to a node of one core, publishes its state, and has the watch see them."""
    node = node or make_cpu_node()
    for pod in pods:
        node = with_pod(world, node, pod)
        world.watch_pod(record_of(pod, node=name))
    publish(world, name, node)
    return node


def publish(world: World, name: str, node: CpuNode, *, generation: int = 1) -> None:
    world.cpu.generation = generation
    world.add(make_node(name, level=20, cpu=make_cpu_state(node, generation=generation)))


def with_pod(world: World, node: CpuNode, pod: Pod) -> CpuNode:
    """The node with that pod, which it must admit."""
    record = record_of(pod)
    workload = world.workloads.read_pod(record).workload
    assert workload is not None
    demand = resolve(workload, pod_uid=record.uid, platform=PLATFORM, factor=node.platform_factor)
    assert isinstance(demand, PodDemand)
    outcome = admit(node, demand)
    assert isinstance(outcome, Admission)
    return outcome.node


def claiming(
    world: World, pod: Mapping[str, object], node: str, *victims: str, seconds: int = 60
) -> PodRecord:
    """The pod as the API server has it, with a claim that begins at present."""
    at = int(world.clock.wall().timestamp()) * NS_PER_S
    claim = Claim(
        node=node,
        at=at,
        until=at + seconds * NS_PER_S,
        victims=tuple(Victim(namespace="default", name=uid, uid=uid) for uid in victims),
    )
    record = record_of(pod)
    annotations = {**record.annotations, PREEMPTION_KEY: format_claim(claim)}
    return record_of(pod, annotations=annotations)

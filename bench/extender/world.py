"""Clusters for the extender's benchmarks: 500 real-time nodes whose states all differ."""

import random

from k40s.annotations import CpuState
from k40s.cpu.admission.admit import admit
from k40s.cpu.model import ContainerDemand, CpuNode, PodDemand, Task
from k40s.cpu.outcome import Admission
from k40s.criticality import Criticality
from k40s.units import NS_PER_MS, Nanoseconds
from tests.fakes.extender.world import make_cpu_node, make_cpu_state

PERIODS_MS = (100, 200, 250, 400, 500, 1000)


def random_node(dice: random.Random, *, cores: int = 2, pods: int = 3) -> CpuNode:
    """A node with up to so many pods admitted, one after another, by the real admission."""
    node = make_cpu_node(cores=range(cores), node_capacity=make_cpu_node().node_capacity)
    for number in range(dice.randrange(pods + 1)):
        period = dice.choice(PERIODS_MS) * NS_PER_MS
        wcet = Nanoseconds(dice.randrange(10, 80) * period // 1000 // 1000 * 1000)
        task = Task(name="t", wcet=wcet, period=Nanoseconds(period), deadline=Nanoseconds(period))
        demand = PodDemand(
            pod_uid=f"{dice.randrange(16**8):08x}",
            criticality=dice.choice((Criticality.LOW, Criticality.HI)),
            containers=(ContainerDemand(container=f"c{number}", tasks=(task,)),),
        )
        outcome = admit(node, demand)
        if isinstance(outcome, Admission):
            node = outcome.node
    return node


def random_states(count: int, seed: int) -> list[CpuState]:
    """As many states, no two alike."""
    dice = random.Random(seed)  # noqa: S311  # a benchmark repeats itself
    states: dict[str, CpuState] = {}
    while len(states) < count:
        node = random_node(dice)
        if node.reservations or not states:
            states.setdefault(repr(node), make_cpu_state(node))
    return list(states.values())

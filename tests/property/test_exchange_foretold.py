"""An exchange is foretold where the node grants it, and nowhere else."""

from dataclasses import replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from extender.cache.workloads import WorkloadCache
from k40s.cpu.admission.admit import admit
from k40s.cpu.model import CpuNode, PodDemand
from k40s.cpu.outcome import Admission
from k40s.cpu.workload import resolve
from k40s.units import NS_PER_MS, Nanoseconds
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

EXAMPLES = settings().max_examples
SEEDS = st.integers(0, 2**32)
NODE = "n0"
Pod = dict[str, object]


def random_node(chance: Random) -> CpuNode:
    """A node, and pods on it, those with the longest periods first."""
    tick = Nanoseconds(chance.choice((0, 1, 4)) * NS_PER_MS)
    node = make_cpu_node(cores=range(chance.choice((1, 1, 2))), tick=tick)
    node = replace(node, shared_groups=chance.random() < 0.9)
    periods = sorted(chance.randrange(60, 1000) for _ in range(chance.randrange(1, 5)))
    for number, period in enumerate(reversed(periods)):
        pod = random_pod(chance, f"held-{number}", period, chance.randrange(40, 250))
        outcome = admit(node, demand_of(pod, node))
        node = outcome.node if isinstance(outcome, Admission) else node
    return node


def random_pod(chance: Random, name: str, period_ms: int, thousandths: int) -> Pod:
    """A pod of so many thousandths of a CPU, in one or two tasks."""
    count = chance.choice((1, 1, 2))
    wcet = f"{max(period_ms * thousandths // count, 20)}us"
    tasks = [make_task(wcet, f"{period_ms}ms", name=f"t{index}") for index in range(count)]
    uid = f"{chance.randrange(16**8):08x}-0000-{name}"  # longer than what is published
    criticality = chance.choice(("LOW", "LOW", "HI"))
    return make_pod(name, uid=uid, criticality=criticality, tasks=tasks)


def just_refused(chance: Random, node: CpuNode) -> Pod:
    """A pod that the node does not admit as it is, and mostly would if it were a bit smaller."""
    period, seed = chance.randrange(30, 200), chance.randrange(2**32)
    low, high = 0, 1000
    while high - low > 1:
        middle = (low + high) // 2
        pod = random_pod(Random(seed), "new", period, middle)
        fits = isinstance(admit(node, demand_of(pod, node)), Admission)
        low, high = (middle, high) if fits else (low, middle)
    return random_pod(Random(seed), "new", period, high + chance.choice((0, 5, 20, 60)))


def demand_of(pod: Pod, node: CpuNode) -> PodDemand:
    record = record_of(pod)
    workload = WorkloadCache().read_pod(record).workload
    assert workload is not None
    demand = resolve(workload, pod_uid=record.uid, platform=PLATFORM, factor=node.platform_factor)
    assert isinstance(demand, PodDemand)
    return demand


def test_what_is_foretold_is_what_the_node_grants() -> None:
    outcomes = {"as it is": 0, "by an exchange": 0, "not": 0}

    @given(SEEDS)
    def check(seed: int) -> None:
        chance = Random(seed)
        node = random_node(chance)
        pod = just_refused(chance, node)
        offers = chance.random() < 0.9
        world = World(node=node)
        world.cpu.exchanges = offers and node.shared_groups
        world.add(make_node(NODE, level=20, cpu=make_cpu_state(node, exchanges=offers)))

        foretold = world.filter(pod, [NODE])["NodeNames"] == [NODE]
        granted = world.bind(pod, NODE) == ""

        assert foretold == granted
        assert not any("query" in entry for entry in world.journal)
        fits = isinstance(admit(node, demand_of(pod, node)), Admission)
        outcomes["as it is" if fits else "by an exchange" if granted else "not"] += 1

    check()

    assert outcomes["by an exchange"] > EXAMPLES // 20
    assert outcomes["not"] > EXAMPLES // 20

"""How long a preemption plan takes, as a ratio to filter, and the laws on many random nodes.

    python -m bench.extender.preemption [--nodes 50] [--calls 100] [--brute N] [--bodies N]

Filter's time is that of a cold call on the same nodes: each of them tested once.
"""

import argparse
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from statistics import quantiles

from extender.__main__ import tune_collector
from k40s.cpu.admission.admit import admit
from k40s.cpu.model import ContainerDemand, CpuNode, PodDemand, Task
from k40s.cpu.outcome import Admission
from k40s.criticality import Criticality
from k40s.units import NS_PER_MS, Nanoseconds
from tests.fakes.extender.world import (
    World,
    make_args,
    make_cpu_node,
    make_cpu_state,
    make_node,
    make_pod,
    make_pod_record,
    make_task,
)
from tests.oracles.preemption import check_bodies, check_plan, random_scene

BODIES_OF_A_NODE = 25
DIFFERENT_NODES = 25
"""Of a cluster; they serve different pods."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=50)
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--brute", type=int, default=0, help="random nodes to compare")
    parser.add_argument("--bodies", type=int, default=0, help="random bodies of preempt")
    options = parser.parse_args()
    tune_collector()
    if options.calls:
        measure(options.nodes, options.calls)
    dice = random.Random(4)  # noqa: S311  # a benchmark repeats itself
    if options.brute:
        outcomes = Counter(check_plan(random_scene(dice)) for _ in range(options.brute))
        print(f"{options.brute} random nodes, all equal to brute force: {dict(outcomes)}")
    if options.bodies:
        scenes = options.bodies // BODIES_OF_A_NODE
        kept = sum(
            check_bodies(random_scene(dice), dice, bodies=BODIES_OF_A_NODE) for _ in range(scenes)
        )
        print(f"{scenes * BODIES_OF_A_NODE} random bodies, node kept in {kept}, no law broken")


def measure(count: int, calls: int) -> None:
    """Each call is for another pod of another size, over other states."""
    dice = random.Random(1)  # noqa: S311  # a benchmark repeats itself
    cold, plans, outcomes = [], [], Counter[str]()
    for call in range(calls):
        world, names = cluster(dice, count)
        wcet = dice.randrange(60, 130)
        pod = make_pod(f"p{call}", criticality="HI", tasks=[make_task(f"{wcet}ms", "200ms")])
        body = make_args(pod, names)
        cold.append(timed(partial(world.verbs.filter, body)))
        ask = json.dumps(
            {"PodUID": f"uid-p{call}", "PodNamespace": "default", "PodName": f"p{call}"}
        ).encode()
        plans.append(timed(partial(world.verbs.preemption_plan, ask)))
        outcomes[json.loads(world.verbs.preemption_plan(ask))["Outcome"]] += 1
    print(f"{count} nodes, {calls} calls: {dict(outcomes)}")
    print("| | p50 | p99 |")
    print("|---|---|---|")
    for what, times in (("filter, cold, ms", cold), ("plan, ms", plans)):
        print(f"| {what} | {percentile(times, 50):.1f} | {percentile(times, 99):.1f} |")
    ratios = [percentile(plans, p) / percentile(cold, p) for p in (50, 99)]
    print(f"| ratio | {ratios[0]:.2f} | {ratios[1]:.2f} |")


def cluster(dice: random.Random, count: int) -> tuple[World, list[str]]:
    """Nodes of two cores, full of bound pods, which hold what the state says."""
    world = World()
    names = [f"node-{number:03d}" for number in range(count)]
    kinds = [full_node(dice) for _ in range(min(count, DIFFERENT_NODES))]
    for name in names:
        node = renamed(dice.choice(kinds), dice)
        world.add(make_node(name, level=18, cpu=make_cpu_state(node)))
        for uid, criticality in holders(node).items():
            world.watch_pod(
                make_pod_record(
                    uid, node=name, annotations={"k40s.io/criticality": criticality.name}
                )
            )
    return world, names


def full_node(dice: random.Random) -> CpuNode:
    """Pods of 5 to 25 % of a core, one in five of them HI, until three have been refused."""
    node = make_cpu_node(cores=(0, 1), node_capacity=Fraction(9, 5))
    refused = 0
    while refused < 3:
        period = Nanoseconds(dice.choice((100, 200, 400)) * NS_PER_MS)
        wcet = Nanoseconds(dice.randrange(5, 26) * period // 100)
        task = Task(name="t", wcet=wcet, period=period, deadline=period)
        demand = PodDemand(
            pod_uid=f"{dice.randrange(16**8):08x}",
            criticality=dice.choice((Criticality.HI, *[Criticality.LOW] * 4)),
            containers=(ContainerDemand(container="main", tasks=(task,)),),
        )
        outcome = admit(node, demand)
        if isinstance(outcome, Admission):
            node = outcome.node
        else:
            refused += 1
    return node


def renamed(node: CpuNode, dice: random.Random) -> CpuNode:
    """The same node with other pods."""
    uids = {held.pod_uid: f"{dice.randrange(16**8):08x}" for held in node.reservations}
    return node.holding(
        tuple(replace(held, pod_uid=uids[held.pod_uid]) for held in node.reservations)
    )


def holders(node: CpuNode) -> dict[str, Criticality]:
    return {held.pod_uid: held.criticality for held in node.reservations}


def timed(run: Callable[[], object]) -> float:
    started = time.process_time()
    run()
    return (time.process_time() - started) * 1000


def percentile(times: Sequence[float], which: int) -> float:
    return quantiles(times, n=100, method="inclusive")[which - 1]


if __name__ == "__main__":
    main()

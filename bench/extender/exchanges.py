"""What a call of filter costs where a pod is refused, and exchanges of servers are sought for it.

    python -m bench.extender.exchanges [--pods 100] [--nodes 8]

Nodes of one or two cores with shared budget groups, whose pods came by falling periods: the order
that makes exchanges possible most often. Every pod is refused by all nodes as they are, and is new
to the extender: no verdict is remembered. CPU time of the whole call, without and with exchanges;
then the same call again, which remembers. Of many nodes a call searches eight, and the next one
eight others.
"""

import argparse
import random
from collections.abc import Sequence
from dataclasses import replace
from statistics import mean, median, quantiles
from time import process_time

from extender.__main__ import tune_collector
from k40s.annotations import CpuState, format_cpu_state, parse_cpu_state
from k40s.cpu.admission.admit import admit
from k40s.cpu.model import ContainerDemand, CpuNode, PodDemand, Task
from k40s.cpu.outcome import Admission
from k40s.criticality import Criticality
from k40s.units import NS_PER_MS, NS_PER_US, Nanoseconds
from tests.fakes.extender.world import (
    World,
    make_args,
    make_cpu_node,
    make_cpu_state,
    make_node,
    make_pod,
    make_task,
)

MOST_PODS = (2, 6, 16)
PERIODS_MS = (1000, 800, 600, 500, 400, 250, 200, 100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pods", type=int, default=100)
    parser.add_argument("--nodes", type=int, nargs="+", default=[8])
    options = parser.parse_args()
    tune_collector()
    print("| nodes | pods each | exchanges | call | p50, ms | p99, ms | longest, ms | fits |")
    print("|---|---|---|---|---|---|---|---|")
    for count, most in ((count, most) for count in options.nodes for most in MOST_PODS):
        dice = random.Random(f"{count} {most}")  # noqa: S311  # a benchmark repeats itself
        states = [full_state(dice, most) for _ in range(count)]
        pods = refused_pods(dice, states, options.pods)
        for exchanges in (False, True):
            measure([replace(state, exchanges=exchanges) for state in states], pods)


def full_state(dice: random.Random, most: int) -> CpuState:
    """A node after so many pods of falling periods, or as many as it admits."""
    tick = Nanoseconds(dice.choice((1, 4)) * NS_PER_MS)
    node: CpuNode = replace(
        make_cpu_node(cores=range(1, 2 + dice.randrange(2)), tick=tick), shared_groups=True
    )
    periods = sorted(dice.choices(PERIODS_MS, k=most), reverse=True)
    for number, period_ms in enumerate(periods):
        node = with_pod(node, dice, number, period_ms)
    return parse_cpu_state(format_cpu_state(make_cpu_state(node)))


def with_pod(node: CpuNode, dice: random.Random, number: int, period_ms: int) -> CpuNode:
    period = Nanoseconds(period_ms * NS_PER_MS)
    wcet = Nanoseconds(period * dice.randrange(50, 200) // 1000 // NS_PER_US * NS_PER_US)
    task = Task(name="t", wcet=wcet, period=period, deadline=period)
    demand = PodDemand(
        pod_uid=f"{dice.randrange(16**8):08x}",
        criticality=Criticality.LOW,
        containers=(ContainerDemand(container=f"c{number}", tasks=(task,)),),
    )
    outcome = admit(node, demand)
    return outcome.node if isinstance(outcome, Admission) and fits_text(outcome.node) else node


def fits_text(node: CpuNode) -> bool:
    """Whether the node can publish all of it."""
    return parse_cpu_state(format_cpu_state(make_cpu_state(node))).complete


def refused_pods(
    dice: random.Random, states: Sequence[CpuState], count: int
) -> list[dict[str, object]]:
    """Pods that no node admits as it is, and that would fit if they were a little smaller."""
    names = names_of(states)
    world = make_world(names, [replace(state, exchanges=False) for state in states])
    return [just_refused(dice, world, names, number) for number in range(count)]


def just_refused(
    dice: random.Random, world: World, names: Sequence[str], number: int
) -> dict[str, object]:
    period = dice.randrange(30, 120)
    low, high = 0, 1000
    while high - low > 1:
        middle = (low + high) // 2
        fits = world.filter(make(number, period, middle), names)["NodeNames"]
        low, high = (middle, high) if fits else (low, middle)
    return make(number, period, high + dice.randrange(20))


def make(number: int, period_ms: int, thousandths: int) -> dict[str, object]:
    tasks = [make_task(f"{period_ms * thousandths}us", f"{period_ms}ms")]
    return make_pod(f"pod-{number}", criticality="LOW", tasks=tasks)


def measure(states: Sequence[CpuState], pods: Sequence[dict[str, object]]) -> None:
    names = names_of(states)
    world = make_world(names, states)
    first, again, fits = list[float](), list[float](), 0
    for pod in pods:
        body = make_args(pod, names)
        for times in (first, again):
            start = process_time()
            answer = world.verbs.filter(body)
            times.append((process_time() - start) * 1e3)
        fits += b'"NodeNames":[]' not in answer
    held = mean(len(state.node.reservations) for state in states)
    exchanges = "sought" if states[0].exchanges else "off"
    for call, times in (("first", first), ("again", again)):
        p99 = quantiles(times, n=100)[98]
        print(
            f"| {len(names)} | {held:.1f} | {exchanges} | {call} | {median(times):.1f} | {p99:.1f} "
            f"| {max(times):.1f} | {fits} of {len(pods)} |"
        )


def names_of(states: Sequence[CpuState]) -> list[str]:
    return [f"node-{number:03d}" for number in range(len(states))]


def make_world(names: Sequence[str], states: Sequence[CpuState]) -> World:
    world = World()
    for name, state in zip(names, states, strict=True):
        world.add(make_node(name, level=18, cpu=state))
    return world


if __name__ == "__main__":
    main()

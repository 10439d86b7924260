"""Capacity gain of shared budget groups over a group for each reservation, and over containers'.

    python -m bench.admission.shared_groups [--cores 2 4 8 16 32 64] [--nodes 3]

The kernel bounds ΣQ/P over all budget groups of a node by 0.95, whatever their cores; a group that
serves a reservation on each core counts once. Pods of one to three tasks (100 ms to 1 s, tick 4 ms)
arrive until forty in a row are refused. Printed are CPUs of real-time budget (ΣQ/P over all
reservations) and of tasks (ΣC/T), by containers' own cgroups (below ancestors of 1 s that never
bind), by own groups and by shared ones.
"""

import argparse
from dataclasses import replace
from fractions import Fraction
from random import Random
from statistics import mean

from k40s.cpu.admission.admit import admit
from k40s.cpu.model import ContainerDemand, CpuNode, PodDemand, Task, total_bandwidth
from k40s.cpu.outcome import Admission
from k40s.criticality import Criticality
from k40s.units import NS_PER_S, NS_PER_US, Nanoseconds
from tests.oracles.pods import empty_node

REFUSALS = 40
TICK_MS = 4
SETTINGS = ("container", "own", "shared")


def random_pod(chance: Random, uid: str) -> PodDemand:
    tasks = []
    for index in range(chance.choice((1, 1, 2, 3))):
        period = int(100_000 * 10 ** chance.random()) * NS_PER_US
        wcet = int(period * chance.uniform(0.01, 0.12)) // NS_PER_US * NS_PER_US
        tasks.append(
            Task(
                name=f"t{index}",
                wcet=Nanoseconds(wcet),
                period=Nanoseconds(period),
                deadline=Nanoseconds(period),
            )
        )
    return PodDemand(
        pod_uid=uid,
        criticality=chance.choice((Criticality.LOW, Criticality.LOW, Criticality.HI)),
        containers=(ContainerDemand(container="c", tasks=tuple(tasks)),),
    )


def filled(cores: int, seed: int, setting: str) -> tuple[CpuNode, int]:
    """The node when it takes no more, and the number of groups."""
    chance = Random(seed)  # noqa: S311  # a benchmark repeats itself
    node = replace(
        empty_node(TICK_MS, cores),
        node_capacity=Fraction(95, 100),
        shared_groups=setting == "shared",
        ancestor_period=Nanoseconds(NS_PER_S) if setting == "container" else None,
    )
    refused = number = 0
    while refused < REFUSALS:
        outcome = admit(node, random_pod(chance, f"p{number}"))
        number += 1
        refused = 0 if isinstance(outcome, Admission) else refused + 1
        node = outcome.node if isinstance(outcome, Admission) else node
    numbers = {r.group for r in node.reservations}
    return node, len(numbers) if setting == "shared" else len(node.reservations)


def tasks_of(node: CpuNode) -> float:
    return float(sum(t.utilization for r in node.reservations for t in r.tasks))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--cores", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32, 64])
    parser.add_argument("--nodes", type=int, default=3)
    options = parser.parse_args()
    print("       container's              own groups               shared groups")
    print("cores " + 3 * "  budget  tasks  pods    " + "  groups  gain in tasks over own")
    for cores in options.cores:
        row = [f"{cores:5}"]
        done = []
        for setting in SETTINGS:
            found = [filled(cores, seed, setting) for seed in range(options.nodes)]
            budget = mean(float(total_bandwidth(node.reservations)) for node, _ in found)
            tasks = mean(tasks_of(node) for node, _ in found)
            pods = mean(len(node.reservations) for node, _ in found)
            row.append(f"{budget:6.2f} {tasks:6.2f} {pods:5.1f}   ")
            done.append(tasks)
            groups = mean(groups for _, groups in found)
        print("  ".join(row), f"{groups:6.1f}  {done[2] / done[1]:.2f}", flush=True)


if __name__ == "__main__":
    main()

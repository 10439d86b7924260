"""Capacity of a node by rt-cgroups, by SCHED_DEADLINE, and by either rule of selection.

    python -m bench.admission.mechanisms [--nodes 4]

Four cores, budget groups that cores share, a root domain for each core, ticks of 4 ms. Pods of one
to three tasks arrive until twenty in a row are refused; printed are the CPUs of their tasks (ΣC/T).
"25 ticks" tries SCHED_DEADLINE first for containers with a period below 25 ticks, "deadline first"
for all, "rt-cgroup first" for none.
"""

import argparse
from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from random import Random
from statistics import mean

from k40s.cpu.admission.admit import admit, mechanisms_for
from k40s.cpu.admission.admit import admit as admission
from k40s.cpu.model import (
    ContainerDemand,
    CpuNode,
    DeadlineOffer,
    Domain,
    Mechanism,
    PodDemand,
    Task,
)
from k40s.cpu.outcome import Admission
from k40s.criticality import Criticality
from k40s.units import NS_PER_US, Nanoseconds
from tests.oracles.pods import empty_node

CLASSES = ((10, 50), (20, 200), (100, 1_000), (10, 1_000))
"""Shortest and longest period in milliseconds; log-uniform between."""
REFUSALS = 20
TICK_MS = 4


def random_pod(chance: Random, uid: str, shortest: int, longest: int) -> PodDemand:
    tasks = []
    for index in range(chance.choice((1, 1, 2, 3))):
        period = int(shortest * 1_000 * (longest / shortest) ** chance.random()) * NS_PER_US
        wcet = max(NS_PER_US, int(period * chance.uniform(0.01, 0.12)) // NS_PER_US * NS_PER_US)
        times = [Nanoseconds(time) for time in (wcet, period, period)]
        tasks.append(Task(name=f"t{index}", wcet=times[0], period=times[1], deadline=times[2]))
    return PodDemand(
        pod_uid=uid,
        criticality=chance.choice((Criticality.LOW, Criticality.LOW, Criticality.HI)),
        containers=(ContainerDemand(container="c", tasks=tuple(tasks)),),
    )


def taken(seed: int, periods: tuple[int, int], *, mechanism: Mechanism | None) -> float:
    chance = Random(seed)  # noqa: S311  # a benchmark repeats itself
    node: CpuNode = replace(
        empty_node(TICK_MS, 4), node_capacity=Fraction(95, 100), shared_groups=True
    )
    offer = DeadlineOffer(tick=node.tick, capacity=Fraction(9, 10), domain=Domain.PARTITIONED)
    node = replace(node, deadline=offer)
    refused = number = 0
    while refused < REFUSALS:
        pod = replace(random_pod(chance, f"p{number}", *periods), mechanism=mechanism)
        outcome = admit(node, pod)
        number += 1
        refused = 0 if isinstance(outcome, Admission) else refused + 1
        node = outcome.node if isinstance(outcome, Admission) else node
    return float(sum(t.utilization for r in node.reservations for t in r.tasks))


def always(first: Mechanism) -> object:
    def order(
        _node: CpuNode, _container: ContainerDemand, offered: Iterable[Mechanism]
    ) -> tuple[Mechanism, ...]:
        return tuple(sorted(offered, key=lambda mechanism: mechanism is not first))

    return order


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--nodes", type=int, default=4)
    nodes = parser.parse_args().nodes
    rules: dict[str, tuple[Mechanism | None, object]] = {
        "rt-cgroup alone": (Mechanism.RT_CGROUP, mechanisms_for),
        "deadline alone": (Mechanism.DEADLINE, mechanisms_for),
        "rt-cgroup first": (None, always(Mechanism.RT_CGROUP)),
        "deadline first": (None, always(Mechanism.DEADLINE)),
        "25 ticks": (None, mechanisms_for),
    }
    print(f"{'':16}", *(f"{low:>4}-{high} ms" for low, high in CLASSES), sep="  ")
    for name, (mechanism, order) in rules.items():
        vars(admission)["mechanisms_for"] = order
        row = [
            mean(taken(seed, periods, mechanism=mechanism) for seed in range(nodes))
            for periods in CLASSES
        ]
        print(f"{name:16}", *(f"{cpus:10.2f}" for cpus in row), sep="  ", flush=True)


if __name__ == "__main__":
    main()

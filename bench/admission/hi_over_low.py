"""Share of HI pods that still fit on a core with LOW ones, and CPUs of tasks that a core takes.

    python -m bench.admission.hi_over_low [--cores 300]

One core, one task for each pod, log-uniform periods of a class, 5 to 25 % of a CPU each. Two LOW
pods arrive at an empty core; then one HI pod, by rt-cgroups or by SCHED_DEADLINE. A case counts
where both LOW pods were admitted, and where the HI pod fits on the core without them. "held" is the
CPUs of tasks (ΣC/T) on a core at which thirty pods of both criticalities have arrived. Each figure
without and with exchanges of servers.
"""

import argparse
from dataclasses import replace
from itertools import product
from random import Random
from statistics import mean

from bench.admission.acceptance_rules import exchanged
from k40s.cpu.admission.admit import admit
from k40s.cpu.admission.exchange import Exchange
from k40s.cpu.admission.resynthesis import admit_or_exchange, find_exchange
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

CLASSES = ((20, 1_000), (100, 1_000), (50, 200))
"""Shortest and longest period in milliseconds."""
TICKS_MS = (0, 1, 4)
ARRIVALS = 30


def random_pod(
    chance: Random, uid: str, periods: tuple[int, int], criticality: Criticality
) -> PodDemand:
    shortest, longest = periods
    period = int(shortest * 1_000 * (longest / shortest) ** chance.random()) * NS_PER_US
    wcet = int(period * chance.uniform(0.05, 0.25)) // NS_PER_US * NS_PER_US
    times = [Nanoseconds(time) for time in (wcet, period, period)]
    task = Task(name="t", wcet=times[0], period=times[1], deadline=times[2])
    return PodDemand(
        pod_uid=uid,
        criticality=criticality,
        containers=(ContainerDemand(container="c", tasks=(task,)),),
    )


def empty_core(tick_ms: int) -> CpuNode:
    node = empty_node(tick_ms)
    offer = DeadlineOffer(tick=node.tick, capacity=node.core_capacity, domain=Domain.PARTITIONED)
    return replace(node, deadline=offer)


def still_fits(
    tick_ms: int, periods: tuple[int, int], mechanism: Mechanism, seed: int
) -> list[tuple[bool, bool]]:
    """One case, without and with exchanges; empty where it does not count."""
    chance = Random(seed)  # noqa: S311  # a benchmark repeats itself
    node = empty_core(tick_ms)
    hi = replace(random_pod(chance, "hi", periods, Criticality.HI), mechanism=mechanism)
    if not isinstance(admit(node, hi), Admission):
        return []
    for number in range(2):
        pod = random_pod(chance, f"low{number}", periods, Criticality.LOW)
        outcome = admit(node, replace(pod, mechanism=Mechanism.RT_CGROUP))
        if not isinstance(outcome, Admission):
            return []
        node = outcome.node
    fits = isinstance(admit(node, hi), Admission)
    return [(fits, fits or find_exchange(node, hi) is not None)]


def held(tick_ms: int, periods: tuple[int, int], seed: int, *, exchanges: bool) -> float:
    chance = Random(seed)  # noqa: S311  # the same
    node = empty_node(tick_ms)
    for number in range(ARRIVALS):
        criticality = chance.choice((Criticality.LOW, Criticality.HI))
        demand = random_pod(chance, f"p{number}", periods, criticality)
        outcome = admit_or_exchange(node, demand) if exchanges else admit(node, demand)
        if isinstance(outcome, Admission):
            node = outcome.node
        elif isinstance(outcome, Exchange):
            node = exchanged(node, outcome)
    return float(sum(t.utilization for r in node.reservations for t in r.tasks))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--cores", type=int, default=300)
    cores = parser.parse_args().cores
    print("periods        tick ms  cases  HI by rt-cgroup  HI by deadline           held")
    for periods, tick_ms in product(CLASSES, TICKS_MS):
        fits = {
            mechanism: [
                fit
                for seed in range(cores)
                for fit in still_fits(tick_ms, periods, mechanism, seed)
            ]
            for mechanism in Mechanism
        }
        shares = [
            mean(case[at] for case in fits[mechanism]) if fits[mechanism] else 0.0
            for mechanism in (Mechanism.RT_CGROUP, Mechanism.DEADLINE)
            for at in (0, 1)
        ]
        taken = [
            mean(held(tick_ms, periods, seed, exchanges=one) for seed in range(cores // 4))
            for one in (False, True)
        ]
        print(
            f"{periods[0]:4}-{periods[1]:<4} ms  {tick_ms:7}  {len(fits[Mechanism.RT_CGROUP]):5}"
            "  {:9.2f} {:5.2f}  {:8.2f} {:5.2f}  {:6.3f} {:5.3f}".format(*shares, *taken),
            flush=True,
        )


if __name__ == "__main__":
    main()

"""The longest admission that valid contracts can cause.

    python -m bench.admission.worst_case [--seconds 60] [--seed 1]

Pods with one to sixteen tasks fill one core: periods without common divisors, of 100 us to an hour
in one container, nearly equal ones, short ones; deadlines far below periods; either mechanism; with
and without room for HI. Process CPU time of every admission, the ten longest, and the most steps
that one took of those it may (``k40s.cpu.effort``).
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from random import Random
from time import process_time

from k40s.cpu.admission.admit import admit
from k40s.cpu.effort import Effort
from k40s.cpu.model import (
    ContainerDemand,
    CpuNode,
    DeadlineOffer,
    Domain,
    Mechanism,
    PodDemand,
    Server,
    Task,
)
from k40s.cpu.outcome import Admission
from k40s.criticality import Criticality
from k40s.units import NS_PER_MS, NS_PER_US, Nanoseconds

SHORTEST, LONGEST = 100, 3_600_000_000
"""Microseconds."""
PERIODS: dict[str, Callable[[Random], int]] = {
    "coprime": lambda chance: chance.randrange(1_000, 1_000_000),
    "short": lambda chance: chance.randrange(SHORTEST, 2_000),
    "alike": lambda chance: chance.randrange(10_000, 10_100),
    "long": lambda chance: chance.randrange(LONGEST // 12, LONGEST),
    "ratio": lambda chance: chance.choice(
        (chance.randrange(1_000, 1_100), chance.randrange(LONGEST // 4, LONGEST))
    ),
}
RESERVE = Server(budget=Nanoseconds(20 * NS_PER_MS), period=Nanoseconds(100 * NS_PER_MS))
LIFE_SECONDS = 10.0


@dataclass(frozen=True, order=True)
class Long:
    """One admission: duration, decision and demand."""

    seconds: float
    steps: int
    kind: str
    tick_ms: int
    held: int
    tasks: int
    verdict: str


def greedy(chance: Random, uid: str, kind: str) -> PodDemand:
    share = chance.choice((0.001, 0.01, 0.05))
    drawn = []
    for number in range(chance.choice((1, 1, 2, 4, 16))):
        period = PERIODS[kind](chance)
        wcet = max(1, int(period * share * chance.random()))
        deadline = chance.randrange(wcet, period + 1) if chance.random() < 0.3 else period
        times = (Nanoseconds(micros * NS_PER_US) for micros in (wcet, period, deadline))
        drawn.append(_task(f"t{number}", *times))
    return PodDemand(
        pod_uid=uid,
        criticality=Criticality.LOW if chance.random() < 0.7 else Criticality.HI,
        containers=(ContainerDemand(container="c", tasks=tuple(drawn)),),
        mechanism=chance.choice((None, None, *Mechanism)),
    )


def _task(name: str, wcet: Nanoseconds, period: Nanoseconds, deadline: Nanoseconds) -> Task:
    return Task(name=name, wcet=wcet, period=period, deadline=deadline)


def random_core(chance: Random, tick_ms: int) -> CpuNode:
    tick = Nanoseconds(tick_ms * NS_PER_MS)
    node = CpuNode(
        cores=(0,),
        tick=tick,
        node_capacity=Fraction(1),
        core_capacity=Fraction(9, 10),
        platform="any",
        platform_factor=Fraction(1),
        shared_groups=chance.random() < 0.5,
        hi_reserve=RESERVE if chance.random() < 0.5 else None,
    )
    if chance.random() < 0.4:
        offer = DeadlineOffer(tick=tick, capacity=Fraction(9, 10), domain=Domain.PARTITIONED)
        node = replace(node, deadline=offer)
    return node


def live(seed: int) -> list[Long]:
    """One core's life, until nothing has been admitted for long."""
    chance = Random(seed)  # noqa: S311  # a benchmark repeats itself
    tick_ms = chance.choice((0, 0, 1, 4))
    node, found = random_core(chance, tick_ms), []
    kinds = chance.choice((tuple(PERIODS), (chance.choice(tuple(PERIODS)),)))
    until = process_time() + LIFE_SECONDS
    for number in range(150):
        kind = chance.choice(kinds)
        demand = greedy(chance, f"p{number}", kind)
        effort = Effort.for_cores(1)
        most, start = effort.left, process_time()
        outcome = admit(node, demand, effort=effort)
        seconds = process_time() - start
        verdict = "admitted" if isinstance(outcome, Admission) else outcome.reason.value
        tasks = sum(len(held.tasks) for held in node.reservations)
        steps = most - effort.left
        found.append(Long(seconds, steps, kind, tick_ms, len(node.reservations), tasks, verdict))
        node = outcome.node if isinstance(outcome, Admission) else node
        if process_time() > until:
            break
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    found: list[Long] = []
    seed, until = options.seed, process_time() + options.seconds
    while process_time() < until:
        found += live(seed)
        seed += 1
    print(f"{len(found)} admissions on {seed - options.seed} cores")
    print("   ms   steps  kind     tick ms  servers  tasks  verdict")
    for one in sorted(found, reverse=True)[:10]:
        print(
            f"{one.seconds * 1e3:5.0f}  {one.steps:6}  {one.kind:7}  {one.tick_ms:7}"
            f"  {one.held:7}  {one.tasks:5}  {one.verdict}"
        )
    print(f"most steps: {max(one.steps for one in found)} of {Effort.for_cores(1).left}")


if __name__ == "__main__":
    main()

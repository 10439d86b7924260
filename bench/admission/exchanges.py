"""What exchanges of servers gain and cost, on sets that nothing was chosen by.

    python -m bench.admission.exchanges [--sets 100] [--seed 1] [--churn 12]

One core, rt-cgroups. Acceptance: the sets of ``bench.admission.acceptance`` with other seeds, at
the points where order of arrival costs most, without and with exchanges. Churn: pods of three tasks
of 100 ms to 1 s, 5 to 20 % of a CPU together, arrive 120 times at a node with a tick of 1 ms, and
stay for four to nine arrivals; mean CPUs of tasks that the core holds. CPU time is that of
``find_exchange``, where ``admit`` refuses.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import exp, log
from random import Random
from statistics import mean, median
from time import process_time

from bench.admission.acceptance import CLASSES, random_set
from bench.admission.acceptance_rules import Containers, demands_of, exchanged, one_core
from k40s.cpu.admission.admit import admit
from k40s.cpu.admission.resynthesis import find_exchange
from k40s.cpu.model import CpuNode, Mechanism, PodDemand
from k40s.cpu.outcome import Admission

POINTS = (
    ("100ms-1s", 4_000, 0.6),
    ("100ms-1s", 1_000, 0.7),
    ("100ms-1s", 0, 0.8),
    ("10ms-1s", 1_000, 0.5),
    ("10ms-1s", 1_000, 0.6),
    ("10ms-1s", 0, 0.7),
    ("10ms-1s", 4_000, 0.2),
    ("1ms-20ms", 0, 0.5),
    ("1ms-20ms", 1_000, 0.15),
)
ARRIVALS, SETTLED = 120, 20


@dataclass
class Cost:
    steps: list[int] = field(default_factory=list)
    found: list[float] = field(default_factory=list)
    vain: list[float] = field(default_factory=list)


def arrive(node: CpuNode, demand: PodDemand, cost: Cost | None) -> CpuNode | None:
    """The node with a pod, by an exchange if there is a ``cost`` to note; None where refused."""
    outcome = admit(node, demand)
    if isinstance(outcome, Admission):
        return outcome.node
    if cost is None:
        return None
    start = process_time()
    plan = find_exchange(node, demand)
    (cost.vain if plan is None else cost.found).append((process_time() - start) * 1e3)
    if plan is None:
        return None
    cost.steps.append(len(plan.steps))
    return exchanged(node, plan)


def accepts(containers: Containers, tick: int, cost: Cost | None) -> bool:
    node: CpuNode | None = one_core(tick)
    for demand in demands_of(containers, Mechanism.RT_CGROUP):
        node = arrive(node, demand, cost) if node is not None else None
    return node is not None


def churn(seed: int, cost: Cost | None) -> float:
    """Mean CPUs of tasks held, the first arrivals left out."""
    chance = Random(f"churn {seed}")  # noqa: S311  # a benchmark repeats itself
    node, stays = one_core(1_000), dict[str, int]()
    held: list[float] = []
    for number in range(ARRIVALS):
        for uid in [uid for uid, end in stays.items() if end <= number]:
            node = node.without(uid)
            del stays[uid]
        uid = f"p{number}"
        tasks = [random_task(chance, chance.uniform(0.05, 0.2) / 3) for _ in range(3)]
        (demand,) = demands_of([tasks], Mechanism.RT_CGROUP, first=number)
        stay = chance.randrange(4, 10)
        after = arrive(node, demand, cost)
        if after is not None:
            node, stays[uid] = after, number + stay
        if number >= SETTLED:
            held.append(float(sum(t.utilization for r in node.reservations for t in r.tasks)))
    return mean(held)


def random_task(chance: Random, share: float) -> tuple[int, int]:
    period = round(exp(chance.uniform(log(100_000), log(1_000_000))))
    return max(1, int(share * period)), period


def times(name: str, found: Sequence[float]) -> str:
    if not found:
        return f"{name} never"
    return f"{name} {len(found)} times, ms: p50 {median(found):.1f}, longest {max(found):.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--sets", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--churn", type=int, default=12)
    options = parser.parse_args()
    cost = Cost()
    print("periods    tick ms    U   without   with   steps")
    for name, tick, load in POINTS:
        kind = next(one for one in CLASSES if one.name == name)
        taken, before = [0, 0], len(cost.steps)
        for number in range(options.sets):
            chance = Random(f"{options.seed} {name} {load} {number}")  # noqa: S311  # the same
            containers = random_set(chance, kind, load)
            taken[0] += accepts(containers, tick, None)
            taken[1] += accepts(containers, tick, cost)
        shares = [one / options.sets for one in taken]
        steps = sum(cost.steps[before:])
        print(
            f"{name:10} {tick / 1_000:6g} {load:5}   {shares[0]:6.2f} {shares[1]:6.2f}   {steps:4}",
            flush=True,
        )
    print(times("exchange found", cost.found), "|", times("none found", cost.vain))
    held = [mean(churn(seed, one) for seed in range(options.churn)) for one in (None, Cost())]
    print("churn, mean CPUs held: without {:.3f}, with {:.3f}".format(*held))


if __name__ == "__main__":
    main()

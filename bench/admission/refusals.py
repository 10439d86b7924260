"""CPU time of refusals by full nodes, and a digest of verdicts.

    python -m bench.admission.refusals [--nodes 4] [--pods 25] [--verdicts 0]

Pods of one or two tasks (20 ms to 1 s, tick 4 ms) arrive at a node until forty in a row are
refused. Then further pods are timed on it, those that it refuses: the refusal, and the search for
an exchange of servers after it. Kinds of nodes are those of ``bench.admission.cpu_time``. Process
CPU time, the best of three rounds.

``--verdicts N`` prints a digest of N admissions to random nodes of every kind that fill and empty
again: servers, priorities and groups of all reservations, or the reason and text of the refusal.
Two versions with one digest decide alike.
"""

import argparse
from functools import partial
from hashlib import sha256
from itertools import product
from random import Random
from statistics import median, quantiles

from bench.admission.cpu_time import TICK_MS, best_of, empty
from k40s.cpu.admission.admit import admit
from k40s.cpu.admission.resynthesis import find_exchange
from k40s.cpu.linux import LEVELS, LevelRange
from k40s.cpu.model import CpuNode
from k40s.cpu.outcome import Admission
from tests.oracles.pods import random_large_pod, random_node, random_pod

IN_A_ROW = 40
STEPS = 30
TICKS_MS = (0, 1, 2, TICK_MS)


def full_node(kind: str, cores: int, seed: int) -> CpuNode:
    chance = Random(seed)  # noqa: S311  # a benchmark repeats itself
    node, refused, number = empty(kind, cores), 0, 0
    while refused < IN_A_ROW:
        outcome = admit(node, random_pod(chance, f"p{number}"))
        number += 1
        refused = 0 if isinstance(outcome, Admission) else refused + 1
        node = outcome.node if isinstance(outcome, Admission) else node
    return node


def refusal_times(node: CpuNode, seed: int, pods: int) -> list[tuple[float, float]]:
    """Milliseconds of each refusal, and of the search for an exchange."""
    chance = Random(-1 - seed)  # noqa: S311  # the same
    times: list[tuple[float, float]] = []
    while len(times) < pods:
        pod = random_pod(chance, "new")
        if not isinstance(admit(node, pod), Admission):
            refusal = best_of(partial(admit, node, pod))
            times.append((refusal * 1e3, best_of(partial(find_exchange, node, pod)) * 1e3))
    return times


def digest(admissions: int) -> tuple[str, int]:
    """Of so many verdicts, and how many of them admit."""
    found, done, taken, seed = sha256(), 0, 0, 0
    while done < admissions:
        seed += 1
        chance = Random(seed)  # noqa: S311  # the same
        node = random_node(chance, TICKS_MS[seed % len(TICKS_MS)])
        total = LEVELS if seed % 3 else 4
        levels = LevelRange(total=total, below_hi=total // 2)
        for number in range(STEPS):
            if node.reservations and chance.random() < 0.2:
                node = node.without(chance.choice(node.reservations).pod_uid)
            pod = random_large_pod(chance, f"p{number}", len(node.cores))
            outcome = admit(node, pod, levels=levels)
            done += 1
            if isinstance(outcome, Admission):
                node = outcome.node
                taken += 1
                found.update(repr(node.reservations).encode())
            else:
                found.update(f"{outcome.reason} {outcome.detail}".encode())
    return found.hexdigest()[:16], taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--nodes", type=int, default=4)
    parser.add_argument("--pods", type=int, default=25)
    parser.add_argument("--verdicts", type=int, default=0)
    options = parser.parse_args()
    if options.verdicts:
        text, taken = digest(options.verdicts)
        print(f"{text} is the digest of {options.verdicts} admissions, {taken} of them granted")
        return
    print("               refusal                    exchange, on top")
    print("kind    cores  p50 ms  p99 ms  longest    p50 ms  p99 ms  longest")
    for kind, cores in product(("own", "shared", "both"), (1, 8, 64)):
        times = [
            time
            for seed in range(options.nodes)
            for time in refusal_times(full_node(kind, cores, seed), seed, options.pods)
        ]
        row = "   ".join(
            f" {median(part):6.2f}  {quantiles(part, n=100)[-1]:6.2f}  {max(part):7.2f}"
            for part in zip(*times, strict=True)
        )
        print(f"{kind:6}  {cores:5} {row}", flush=True)


if __name__ == "__main__":
    main()

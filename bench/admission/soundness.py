"""Do admitted server sets ever miss a deadline in exact simulation?

    python -m bench.admission.soundness [--sets 2000] [--seconds 600] [--seed 1] [--levels 48]

Random pods come and go on random nodes: one to three cores, either mechanism or both, every kind of
root domain, budget groups shared or not, every packing, enforcement exact or at ticks of 1, 2, 4
and 10 ms. Each set of servers that admission leaves behind runs for a second or more, with hogs in
every server, containers that ignore their contract, threads that wake and sleep as they like, and
random phases. A set counts once for each arrival that was admitted. Responses of tasks in servers
are held to the longest bound that the analysis gave them so far. With few ``--levels`` of
SCHED_FIFO on each core, half of them for LOW, tasks and containers have to share them.

Where a pod is refused and an exchange of servers lets it in, the exchange runs as well: both groups
exist, and threads move one by one, at instants of every kind; each of its points counts as a set.
Every other life is of one core to which pods come with falling periods, which needs most exchanges.
"""

import argparse
from collections import Counter
from dataclasses import dataclass, field, replace
from random import Random
from time import process_time

from k40s.cpu.admission.resynthesis import admit_or_exchange
from k40s.cpu.linux import LEVELS, LevelRange
from k40s.cpu.model import CpuNode, Mechanism, Reservation
from k40s.cpu.outcome import Admission, Rejection
from tests.oracles.bounds import contained, name_of
from tests.oracles.exchange_replay import ExchangeReplay
from tests.oracles.pods import empty_node, falling_pods, random_large_pod, random_node

TICKS_MS = (0, 1, 2, 4, 10)
STEPS = 12


@dataclass
class Tally:
    arrivals: int = 0
    sets: Counter[int] = field(default_factory=Counter)
    jobs: Counter[int] = field(default_factory=Counter)
    misses: Counter[int] = field(default_factory=Counter)
    reservations: Counter[str] = field(default_factory=Counter)
    beyond: Counter[int] = field(default_factory=Counter)
    late: list[tuple[int, int]] = field(default_factory=list)
    exchanges: int = 0
    steps: int = 0
    moved: int = 0
    moved_late: int = 0


def live(seed: int, tick_ms: int, tally: Tally, levels: LevelRange) -> None:
    """One node's life."""
    chance = Random(seed * 10 + tick_ms)  # noqa: S311  # a soak repeats itself
    node = random_node(chance, tick_ms)
    demands = [random_large_pod(chance, f"p{number}", len(node.cores)) for number in range(STEPS)]
    if seed % 2:
        node = empty_node(tick_ms)
        demands = falling_pods(chance, tick_ms, STEPS // 2)
        demands += [replace(pod, pod_uid=f"q{pod.pod_uid}") for pod in demands[::-1]]
    replay = ExchangeReplay(node, chance)
    for demand in demands:
        if node.reservations and chance.random() < 0.3:
            node = node.without(chance.choice(node.reservations).pod_uid)
            replay.follow(node)
            replay.run(chance.randrange(1, 300_000))
        outcome = admit_or_exchange(node, demand, levels=levels)
        tally.arrivals += 1
        if isinstance(outcome, Rejection):
            continue
        if isinstance(outcome, Admission):
            node = outcome.node
            tally.sets[tick_ms] += 1
            replay.note_bounds(node)
            replay.follow(node)
        else:
            node = replay.exchange(node, outcome)
            tally.exchanges += 1
            tally.steps += len(outcome.steps)
            tally.sets[tick_ms] += 2 * len(outcome.steps) + 1
        tally.reservations.update(kinds(node))
        replay.run(chance.randrange(300_000, 1_500_000))
        tally.beyond[tick_ms] += len(replay.exceeding(replay.bounds))
    replay.finish()
    tally.jobs[tick_ms] += replay.finished
    tally.misses[tick_ms] += len(replay.misses)
    tally.moved += replay.moved
    tally.moved_late += replay.moved_late
    if replay.misses or tally.beyond[tick_ms]:
        tally.late.append((seed, tick_ms))


def kinds(node: CpuNode) -> list[str]:
    held = node.reservations
    groups = Counter(r.group for r in held if r.group is not None)
    kind = [r.mechanism.value for r in held]
    inside = contained(node)
    kind += ["held by containment" for r in held if name_of(r) in inside]
    kind += ["in a group that cores share" for r in held if r.group and groups[r.group] > 1]
    kind += ["with tasks that share a level" for r in held if _shares(r)]
    used = Counter((r.core, level) for r in held for level in set(r.priorities))
    kind += ["at a level of other containers" for r in held if _is_met(r, used)]
    mixed = {r.core for r in held if r.mechanism is Mechanism.DEADLINE}
    kind += ["beside the other mechanism" for r in held if r.priorities and {r.core, -1} & mixed]
    return kind


def _shares(held: Reservation) -> bool:
    return len(set(held.priorities)) < len(held.priorities)


def _is_met(held: Reservation, used: Counter[tuple[int, int]]) -> bool:
    return any(used[held.core, level] > 1 for level in held.priorities)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--sets", type=int, default=2_000)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--levels", type=int, default=LEVELS)
    options = parser.parse_args()
    levels = LevelRange(total=options.levels, below_hi=options.levels // 2)
    tally = Tally()
    seed = options.seed
    started = process_time()
    while sum(tally.sets.values()) < options.sets and process_time() - started < options.seconds:
        live(seed, TICKS_MS[seed % len(TICKS_MS)], tally, levels)
        seed += 1
    print("tick ms   sets     jobs  misses  bounds exceeded")
    counts = (tally.sets, tally.jobs, tally.misses, tally.beyond)
    for tick_ms in TICKS_MS:
        row = [count[tick_ms] for count in counts]
        print("{:7}  {:5}  {:7}  {:6}  {:15}".format(tick_ms, *row))
    print("    all  {:5}  {:7}  {:6}  {:15}".format(*(sum(c.values()) for c in counts)))
    print(
        f"{tally.exchanges} exchanges of {tally.steps} steps; {tally.moved} threads moved, "
        f"{tally.moved_late} of them with a job"
    )
    print(
        f"{tally.arrivals} arrivals, {process_time() - started:.0f} s; reservations over all sets:"
    )
    for kind, count in tally.reservations.most_common():
        print(f"  {count:6} {kind}")
    if tally.late:
        print("misses, or bounds exceeded, up to (seed, tick):", tally.late)
        raise SystemExit(1)


if __name__ == "__main__":
    main()

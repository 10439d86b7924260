"""Do granted slots ever collide? Random networks, each unrolled frame by frame over a hyperperiod.

    python -m bench.tdma.collisions [--accepted 20000] [--seed 1] [--processes 1]

Requests arrive and leave on random cycles (0.5 to 10 ms, 10 Mbit/s to 1 Gbit/s, backup masters or
none), by length or payload, from stations with and without jitter, of all classes of periods: those
of bench.tdma.sets, parts of a cycle, and lengths of several packets. Twice in its life, when it is
full and after later arrivals, each network is sent by an oracle that shares no code with the search
(tests/oracles/slot_timeline.py), every frame as late as it may be. The seed names the networks.
"""

import argparse
from collections import Counter
from collections.abc import Iterator
from multiprocessing import Pool
from random import Random
from time import perf_counter

from bench.tdma.sets import CLASSES
from k40s.reasons import Reason
from k40s.tdma import check_table, find_grant
from k40s.tdma.model import Cycle, SlotGrant, SlotRequest, SlotTable
from k40s.units import NS_PER_US, Nanoseconds
from tests.oracles.slot_timeline import Sender, Wire, first_meeting
from tests.oracles.slot_views import senders_of, wire_of

RATES = (10_000_000, 100_000_000, 1_000_000_000)
CYCLES_US = (500, 1_000, 2_000, 5_000, 10_000)
PARTS = (2, 3, 4, 5, 8, 10)
REFUSALS = 6
"""A network is full after so many refusals in a row."""
MOST_SLOTS = (10, 30, 60)
"""A network takes no more requests than one of these, however short its frames are."""


def random_cycle(chance: Random) -> Cycle:
    while True:
        period = chance.choice(CYCLES_US) * NS_PER_US
        backups = sorted(chance.sample(range(1, period // NS_PER_US), chance.choice((0, 0, 1, 2))))
        try:
            return Cycle(
                period=Nanoseconds(period),
                bit_rate=chance.choice(RATES),
                mtu=chance.choice((256, 1_000, 1_500)),
                guard=Nanoseconds(chance.choice((0, 999, 10_000, 20_000))),
                sync_lateness=Nanoseconds(chance.choice((0, 5_000, 12_345))),
                backup_offsets=tuple(Nanoseconds(offset * NS_PER_US) for offset in backups),
            )
        except ValueError:
            continue


def random_request(chance: Random, cycle: Cycle, periods: tuple[int, ...]) -> SlotRequest:
    if chance.random() < 0.05:
        period = cycle.period // chance.choice(PARTS)
    else:
        period = cycle.period * chance.choice(periods)
        period += chance.choice((0, 0, 0, cycle.period // 3))
    if chance.random() < 0.3:
        length = chance.randrange(1_000, max(2_000, cycle.period // 3))
        return SlotRequest(period=Nanoseconds(period), length=Nanoseconds(length))
    return SlotRequest(period=Nanoseconds(period), payload=chance.randint(1, cycle.mtu))


class Network:
    """One network's life."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)  # noqa: S311  # a benchmark repeats itself
        self.kind = list(CLASSES)[seed % len(CLASSES)]
        self.cycle = random_cycle(self.chance)
        self.most = self.chance.choice(MOST_SLOTS)
        self.held: list[tuple[SlotGrant, int]] = []
        self.accepted = 0
        self.refused: Counter[Reason] = Counter()
        self.collisions: list[str] = []

    @property
    def table(self) -> SlotTable:
        windows = tuple(window for grant, _ in self.held for window in grant.windows)
        return SlotTable(cycle=self.cycle, windows=windows)

    def live(self) -> None:
        self.fill()
        self.check()
        self.chance.shuffle(self.held)
        del self.held[len(self.held) // 2 :]
        self.fill()
        self.check()

    def fill(self) -> None:
        in_a_row = 0
        while in_a_row < REFUSALS and len(self.held) < self.most:
            jitter = self.chance.choice((0, 0, 1_500, 7_000))
            request = random_request(self.chance, self.cycle, CLASSES[self.kind])
            found = find_grant(self.table, request, jitter=jitter)
            if isinstance(found, Reason):
                self.refused[found] += 1
                in_a_row += 1
            else:
                self.held.append((found, jitter))
                self.accepted += 1
                in_a_row = 0

    def check(self) -> None:
        wire: Wire = wire_of(self.cycle)
        senders: list[Sender] = []
        for grant, jitter in self.held:
            senders += senders_of(grant.windows, jitter)
        meeting = first_meeting(wire, senders)
        if meeting is not None or check_table(self.table) is not None:
            self.collisions.append(meeting or "by the pairwise test only")


Result = tuple[int, str, int, Counter[Reason], list[str]]


def life(seed: int) -> Result:
    network = Network(seed)
    network.live()
    return seed, network.kind, network.accepted, network.refused, network.collisions


def lives(seed: int, processes: int) -> Iterator[Result]:
    seeds = range(seed, 1 << 40)
    if processes == 1:
        yield from map(life, seeds)
        return
    with Pool(processes) as pool:
        yield from pool.imap_unordered(life, seeds, chunksize=4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--accepted", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=1)
    options = parser.parse_args()
    networks: Counter[str] = Counter()
    accepted: Counter[str] = Counter()
    refused: Counter[Reason] = Counter()
    faults: list[tuple[int, str]] = []
    start, last = perf_counter(), options.seed
    for seed, kind, taken, reasons, collisions in lives(options.seed, options.processes):
        networks[kind] += 1
        accepted[kind] += taken
        refused.update(reasons)
        faults += [(seed, words) for words in collisions]
        last = max(last, seed)
        if accepted.total() >= options.accepted:
            break
    print(f"{'periods':12} networks  accepted")
    for kind in CLASSES:
        print(f"{kind:12} {networks[kind]:8}  {accepted[kind]:8}")
    print(f"{'all':12} {networks.total():8}  {accepted.total():8}")
    print("refused:", ", ".join(f"{count} {reason}" for reason, count in refused.items()))
    print(f"collisions: {len(faults)}; seeds to {last}; {perf_counter() - start:.0f} s")
    if faults:
        print(faults[:10])
        raise SystemExit(1)


if __name__ == "__main__":
    main()

"""Time of one request, with so many slots in place.

    python -m bench.tdma.speed [--slots 60] [--requests 300]

CPU time of find_grant, its own check included, on networks that hold so many slots of each class,
for further requests of the class and for parts of a cycle. The bars are 2 ms (median) and 10 ms
(99th percentile); status 1 above them. The same calls are timed three times and the least counts,
because other work on the machine is no part of the answer. Each is the first one of its table:
what searches keep of a table for each other is dropped before.
"""

import argparse
from collections.abc import Callable
from functools import partial
from random import Random
from time import process_time_ns

from bench.tdma.sets import CLASSES, CYCLE, PAYLOADS
from k40s.reasons import Reason
from k40s.tdma import damage, find_grant
from k40s.tdma.damage import lost_begins_of
from k40s.tdma.model import SlotGrant, SlotRequest, SlotTable
from k40s.units import Nanoseconds

MEDIAN_MS, WORST_MS = 2.0, 10.0
REPEATS = 3
PARTS = (2, 4, 5, 10)


def one(chance: Random, periods: tuple[int, ...]) -> SlotRequest:
    period = Nanoseconds(chance.choice(periods) * CYCLE.period)
    return SlotRequest(period=period, payload=chance.choice(PAYLOADS))


def part(chance: Random) -> SlotRequest:
    period = Nanoseconds(CYCLE.period // chance.choice(PARTS))
    return SlotRequest(period=period, payload=chance.choice(PAYLOADS[:3]))


def filled(chance: Random, periods: tuple[int, ...], slots: int) -> SlotTable:
    """So many slots, those of long periods more often where there is no room for others."""
    table, longest = SlotTable(cycle=CYCLE), periods
    while len(table.windows) < slots:
        found = find_grant(table, one(chance, longest))
        if isinstance(found, Reason):
            longest = periods[len(periods) // 2 :]
            continue
        table = SlotTable(cycle=CYCLE, windows=table.windows + found.windows)
    return table


def milliseconds(call: Callable[[], object]) -> float:
    times = []
    for _ in range(REPEATS):
        lost_begins_of.cache_clear()
        start = process_time_ns()
        call()
        times.append(process_time_ns() - start)
    return min(times) / 1e6


def row(what: str, times: list[float]) -> bool:
    times.sort()
    median, worst = times[len(times) // 2], times[len(times) * 99 // 100]
    print(f"{what:24} {median:8.2f} {worst:8.2f} {times[-1]:8.2f}")
    return median <= MEDIAN_MS and worst <= WORST_MS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--slots", type=int, default=60)
    parser.add_argument("--requests", type=int, default=300)
    options = parser.parse_args()
    print(f"ms, {options.slots} slots in place{'':5} p50      p99      max")
    held = True
    for kind, periods in CLASSES.items():
        times, parts, damages = list[float](), list[float](), list[float]()
        for seed in range(options.requests // 20):
            chance = Random(f"{kind} {seed}")  # noqa: S311  # a benchmark repeats itself
            table = filled(chance, periods, options.slots)
            for _ in range(20):
                request, shorter = one(chance, periods), part(chance)
                found = find_grant(table, request)
                times.append(milliseconds(partial(find_grant, table, request)))
                parts.append(milliseconds(partial(find_grant, table, shorter)))
                if isinstance(found, SlotGrant):
                    damages.append(milliseconds(partial(damage, table, found)))
        held &= row(kind, times)
        held &= row(f"{kind}, parts", parts)
        row(f"{kind}, damage", damages)
    if not held:
        raise SystemExit(1)


if __name__ == "__main__":
    main()

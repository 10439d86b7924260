"""How long an overview of a full cluster takes: 200 nodes with 20 pods each, by step.

Run: python -m bench.overview.build [NODES] [PODS]
"""

import statistics
import sys
import time
from collections.abc import Callable

from k40s.overview.build import build_overview
from k40s.overview.json import format_overview, parse_overview
from k40s.overview.redaction import visible
from k40s.overview.texts import ParsedTexts
from tests.fakes.observed_cluster import NOW, crowded

_ROUNDS = 15


def measure(name: str, step: Callable[[], object]) -> None:
    times = []
    for _ in range(_ROUNDS):
        begin = time.perf_counter()
        step()
        times.append((time.perf_counter() - begin) * 1e3)
    print(f"{name:<44}{statistics.median(times):8.1f} ms {max(times):8.1f} ms")


def main(nodes: int, pods: int) -> None:
    records = crowded(nodes, pods).records()
    texts = ParsedTexts()
    overview = build_overview(now=NOW, texts=texts, **records)
    whole = format_overview(overview)
    print(f"{nodes} nodes, {pods} pods each, {len(whole) / 1e6:.1f} MB of JSON")
    print(f"{'step':<44}{'median':>11} {'worst':>11}")
    measure("build, nothing parsed before", lambda: build_overview(now=NOW, **records))
    measure("build, parsed before", lambda: build_overview(now=NOW, texts=texts, **records))
    measure("redact, every second namespace", lambda: visible(overview, lambda n: n[-1] in "02468"))
    measure("format JSON", lambda: format_overview(overview))
    measure("parse JSON", lambda: parse_overview(whole))


if __name__ == "__main__":
    main(*(int(one) for one in (sys.argv[1:] or ("200", "20"))))

"""Cost of the gauge of harm, on real groups of the machine's cgroup v2 and its own /proc.

Usage: ``python bench/malacoda/harm.py [--pods 30] [--rounds 1000]``, as root. It makes empty groups
of pods, and removes them. All pods count as critical and as real-time, which is more than a node
has. Figures are microseconds of CPU time per call; the smallest is nearest to an idle machine.
"""

import argparse
import os
import statistics
import time
from contextlib import ExitStack
from pathlib import Path

from prometheus_client import CollectorRegistry

from bench.malacoda.sampler import Case
from bench.malacoda.usage import pod_cgroups
from daemons.malacoda.culprit.pods import PodView
from daemons.malacoda.harm.gauge import HarmGauge
from daemons.malacoda.harm.metrics import HarmMetrics
from daemons.malacoda.harm.misses import OverrunFile
from daemons.malacoda.harm.threads import RealTimePods
from daemons.malacoda.metrics import MonitorMetrics
from daemons.malacoda.sampling.usage import UsageReader
from k40s.assurance.response.harm import HarmPolicy
from k40s.assurance.suspects.usage import PodIdentity
from k40s.criticality import Criticality

_ROOT = Path("/sys/fs/cgroup")
_TREES = ("cpuacct", "pids", "unified")


class _Everybody:
    """Says of every pod that only real-time threads run, as an empty group has none."""

    def __init__(self, uids: list[str]) -> None:
        self.missed = 0
        self.late: dict[str, bool] = {}
        self.view = PodView(
            identities={
                uid: PodIdentity(name=f"default/{uid}", criticality=Criticality.HI) for uid in uids
            },
            threatened=Criticality.HI,
            critical=frozenset(uids),
            real_time=frozenset(uids),
        )

    def find(self, uids: object) -> frozenset[str]:
        del uids
        return self.view.critical


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pods", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=1000)
    arguments = parser.parse_args()
    uids = [f"{number:08x}-1111-4222-8333-444444444444" for number in range(arguments.pods)]
    time_ns = [0]

    def clock() -> int:
        return time_ns[0]

    def tick() -> None:
        time_ns[0] += 500_000_000
        gauge.tick(calm=True)

    with ExitStack() as stack:
        name = f"k40s-bench-{os.getpid()}"
        stack.enter_context(pod_cgroups([_ROOT / tree / name for tree in _TREES], uids))
        reader = UsageReader(cpus={1}, clock=clock, root=_ROOT, cgroup_root=f"/{name}")
        stack.callback(reader.close)
        everybody = _Everybody(uids)
        reader.read(everybody.view.identities, stat=None)
        registry = CollectorRegistry()
        gauge = HarmGauge(
            pods=everybody,
            pressure=reader,
            threads=everybody,
            misses=OverrunFile(None, clock=clock),
            reports=everybody,
            metrics=HarmMetrics(registry, faults=MonitorMetrics(registry).faults),
            clock=clock,
            policy=HarmPolicy(),
        )
        threads = RealTimePods(clock=time.monotonic_ns, longest=10**12)  # type: ignore[arg-type]  # no limit
        cases = [
            Case("one sample of the gauge, every 500 ms", tick),
            Case("one look at the pods' threads, every 10 s", lambda: threads.find(uids), every=20),
        ]
        for number in range(arguments.rounds):
            for case in cases:
                if number % case.every == 0:
                    case.measure()
    processes = sum(entry.isdigit() for entry in os.listdir("/proc"))  # noqa: PTH208  # names alone
    print(f"{arguments.pods} critical pods, {processes} processes")
    print("| what | median µs | min µs |\n|---|---|---|")
    for case in cases:
        print(f"| {case.name} | {statistics.median(case.spent):.0f} | {min(case.spent):.0f} |")


if __name__ == "__main__":
    main()

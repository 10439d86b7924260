"""Cost of a sample, beside psutil in the same run.

Usage: ``python bench/malacoda/sampler.py [--cpu 1] [--rounds 2000]``. Figures are microseconds of
CPU time per call, the calls in turn; the smallest is nearest to an idle machine.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import psutil
from prometheus_client import CollectorRegistry

from daemons.malacoda.metrics import MonitorMetrics
from daemons.malacoda.monitor import Monitor
from daemons.malacoda.sampling.runnable import RunnableThreads
from daemons.malacoda.sampling.sampler import Sampler
from k40s.assurance.detector import DEFAULT_RULES
from k40s.assurance.gamma import GammaPolicy
from tests.fakes.malacoda.close_look import CloseLook


@dataclass(slots=True)
class Case:
    """A call that is measured in every so many rounds."""

    name: str
    call: Callable[[], object]
    every: int = 1
    spent: list[float] = field(default_factory=list)

    def measure(self) -> None:
        begun = time.thread_time_ns()
        self.call()
        self.spent.append((time.thread_time_ns() - begun) / 1000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cpu", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=2000)
    arguments = parser.parse_args()
    sampler = Sampler(cpus={arguments.cpu}, clock=time.monotonic_ns, crowd=float("inf"))
    monitor = Monitor(
        source=CloseLook(sampler),
        rules=DEFAULT_RULES,
        policy=GammaPolicy(),
        metrics=MonitorMetrics(CollectorRegistry()),
        clock=time.monotonic_ns,
    )
    threads = RunnableThreads(cpus={arguments.cpu}, duty=float("inf"))

    def all_of_psutil() -> None:
        psutil.cpu_times(percpu=True)
        psutil.cpu_stats()
        psutil.getloadavg()
        psutil.boot_time()

    cases = (
        Case("malacoda: one sample, six sources", sampler.sample),
        Case("malacoda: sample, metrics, alarms, γ", monitor.tick),
        Case("malacoda: looking at every thread", lambda: threads.count(10**6), every=50),
        Case("psutil: cpu_times(percpu)", lambda: psutil.cpu_times(percpu=True)),
        Case("psutil: cpu_percent(percpu)", lambda: psutil.cpu_percent(percpu=True)),
        Case("psutil: cpu_stats", psutil.cpu_stats),
        Case("psutil: times, stats, load, uptime", all_of_psutil),
    )
    for number in range(arguments.rounds):
        for case in cases:
            if number % case.every == 0:
                case.measure()
    print("| what | median µs | min µs |\n|---|---|---|")
    for case in cases:
        print(f"| {case.name} | {statistics.median(case.spent):.0f} | {min(case.spent):.0f} |")


if __name__ == "__main__":
    main()

"""What a sample costs, beside psutil in the same run.

Usage: ``python bench/malacoda_sampler.py [--cpu 1] [--rounds 2000]``. Figures are microseconds of
CPU time per call; the smallest is nearest to an idle machine.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import psutil
from prometheus_client import CollectorRegistry

from daemons.malacoda.metrics import MonitorMetrics
from daemons.malacoda.monitor import Monitor
from daemons.malacoda.runnable import RunnableThreads
from daemons.malacoda.sampler import Sampler
from k40s.assurance.detector import DEFAULT_RULES
from k40s.assurance.gamma import GammaPolicy


def measure(call: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Median and smallest CPU time of a call, in microseconds."""
    spent = []
    for _ in range(rounds):
        begun = time.thread_time_ns()
        call()
        spent.append((time.thread_time_ns() - begun) / 1000)
    return statistics.median(spent), min(spent)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cpu", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=2000)
    arguments = parser.parse_args()
    sampler = Sampler(cpus={arguments.cpu}, clock=time.monotonic_ns, crowd=float("inf"))
    monitor = Monitor(
        source=sampler,
        rules=DEFAULT_RULES,
        policy=GammaPolicy(),
        metrics=MonitorMetrics(CollectorRegistry(), DEFAULT_RULES),
        clock=time.monotonic_ns,
    )
    threads = RunnableThreads(cpus={arguments.cpu})

    def all_of_psutil() -> None:
        psutil.cpu_times(percpu=True)
        psutil.cpu_stats()
        psutil.getloadavg()
        psutil.boot_time()

    cases: list[tuple[str, Callable[[], object], int]] = [
        ("malacoda: one sample, six sources", sampler.sample, arguments.rounds),
        ("malacoda: sample, metrics, alarms, γ, Prometheus", monitor.tick, arguments.rounds),
        ("malacoda: looking at every thread", lambda: threads.count(10**6), 50),
        (
            "psutil: cpu_times(percpu)",
            lambda: psutil.cpu_times(percpu=True),
            arguments.rounds,
        ),
        (
            "psutil: cpu_percent(percpu)",
            lambda: psutil.cpu_percent(percpu=True),
            arguments.rounds,
        ),
        ("psutil: cpu_stats", psutil.cpu_stats, arguments.rounds),
        ("psutil: times, stats, load, uptime", all_of_psutil, arguments.rounds),
    ]
    print("| what | median µs | min µs |\n|---|---|---|")
    for name, call, rounds in cases:
        middle, least = measure(call, rounds)
        print(f"| {name} | {middle:.1f} | {least:.1f} |")


if __name__ == "__main__":
    main()

"""Effect of stress on one CPU on malacoda's metrics there, and on the machine's other CPUs.

Usage: ``python bench/malacoda/stress.py [--cpu 1] [--other 0] [--seconds 15]``. Needs stress-ng.
Prints 10th / 50th / 90th percentile of each metric, and when the default rules raised an alarm.
"""

import argparse
import threading
import time
from contextlib import nullcontext
from dataclasses import dataclass, field

from daemons.malacoda.sampling.sampler import Sampler
from k40s.assurance.detector import DEFAULT_RULES
from k40s.assurance.gamma import GammaPolicy
from k40s.assurance.metrics import Metric
from k40s.assurance.response.harm import HarmState
from k40s.assurance.watch import WatchState, advance
from tests.kernel.stress import stressed

PERIOD = 0.5
KINDS = ("", "open", "fork", "udp", "io", "hdd --hdd-bytes 64m", "cpu")
SHOWN = (Metric.CPU_SYSTEM, Metric.RUN_QUEUE, Metric.KERNEL_QUEUE, Metric.KERNEL_STRETCH)


@dataclass(slots=True)
class Watcher:
    """One CPU, seen by the default rules."""

    cpu: int
    values: dict[Metric, list[float]] = field(default_factory=dict)
    alarmed: float | None = None

    def watch(self, seconds: float) -> None:
        sampler = Sampler(cpus={self.cpu}, clock=time.monotonic_ns)
        state = WatchState()
        pause = threading.Event()
        begun = time.monotonic()
        while time.monotonic() < begun + seconds:
            state = advance(
                state,
                sampler.sample(),
                rules=DEFAULT_RULES,
                policy=GammaPolicy(),
                harm=HarmState(),
            )
            for metric in SHOWN:
                self.values.setdefault(metric, []).append(state.metrics.get(metric, 0.0))
            if state.hazards and self.alarmed is None:
                self.alarmed = time.monotonic() - begun
            pause.wait(PERIOD)
        sampler.close()

    def cells(self) -> list[str]:
        return [
            *(percentiles(self.values[metric]) for metric in SHOWN),
            "-" if self.alarmed is None else f"{self.alarmed:.1f} s",
        ]


def percentiles(values: list[float]) -> str:
    ordered = sorted(values[2:])
    last = len(ordered) - 1
    return " / ".join(f"{ordered[round(last * share)]:.2f}" for share in (0.1, 0.5, 0.9))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cpu", type=int, default=1)
    parser.add_argument("--other", type=int, default=0)
    parser.add_argument("--seconds", type=int, default=15)
    arguments = parser.parse_args()
    limit = arguments.seconds + 5
    names = " | ".join(metric.value for metric in SHOWN)
    print(f"| stress | {names} | alarm | other: {names} | alarm |")
    print("|---" * (2 * len(SHOWN) + 3) + "|")
    for kind in KINDS:
        watchers = [Watcher(arguments.cpu), Watcher(arguments.other)]
        with stressed(kind, cpu=arguments.cpu, seconds=limit) if kind else nullcontext():
            threads = [
                threading.Thread(target=watcher.watch, args=(arguments.seconds,))
                for watcher in watchers
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        cells = [cell for watcher in watchers for cell in watcher.cells()]
        print("|", " | ".join([f"8 x {kind.split()[0]}" if kind else "none", *cells]), "|")


if __name__ == "__main__":
    main()

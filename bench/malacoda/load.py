"""Share of a CPU that stages 1 and 2 take at a sampling rate, with pods on the node.

Usage: ``python bench/malacoda/load.py [--cpu 1] [--pods 30] [--hertz 10] [--seconds 20]``, as root,
with cgroup v1: it makes empty cgroups of pods below a cgroupRoot of its own, and removes them. One
of the pods is HI. Two daemons' worth of work in turn, each for so long: pods that are idle, and
pods that all have run since the last sample. Threads are not scanned in quiet, as on a node that
owns its machine; an alarm, which other work on the machine may raise, has them scanned.
"""

import argparse
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from prometheus_client import CollectorRegistry

from bench.malacoda.usage import pod_cgroups
from daemons.malacoda.culprit.events import CulpritEvents, EventReason
from daemons.malacoda.culprit.metrics import CulpritMetrics
from daemons.malacoda.culprit.pods import NodePods
from daemons.malacoda.culprit.search import CulpritSearch
from daemons.malacoda.daemon import DETAILS_EVERY
from daemons.malacoda.metrics import MonitorMetrics
from daemons.malacoda.monitor import Monitor
from daemons.malacoda.sampling.sampler import Sampler
from daemons.malacoda.sampling.usage import UsageReader
from k40s.assurance.counters import StatCounters
from k40s.assurance.gamma import GammaPolicy
from k40s.assurance.profile import BUILT_IN
from k40s.assurance.suspects.usage import NodeUsage, PodIdentity
from k40s.assurance.suspects.verdict import AttributionPolicy
from k40s.node_agent.backoff import Backoff
from k40s.runtime.loop import run_every
from k40s.units import NS_PER_S, Nanoseconds
from tests.fakes.malacoda.culprit import FakeEvents, pod_record

_ROOT = Path("/sys/fs/cgroup")
_TREES = ("cpuacct", "pids", "unified")


class Changing(UsageReader):
    """Reads every pod wholly: it is another than in the last sample, as one that has run is."""

    _turn = False

    def read(
        self,
        pods: Mapping[str, PodIdentity],
        *,
        stat: StatCounters | None,
        with_threads: bool = False,
    ) -> NodeUsage:
        self._turn = not self._turn
        if self._turn:
            pods = {uid: replace(pod, name=f"{pod.name}-") for uid, pod in pods.items()}
        return super().read(pods, stat=stat, with_threads=with_threads)


def share_of_a_cpu(
    reader: UsageReader, *, cpu: int, uids: list[str], hertz: float, seconds: float
) -> tuple[float, bool]:
    """The CPU time of this thread over the time that passed, in percent; whether an alarm was."""
    clock = time.monotonic_ns
    registry = CollectorRegistry()
    metrics = MonitorMetrics(registry)
    sampler = Sampler(cpus={cpu}, clock=clock, crowd=float("inf"), details_every=DETAILS_EVERY)
    monitor = Monitor(
        source=sampler, rules=BUILT_IN.rules, policy=GammaPolicy(), metrics=metrics, clock=clock
    )
    culprit_metrics = CulpritMetrics(registry, EventReason, faults=metrics.faults)
    pods = NodePods(namespaces=())
    pods.replace([pod_record(uid, None if n else "HI") for n, uid in enumerate(uids)])
    search = CulpritSearch(
        node="node",
        watch=monitor,
        pods=pods,
        source=reader,
        events=CulpritEvents(
            writer=FakeEvents(),
            metrics=culprit_metrics,
            backoff=Backoff(pause=Nanoseconds(0), clock=clock),
            clock=clock,
        ),
        metrics=culprit_metrics,
        clock=clock,
        policy=AttributionPolicy(),
    )
    stop = threading.Event()
    alarms = set[str]()
    end = clock() + seconds * NS_PER_S

    def tick() -> None:
        monitor.tick()
        search.tick()
        alarms.update(monitor.state.hazards)
        if clock() >= end:
            stop.set()

    begun, spent = clock(), time.thread_time_ns()
    run_every(period=Nanoseconds(round(NS_PER_S / hertz)), tick=tick, stop=stop)
    sampler.close()
    search.close()
    return 100 * (time.thread_time_ns() - spent) / (clock() - begun), bool(alarms)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cpu", type=int, default=1)
    parser.add_argument("--pods", type=int, default=30)
    parser.add_argument("--hertz", type=float, default=10)
    parser.add_argument("--seconds", type=float, default=20)
    arguments = parser.parse_args()
    uids = [f"{number:08x}-1111-4222-8333-444444444444" for number in range(arguments.pods)]
    name = f"k40s-bench-{os.getpid()}"
    print(f"{arguments.pods} pods, {arguments.hertz:g} samples per second")
    with pod_cgroups([_ROOT / tree / name for tree in _TREES], uids):
        for kind, words in ((UsageReader, "idle"), (Changing, "all have run")):
            reader = kind(
                cpus={arguments.cpu},
                clock=time.monotonic_ns,
                root=_ROOT,
                cgroup_root=f"/{name}",
            )
            share, alarm = share_of_a_cpu(
                reader,
                cpu=arguments.cpu,
                uids=uids,
                hertz=arguments.hertz,
                seconds=arguments.seconds,
            )
            note = " (an alarm was raised)" if alarm else ""
            print(f"pods: {words}: {share:.2f} % of a CPU{note}")


if __name__ == "__main__":
    main()

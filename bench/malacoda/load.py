"""Share of a CPU that the sampling loop takes at a sampling rate, with pods on the node.

Usage: ``python bench/malacoda/load.py [--cpu 1] [--pods 30] [--hertz 10] [--seconds 20]
[--counted 20] [--calm]``, as root, with cgroup v1. It makes empty cgroups of pods below a
cgroupRoot of its own, and removes them. One of the pods is HI. Two daemons' worth of work in turn,
each for so long: pods that are idle, and pods that all have run since the last sample. Threads are
not scanned in quiet, as on a node that owns its machine; an alarm, which other work on the machine
may raise, has them scanned.

After the time, ``--counted`` turns at the same rate in which bytecode instructions are counted, of
glances and samples alike: that figure does not depend on what else the machine does. With
``--calm`` the rules' thresholds are out of reach, so that other work raises no alarm.
"""

import argparse
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any

from prometheus_client import CollectorRegistry

from bench.malacoda.usage import pod_cgroups
from daemons.malacoda.culprit.events import CulpritEvents, EventReason
from daemons.malacoda.culprit.metrics import CulpritMetrics
from daemons.malacoda.culprit.pods import NodePods
from daemons.malacoda.culprit.search import CulpritSearch
from daemons.malacoda.daemon import DETAILS_EVERY
from daemons.malacoda.harm.gauge import HarmGauge
from daemons.malacoda.harm.metrics import HarmMetrics
from daemons.malacoda.harm.misses import OverrunFile
from daemons.malacoda.harm.threads import RealTimePods
from daemons.malacoda.metrics import MonitorMetrics
from daemons.malacoda.monitor import Monitor
from daemons.malacoda.sampling.sampler import Sampler
from daemons.malacoda.sampling.usage import UsageReader
from k40s.assurance.change_point import Cusum
from k40s.assurance.counters import StatCounters
from k40s.assurance.detector import Rule
from k40s.assurance.gamma import GammaPolicy
from k40s.assurance.profile import BUILT_IN
from k40s.assurance.response.harm import HarmPolicy
from k40s.assurance.suspects.usage import NodeUsage, PodIdentity
from k40s.assurance.suspects.verdict import AttributionPolicy
from k40s.node_agent.backoff import Backoff
from k40s.runtime.loop import run_every
from k40s.units import NS_PER_S, Nanoseconds
from tests.fakes.malacoda.culprit import FakeEvents, pod_record

_ROOT = Path("/sys/fs/cgroup")
_TREES = ("cpuacct", "pids", "unified")
_FAR = 1000


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


class NoReports:
    """No pod has a metric of its own."""

    late: Mapping[str, bool] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """In percent of a CPU; bytecode instructions of a turn; whether an alarm was raised."""

    share: float
    instructions: float
    alarm: bool


class SamplingLoop:
    """What malacoda's sampling thread does in each turn."""

    def __init__(self, reader: UsageReader, *, cpu: int, uids: list[str], calm: bool) -> None:
        clock = time.monotonic_ns
        registry = CollectorRegistry()
        metrics = MonitorMetrics(registry)
        self._reader = reader
        self._sampler = Sampler(
            cpus={cpu}, clock=clock, crowd=float("inf"), details_every=DETAILS_EVERY
        )
        self.monitor = Monitor(
            source=self._sampler,
            rules=tuple(map(_out_of_reach, BUILT_IN.rules)) if calm else BUILT_IN.rules,
            policy=GammaPolicy(),
            metrics=metrics,
            clock=clock,
        )
        culprit_metrics = CulpritMetrics(registry, EventReason, faults=metrics.faults)
        pods = NodePods(namespaces=())
        pods.replace([pod_record(uid, None if n else "HI") for n, uid in enumerate(uids)])
        self._gauge = HarmGauge(
            pods=pods,
            pressure=reader,
            threads=RealTimePods(clock=clock),
            misses=OverrunFile(None, clock=clock),
            reports=NoReports(),
            metrics=HarmMetrics(registry, faults=metrics.faults),
            clock=clock,
            policy=HarmPolicy(),
        )
        self._search = CulpritSearch(
            node="node",
            watch=self.monitor,
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

    def tick(self) -> None:
        if not self.monitor.tick(self._gauge.known):
            return
        watched = self.monitor.state
        self._gauge.tick(calm=not watched.alarmed and not watched.high)
        self._search.tick()

    def close(self) -> None:
        self._sampler.close()
        self._search.close()


def _out_of_reach(rule: Rule) -> Rule:
    change = rule.change and Cusum(
        reference=_FAR * rule.change.reference, decision=_FAR * rule.change.decision
    )
    return replace(
        rule, raise_at=_FAR * rule.raise_at, clear_at=_FAR * rule.clear_at, change=change
    )


def cost_of(loop: SamplingLoop, *, hertz: float, seconds: float, counted: int) -> Cost:
    """The CPU time of this thread over the time that passed; then the instructions."""
    clock = time.monotonic_ns
    stop = threading.Event()
    alarms = set[str]()
    end = clock() + seconds * NS_PER_S

    def tick() -> None:
        loop.tick()
        alarms.update(loop.monitor.state.hazards)
        if clock() >= end:
            stop.set()

    period = Nanoseconds(round(NS_PER_S / hertz))
    begun, spent = clock(), time.thread_time_ns()
    run_every(period=period, tick=tick, stop=stop)
    share = 100 * (time.thread_time_ns() - spent) / (clock() - begun)
    instructions = 0
    for _ in range(counted):
        stop.clear()
        stop.wait(1 / hertz)
        instructions += instructions_of(loop.tick)
    loop.close()
    return Cost(share=share, instructions=instructions / max(1, counted), alarm=bool(alarms))


def instructions_of(call: Callable[[], object]) -> int:
    """Bytecode instructions of a call and of all that it calls, those of C code aside."""
    number = 0

    def trace(frame: FrameType, event: str, _: object) -> Callable[..., Any]:
        nonlocal number
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        number += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return number


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cpu", type=int, default=1)
    parser.add_argument("--pods", type=int, default=30)
    parser.add_argument("--hertz", type=float, default=10)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--counted", type=int, default=20)
    parser.add_argument("--calm", action="store_true")
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
            cost = cost_of(
                SamplingLoop(reader, cpu=arguments.cpu, uids=uids, calm=arguments.calm),
                hertz=arguments.hertz,
                seconds=arguments.seconds,
                counted=arguments.counted,
            )
            note = " (an alarm was raised)" if cost.alarm else ""
            print(
                f"pods: {words}: {cost.share:.2f} % of a CPU, {cost.instructions:.0f} bytecode "
                f"instructions a turn{note}"
            )


if __name__ == "__main__":
    main()

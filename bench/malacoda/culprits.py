"""Who is named for real: stress-ng in one of twelve pods on a CPU, and scenes made to mislead.

Usage: ``python bench/malacoda/culprits.py [--cpu 1] [--runs 1] [--seconds 240] [--scenes open,host]
[--seed 1] [--record FILE] [--outcomes FILE]``, as root on cgroup v1, with stress-ng. No run begins
when ``--seconds`` are nearly over. The pods' usage, the alarms and the search are malacoda's own.

With ``--outcomes`` each finished run is a line of that file, and a bench that was stopped goes on:
the same command makes the runs that lack a line, and the table is of all. ``--record`` keeps the
samples. The bars (20 runs of each scene) take about 2.5 hours of a quiet machine:
``python bench/malacoda/culprits.py --runs 20 --seconds 12000 --outcomes culprits.jsonl``.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen
from typing import TextIO

from prometheus_client import CollectorRegistry, Counter

from bench.malacoda.outcomes import Done, Outcome, append, read, table
from bench.malacoda.real_pods import CANDIDATES, HOG, IMPORTS, PROGRAMS, ROOT, RealPods, uid
from daemons.malacoda.culprit.events import CulpritEvents, EventReason
from daemons.malacoda.culprit.metrics import CulpritMetrics
from daemons.malacoda.culprit.pods import PodView
from daemons.malacoda.culprit.search import CulpritSearch
from daemons.malacoda.metrics import MonitorMetrics
from daemons.malacoda.monitor import Monitor
from daemons.malacoda.sampling.runnable import RunnableThreads
from daemons.malacoda.sampling.sampler import Sampler
from daemons.malacoda.sampling.usage import UsageReader
from k40s.assurance.detector import DEFAULT_RULES, EVERY_VICTIM
from k40s.assurance.gamma import GammaPolicy
from k40s.assurance.suspects.usage import PodIdentity, observed
from k40s.assurance.suspects.verdict import AttributionPolicy, Verdict
from k40s.assurance.watch import WatchState
from k40s.criticality import Criticality
from k40s.node_agent.backoff import Backoff
from k40s.units import Nanoseconds
from tests.fakes.malacoda.culprit import FakeEvents

PERIOD = 0.5
CLASSES = ("open", "fork", "udp", "netdev", "io", "hdd", "cpu", "cpu+hdd", "cpu+udp", "udp+io")
QUIET, SETTLE, STRESS, SEARCH = 14.0, 8.0, 8.0, 4.0
"""Seconds before the first run, between runs, of stress without an alarm, after an alarm."""
LONGEST_QUIET = 30.0
_ROOM = 30.0


@dataclass(slots=True, kw_only=True)
class Node:
    """Malacoda's monitor and search on one CPU."""

    cpu: int
    cgroup_root: str
    record: TextIO | None
    label: str = ""
    _next: float = 0.0
    _monitor: Monitor = field(init=False)
    _search: CulpritSearch = field(init=False)
    _sampler: Sampler = field(init=False)

    def __post_init__(self) -> None:
        threads = RunnableThreads(cpus={self.cpu})
        self._sampler = Sampler(cpus={self.cpu}, clock=time.monotonic_ns, runnable=threads)
        self.forget_alarms()
        identities = {
            uid(name): PodIdentity(
                name=name, criticality=Criticality.HI if name == "critical" else Criticality.NO
            )
            for name in (*PROGRAMS, "starting")
        }
        registry = CollectorRegistry()
        faults = Counter("faults", "", ["source"], registry=registry)
        metrics = CulpritMetrics(registry, EventReason, faults=faults)
        backoff = Backoff(pause=Nanoseconds(0), clock=time.monotonic_ns)
        self._search = CulpritSearch(
            node="here",
            watch=self,
            pods=_Pods(
                PodView(identities=identities, threatened=Criticality.HI, victims=EVERY_VICTIM)
            ),
            source=UsageReader(
                cpus={self.cpu},
                clock=time.monotonic_ns,
                root=ROOT,
                cgroup_root=self.cgroup_root,
                runnable=threads,
            ),
            events=CulpritEvents(
                writer=FakeEvents(), metrics=metrics, backoff=backoff, clock=time.monotonic_ns
            ),
            metrics=metrics,
            clock=time.monotonic_ns,
            policy=AttributionPolicy(),
        )

    @property
    def state(self) -> WatchState:
        return self._monitor.state

    def forget_alarms(self) -> None:
        """Begin a run without the alarm of the last, which clears seconds after its end."""
        self._monitor = Monitor(
            source=self._sampler,
            rules=DEFAULT_RULES,
            policy=GammaPolicy(),
            metrics=MonitorMetrics(CollectorRegistry()),
            clock=time.monotonic_ns,
        )

    def tick(self) -> None:
        now = time.monotonic()
        self._next = max(now, self._next + PERIOD)
        time.sleep(self._next - now)
        if self._monitor.tick():
            self._search.tick()
        if self.record is not None:
            self._write(self.record)

    def watch(self, seconds: float) -> None:
        for _ in range(round(seconds / PERIOD)):
            self.tick()

    def settle(self, seconds: float) -> None:
        """Be quiet for so long, and longer where others on this machine are not."""
        self.watch(seconds)
        least = AttributionPolicy().least_baseline
        for _ in range(round(LONGEST_QUIET / PERIOD)):
            state = self._search.state
            if state.onset is None and observed(state.quiet, least) >= least:
                return
            self.tick()

    def observe(self) -> Outcome:
        """Sample until somebody is named, or there has been time enough."""
        begun = time.monotonic()
        alarmed: float | None = None
        verdict = ""
        while alarmed is None or time.monotonic() - begun < alarmed + SEARCH:
            self.tick()
            since = time.monotonic() - begun
            if self.state.hazards and alarmed is None:
                alarmed = since
            if alarmed is None and since >= STRESS:
                break
            finding = self._search.state.finding
            verdict = finding.verdict.value if finding else ""
            if finding and finding.culprit and finding.verdict is Verdict.NAMED:
                return Outcome(
                    alarmed=alarmed,
                    named=finding.culprit.name,
                    delay=since - (alarmed or since),
                    verdict=verdict,
                )
        return Outcome(alarmed=alarmed, verdict=verdict)

    def _write(self, record: TextIO) -> None:
        sample = self._search.state.recent[-1]
        pods = {
            pod.name: [pod.used, pod.system, pod.runnable, pod.pids] for pod in sample.pods.values()
        }
        row = {
            "run": self.label,
            "at": sample.at,
            "high": self.state.high,
            "alarm": [metric.value for metric in self.state.hazards],
            "node": [sample.used, sample.system, sample.runnable],
            "pods": pods,
        }
        record.write(json.dumps(row) + "\n")


@dataclass(frozen=True, slots=True)
class _Pods:
    view: PodView


@dataclass(slots=True, kw_only=True)
class Run:
    """One run of a scene; ``guilty`` are the pods that may be named."""

    pods: RealPods
    node: Node
    chance: random.Random
    guilty: set[str] = field(default_factory=set)
    processes: list[Popen[bytes]] = field(default_factory=list)

    def noise(self, kind: str, *names: str) -> None:
        for name in names or (self.candidate(),):
            self.guilty.add(name)
            number = self.chance.choice([4, 6, 8])
            self.processes.append(self.pods.stress(name, kind.split("+"), number))

    def candidate(self) -> str:
        return self.chance.choice(CANDIDATES)

    def kind(self) -> str:
        return self.chance.choice(CLASSES)

    def busy_neighbour(self) -> None:
        for _ in range(2):
            self.processes.append(self.pods.start("periodic", [sys.executable, "-S", "-c", HOG]))
        self.node.watch(8)
        self.node.forget_alarms()
        self.noise(self.kind())

    def ramp(self) -> None:
        name, kind = self.candidate(), self.chance.choice(["open", "fork", "udp", "cpu"])
        self.guilty.add(name)
        for number in (1, 1, 2, 4):
            self.processes.append(self.pods.stress(name, [kind], number))
            self.node.watch(1.5)

    def two(self) -> None:
        self.noise(self.kind(), "idle-a", "idle-b")

    def host(self) -> None:
        self.processes.append(self.pods.stress(None, self.kind().split("+"), 8))

    def other_cpu(self) -> None:
        kinds = self.kind().split("+")
        other = 1 if self.pods.cpu == 0 else 0
        self.processes.append(self.pods.stress(self.candidate(), kinds, 8, cpu=other))

    def starting(self) -> None:
        self.pods.add("starting")
        command = [
            sys.executable,
            "-c",
            f"for _ in range(3): {IMPORTS}\nimport time; time.sleep(9)",
        ]
        self.processes.append(self.pods.start("starting", command))

    def starting_beside(self) -> None:
        self.noise(self.kind())
        self.node.watch(1)
        self.starting()


SCENES: dict[str, Callable[[Run], None]] = {
    **{kind: lambda run, kind=kind: run.noise(kind) for kind in CLASSES},  # type: ignore[misc]
    "busy-neighbour": Run.busy_neighbour,
    "ramp": Run.ramp,
    "two-culprits": Run.two,
    "host-process": Run.host,
    "other-cpu": Run.other_cpu,
    "start-beside-culprit": Run.starting_beside,
    "start-alone": Run.starting,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cpu", type=int, default=1)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=240)
    parser.add_argument("--scenes", default=",".join(SCENES))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--record", type=Path)
    parser.add_argument("--outcomes", type=Path)
    arguments = parser.parse_args()
    scenes = arguments.scenes.split(",")
    order = [
        (f"{arguments.seed}/{number}/{scene}", scene)
        for number in range(arguments.runs)
        for scene in scenes
    ]
    results = read(arguments.outcomes) if arguments.outcomes else []
    finished = {one.key for one in results}
    left = [(key, scene) for key, scene in order if key not in finished]
    try:
        if left:
            play(left, results, arguments)
    except KeyboardInterrupt:
        print("stopped; the same command goes on", file=sys.stderr)
    print("\n".join(table(results)))


def play(left: list[tuple[str, str]], results: list[Done], arguments: argparse.Namespace) -> None:
    """Make these runs while there is time; each finished one is added, and on disk."""
    end = time.monotonic() + arguments.seconds
    record = arguments.record.open("a") if arguments.record else None
    with tempfile.TemporaryDirectory() as scratch:
        limit = int(arguments.seconds) + 60
        pods = RealPods(cpu=arguments.cpu, scratch=Path(scratch), limit=limit)
        try:
            pods.open()
            node = Node(cpu=arguments.cpu, cgroup_root=pods.cgroup_root, record=record)
            node.settle(QUIET)
            for key, scene in left:
                if time.monotonic() > end - _ROOM:
                    break
                chance = random.Random(key)  # noqa: S311  # no secret
                run = Run(pods=pods, node=node, chance=chance)
                node.forget_alarms()
                node.label = key
                SCENES[scene](run)
                outcome = node.observe()
                done = Done(key=key, scene=scene, guilty=tuple(sorted(run.guilty)), outcome=outcome)
                results.append(done)
                if arguments.outcomes:
                    append(arguments.outcomes, done)
                print(scene, done.guilty, outcome, file=sys.stderr, flush=True)
                node.label = ""
                for process in run.processes:
                    pods.end(process)
                node.forget_alarms()
                node.settle(SETTLE)
        finally:
            pods.close()


if __name__ == "__main__":
    main()

"""Cost of a sample of the pods' usage, beside psutil in the same run.

Usage: ``python bench/malacoda/usage.py [--cpu 1] [--pods 30] [--rounds 1000]``, as root. It makes
empty cgroups of pods below a cgroupRoot of its own, and removes them. Needs cgroup v1; the files of
v2 are those of the machine's cgroup2 mount, with the controllers' files of v1 in their places.
psutil reads one process for each pod, here its own, which is less than a pod has. Figures are
microseconds of CPU time per call, the calls in turn; the smallest is nearest to an idle machine.
Last, the part of a CPU that both stages take at 10 samples a second, and psutil for the same.
"""

import argparse
import itertools
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
from prometheus_client import CollectorRegistry, Counter

from bench.malacoda.sampler import Case
from daemons.malacoda.culprit.events import CulpritEvents, EventReason
from daemons.malacoda.culprit.metrics import CulpritMetrics
from daemons.malacoda.culprit.pods import PodView
from daemons.malacoda.culprit.search import CulpritSearch
from daemons.malacoda.metrics import MonitorMetrics
from daemons.malacoda.monitor import Monitor
from daemons.malacoda.sampling.runnable import RunnableThreads
from daemons.malacoda.sampling.sampler import Sampler
from daemons.malacoda.sampling.usage import UsageReader
from k40s.assurance.detector import DEFAULT_RULES
from k40s.assurance.gamma import GammaPolicy
from k40s.assurance.suspects.usage import PodIdentity
from k40s.assurance.suspects.verdict import AttributionPolicy
from k40s.criticality import Criticality
from k40s.node_agent.backoff import Backoff
from k40s.units import Nanoseconds
from tests.fakes.malacoda.close_look import CloseLook
from tests.fakes.malacoda.culprit import FakeEvents

_HERTZ, _SECONDS = 10, 10
_ROOT = Path("/sys/fs/cgroup")
_TREES = ("cpuacct", "pids", "unified")
_CLASSES = ("burstable", "besteffort")
_UNIFIED = {
    "cpu.stat": "unified/{path}/cpu.stat",
    "cpu.pressure": "unified/{path}/cpu.pressure",
    "pids.current": "pids/{path}/pids.current",
    "cpuset.cpus.effective": "cpuset/cpuset.effective_cpus",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cpu", type=int, default=1)
    parser.add_argument("--pods", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=1000)
    arguments = parser.parse_args()
    uids = [f"{number:08x}-1111-4222-8333-444444444444" for number in range(arguments.pods)]
    pods = {uid: PodIdentity(name=f"default/{uid}", criticality=Criticality.NO) for uid in uids}
    process = psutil.Process()
    sampler = Sampler(cpus={arguments.cpu}, clock=time.monotonic_ns, crowd=float("inf"))

    def with_psutil() -> None:
        psutil.cpu_times(percpu=True)
        for _ in uids:
            with process.oneshot():
                process.cpu_times()
                process.num_threads()

    with ExitStack() as stack:
        stack.callback(sampler.close)
        cases = [Case("psutil: times and threads of one process for each pod", with_psutil)]
        readers: list[UsageReader] = []
        name = f"k40s-bench-{os.getpid()}"
        stack.enter_context(pod_cgroups([_ROOT / tree / name for tree in _TREES], uids))
        unified = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        as_unified(unified, name, uids)
        for version, root in (("v1", _ROOT), ("v2", unified)):
            pair = [
                UsageReader(
                    cpus={arguments.cpu},
                    clock=time.monotonic_ns,
                    root=root,
                    cgroup_root=f"/{name}",
                    runnable=RunnableThreads(cpus={arguments.cpu}, duty=float("inf")),
                )
                for _ in range(2)
            ]
            for reader in pair:
                stack.callback(reader.close)
            readers += pair
            cases += cases_of(version, pair, pods, sampler)
        for number in range(arguments.rounds):
            for case in cases:
                if number % case.every == 0:
                    case.measure()
        missing = [reader.faults for reader in readers if any(reader.faults.values())]
        if missing:
            raise SystemExit(f"sources were missing: {missing}")
        share = share_of_cpu(both_stages(arguments.cpu, readers[1], pods))
        beside = share_of_cpu(with_psutil)
    print(f"{arguments.pods} pods\n| what | median µs | min µs | per pod |\n|---|---|---|---|")
    for case in cases:
        median, least = statistics.median(case.spent), min(case.spent)
        print(f"| {case.name} | {median:.0f} | {least:.0f} | {median / arguments.pods:.1f} |")
    print(f"at {_HERTZ} Hz: {share:.2%} of a CPU, psutil {beside:.2%}: {share / beside:.2f} of it")


def both_stages(
    cpu: int, reader: UsageReader, pods: dict[str, PodIdentity]
) -> Callable[[], object]:
    """Detection and the search for a culprit, all pods running, and no alarm."""
    registry = CollectorRegistry()
    faults = Counter("faults", "", ["source"], registry=registry)
    metrics = CulpritMetrics(registry, EventReason, faults=faults)
    monitor = Monitor(
        source=CloseLook(Sampler(cpus={cpu}, clock=time.monotonic_ns, crowd=float("inf"))),
        rules=DEFAULT_RULES,
        policy=GammaPolicy(),
        metrics=MonitorMetrics(CollectorRegistry()),
        clock=time.monotonic_ns,
    )
    backoff = Backoff(pause=Nanoseconds(0), clock=time.monotonic_ns)
    search = CulpritSearch(
        node="here",
        watch=monitor,
        pods=Running(pods),
        source=reader,
        events=CulpritEvents(
            writer=FakeEvents(), metrics=metrics, backoff=backoff, clock=time.monotonic_ns
        ),
        metrics=metrics,
        clock=time.monotonic_ns,
        policy=AttributionPolicy(),
    )

    def tick() -> None:
        monitor.tick()
        search.tick()

    return tick


class Running:
    """The node's pods, each another than in the last sample, so that it is read wholly."""

    def __init__(self, pods: dict[str, PodIdentity]) -> None:
        renamed = {uid: replace(pod, name="another") for uid, pod in pods.items()}
        self._views = itertools.cycle(
            PodView(identities=one, threatened=Criticality.HI) for one in (pods, renamed)
        )

    @property
    def view(self) -> PodView:
        return next(self._views)


def share_of_cpu(call: Callable[[], object]) -> float:
    """The part of a CPU that a call takes when it is made ten times a second."""
    pause = threading.Event()
    begun, spent = time.monotonic(), time.thread_time()
    for _ in range(_HERTZ * _SECONDS):
        call()
        pause.wait(1 / _HERTZ)
    return (time.thread_time() - spent) / (time.monotonic() - begun)


def cases_of(
    version: str, readers: list[UsageReader], pods: dict[str, PodIdentity], sampler: Sampler
) -> list[Case]:
    """A pod that is another than in the last sample is read wholly, as one that has run is."""
    idle, running = readers
    others = {uid: replace(pod, name="another") for uid, pod in pods.items()}
    changing = itertools.cycle([others, pods])
    stat = sampler.sample().stat
    name = f"malacoda, cgroup {version}:"
    return [
        Case(
            f"{name} node, and pods that have run", lambda: running.read(next(changing), stat=stat)
        ),
        Case(f"{name} node, and idle pods", lambda: idle.read(pods, stat=stat)),
        Case(
            f"{name} the same with runnable threads",
            lambda: idle.read(pods, stat=sampler.sample().stat, with_threads=True),
            every=20,
        ),
        Case(f"{name} pressure of pods", lambda: idle.read_pressure(pods)),
    ]


@contextmanager
def pod_cgroups(tops: list[Path], uids: list[str]) -> Iterator[None]:
    """Make the pods' cgroups below these directories, half of them best effort."""
    with ExitStack() as stack:
        for top in tops:
            classes = [top / "kubepods" / name for name in _CLASSES]
            pods = [classes[n % 2] / f"pod{uid}" for n, uid in enumerate(uids)]
            for path in (top, top / "kubepods", *classes, *pods):
                path.mkdir()
                stack.callback(path.rmdir)
        yield


def as_unified(root: Path, name: str, uids: list[str]) -> None:
    """A tree of v2 whose files are links to the kernel's."""
    (root / "cgroup.controllers").touch()
    for number, uid in enumerate(uids):
        path = f"{name}/kubepods/{_CLASSES[number % 2]}/pod{uid}"
        (root / path).mkdir(parents=True)
        for file, source in _UNIFIED.items():
            (root / path / file).symlink_to(_ROOT / source.format(path=path))


if __name__ == "__main__":
    main()

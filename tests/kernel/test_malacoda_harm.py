"""The gauge of harm on real threads in the machine's cgroup v2, quiet and under stress."""

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from statistics import median

import pytest
from prometheus_client import CollectorRegistry

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
from tests.fakes.malacoda.cgroups import uid
from tests.kernel.stress import stressed
from tests.kernel.test_malacoda_usage import end, make

ROOT = Path("/sys/fs/cgroup")
TREES = [ROOT / name for name in ("cpuacct", "pids", "unified")]
CPU = 1
POD = uid(7)
PERIOD = 0.5
LIMIT = 60
SURELY = 1.1
"""The test reads pressure a little later than the gauge."""
BASELINE = 12.0
"""Seconds; the least baseline takes ten."""
_TASK = f"""
import os, sys, threading, time
def ordinary():
    while True:
        time.sleep(0.2)
if sys.argv[1] == "ordinary":
    threading.Thread(target=ordinary, daemon=True).start()
    time.sleep(0.1)
os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
end = time.monotonic() + {3 * LIMIT}
due = time.monotonic()
while due < end:
    busy = time.monotonic() + 0.0017
    while time.monotonic() < busy:
        pass
    due += 0.01
    time.sleep(max(0.0, due - time.monotonic()))
"""

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0
    or not all((tree / "cgroup.procs").exists() for tree in TREES)
    or not (ROOT / "unified/cpu.pressure").exists()
    or CPU not in os.sched_getaffinity(0),
    reason=f"needs root, cpuacct and pids of cgroup v1, pressure of cgroup v2, and CPU {CPU}",
)


class Pod:
    """A pod with one SCHED_FIFO thread of 1.7 ms in 10 ms, and its gauge."""

    def __init__(self, stack: ExitStack, kind: str, *, unified: bool = True) -> None:
        name = f"k40s-harm-{os.getpid()}-{kind}"
        trees = TREES if unified else TREES[:2]
        groups = [tree / name / f"kubepods/pod{POD}" for tree in trees]
        for tree in TREES:
            for path in (name, f"{name}/kubepods", f"{name}/kubepods/pod{POD}"):
                make(tree / path, stack)
        command = [sys.executable, "-S", "-c", _TASK, kind]
        process = subprocess.Popen(["taskset", "-c", str(CPU), *command])
        stack.callback(end, process)
        for group in groups:
            (group / "cgroup.procs").write_text(str(process.pid))
        self.usage = UsageReader(
            cpus={CPU}, clock=time.monotonic_ns, root=ROOT, cgroup_root=f"/{name}"
        )
        stack.callback(self.usage.close)
        self.view = PodView(
            identities={POD: PodIdentity(name="default/pod", criticality=Criticality.HI)},
            threatened=Criticality.HI,
            critical=frozenset({POD}),
            real_time=frozenset({POD}),
        )
        self.late: dict[str, bool] = {}
        self.waited: list[float] = []
        """Pressure since the sample before, read by the test itself: µs/s."""
        self._waited: tuple[int, float] | None = None
        self._pressure = ROOT / f"unified/{name}/kubepods/pod{POD}/cpu.pressure"
        registry = CollectorRegistry()
        faults = MonitorMetrics(registry).faults
        self.gauge = HarmGauge(
            pods=self,
            pressure=self.usage,
            threads=RealTimePods(clock=time.monotonic_ns),
            misses=OverrunFile(None, clock=time.monotonic_ns),
            reports=self,
            metrics=HarmMetrics(registry, faults=faults),
            clock=time.monotonic_ns,
            policy=HarmPolicy(),
        )

    def rest(self) -> float:
        """The median pressure in calm."""
        return median(self.gauge.state.baselines[POD])

    def run(self, seconds: float, *, calm: bool, until: Callable[[], bool] = lambda: False) -> bool:
        """Sample until it holds, or the time is over."""
        pause = threading.Event()
        for _ in range(round(seconds / PERIOD)):
            self.sample(calm=calm)
            if until():
                return True
            pause.wait(PERIOD)
        return False

    def sample(self, *, calm: bool) -> None:
        self.usage.read(self.view.identities, stat=None)
        self.gauge.tick(calm=calm)
        self._look()

    def _look(self) -> None:
        if not self._pressure.exists():
            return
        some = self._pressure.read_text().splitlines()[0]
        total, at = int(some.rpartition("total=")[2]), time.monotonic()
        if self._waited is not None:
            self.waited.append((total - self._waited[0]) / (at - self._waited[1]))
        self._waited = total, at


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.mark.skipif(shutil.which("stress-ng") is None, reason="needs stress-ng")
def test_the_stress_that_hurts_a_real_time_thread_is_harm_and_its_end_is_seen(
    stack: ExitStack,
) -> None:
    policy = HarmPolicy()
    pod = Pod(stack, "alone")
    found = pod.run(LIMIT, calm=True, until=lambda: pod.gauge.state.harmed is False)
    quiet = pod.rest()
    if quiet > policy.quiet:
        assert pod.gauge.state.harmed is None, "a pod that waits in calm has no gauge"
        pytest.skip(f"the thread alone on its CPU waits {quiet:.0f} us/s on this machine")
    assert found

    pod.waited.clear()
    with stressed("open", cpu=CPU, seconds=LIMIT):
        begun = time.monotonic()
        harmed = pod.run(LIMIT, calm=False, until=lambda: pod.gauge.state.harmed is True)
        took = time.monotonic() - begun
        evidence = pod.gauge.state.evidence
    bar = max(policy.pressure, policy.rise * quiet)
    if not harmed and not in_a_row(pod.waited, lambda rate: rate >= SURELY * bar):
        pytest.skip(f"`open` does not reach {bar:.0f} us/s twice in a row: {max(pod.waited):.0f}")
    assert harmed

    pod.waited.clear()
    over = pod.run(LIMIT, calm=False, until=lambda: pod.gauge.state.harmed is False)
    if not over and not in_a_row(pod.waited, lambda rate: rate * SURELY < bar):
        pytest.skip(f"this machine does not calm down: at least {min(pod.waited):.0f} us/s")
    print(f"quiet {quiet:.0f} us/s, harmed after {took:.1f} s: {evidence}")  # noqa: T201
    assert over


def in_a_row(rates: list[float], holds: Callable[[float], bool]) -> bool:
    """Whether two in a row hold."""
    return any(holds(first) and holds(second) for first, second in pairwise(rates))


def test_an_ordinary_thread_that_runs_and_threads_in_cgroup_v1_alone_have_no_gauge(
    stack: ExitStack,
) -> None:
    pods = [Pod(stack, "ordinary"), Pod(stack, "alone", unified=False)]

    pause = threading.Event()
    for _ in range(round(BASELINE / PERIOD)):
        for pod in pods:
            pod.sample(calm=True)
        pause.wait(PERIOD)

    for pod in pods:
        assert pod.gauge.state.harmed is None
        assert pod.gauge.state.pods[POD].pressure is None

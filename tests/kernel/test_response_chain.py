"""From a pod's first stress to its quota: malacoda with its stages, and the actuator beside it."""

import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from daemons.malacoda.actuator.mode import CulpritMode
from daemons.malacoda.daemon import Malacoda
from daemons.malacoda.settings import Settings
from k40s.assurance.suspects.usage import observed
from k40s.assurance.suspects.verdict import AttributionPolicy, Verdict
from k40s.units import NS_PER_S
from tests.fakes.malacoda.culprit import pod_record
from tests.fakes.malacoda.kernel import uid
from tests.fakes.malacoda.world import FakeNode
from tests.kernel.actuator_scene import CPU, ROOT, UID, Pod, Process
from tests.kernel.conftest import comes_true, eventually

TREES = tuple(ROOT / name for name in ("cpu", "cpuacct", "pids", "freezer"))
QUIET_SECONDS = 12.0
"""More than the least baseline."""
PATIENCE = 200.0
STRESS_SECONDS = 150
"""A net against hangs, no measure of speed."""
_STRESS = (
    f"import os, sys; os.sched_setaffinity(0, {{{CPU}}}); sys.stdin.readline(); os.execvp("
    f"'stress-ng', ['stress-ng', '--open', '8', '--timeout', '{STRESS_SECONDS}', '--quiet'])"
)
_IDLE = "import time; time.sleep(600)"

pytestmark = [
    pytest.mark.skipif(
        os.geteuid() != 0
        or not all((tree / "tasks").exists() for tree in TREES)
        or CPU not in os.sched_getaffinity(0)
        or shutil.which("stress-ng") is None,
        reason=f"needs root, cgroup v1, stress-ng, and CPU {CPU}",
    ),
    pytest.mark.timeout(900),
]


@dataclass
class Watched:
    """When what was first seen, in seconds since the stress began."""

    begun: float
    seen: dict[str, float] = field(default_factory=dict)

    def note(self, what: str, *, holds: bool) -> None:
        if holds:
            self.seen.setdefault(what, time.monotonic() - self.begun)


@pytest.fixture
def noisy(tmp_path: Path) -> Iterator[Pod]:
    """A pod that stresses when it is told to, beside one that is critical and idle."""
    with ExitStack() as stack:
        name = f"k40s-chain-{os.getpid()}"
        noisy = Pod(name=name, trees=TREES, stack=stack, program=_STRESS, scratch=tmp_path)
        Pod(name=name, trees=TREES, stack=stack, uid=uid(9), program=_IDLE)
        yield noisy


def quiet_seconds(daemon: Malacoda) -> float:
    """How long the baseline is; 0 while a sample is high, as on a machine that is busy."""
    assert daemon.culprit is not None
    state = daemon.culprit.search.state
    if state.onset is not None:
        return 0.0
    return observed(state.quiet, AttributionPolicy().longest_gap) / NS_PER_S


def busy(daemon: Malacoda) -> str:
    """What the monitor sees of a machine that is not quiet."""
    metrics = daemon.monitor.state.metrics
    return ", ".join(f"{metric} {value:.3g}" for metric, value in metrics.items())


def test_a_noisy_pod_is_throttled_while_it_stresses_the_node(noisy: Pod, tmp_path: Path) -> None:
    process = Process(pod=noisy, directory=tmp_path, silence="5s")
    node = FakeNode({}, pod_record(uid(9), "HI"), pod_record(UID))
    settings = Settings(
        node_name="edge-1",
        cpus=(CPU,),
        cgroup_root=noisy.cgroup_root,
        culprit=CulpritMode.THROTTLE,
        actuator_socket=process.socket,
        listen_host="127.0.0.1",
        probe_port=0,
    )
    registry = CollectorRegistry()
    daemon = Malacoda(settings, gateway=node, registry=registry)
    daemon.start()
    noisy.stack.callback(daemon.stop)
    pause = threading.Event()
    if not comes_true(lambda: quiet_seconds(daemon) >= QUIET_SECONDS, seconds=PATIENCE):
        pytest.skip(f"not quiet for {QUIET_SECONDS} s in {PATIENCE} s: {busy(daemon)}")
    assert noisy.quota == "-1"

    watched = Watched(begun=time.monotonic())
    noisy.tell()
    while time.monotonic() < watched.begun + STRESS_SECONDS and "throttled" not in watched.seen:
        pause.wait(0.01)
        watched.note("alarm", holds=bool(daemon.monitor.state.hazards))
        watched.note("throttled", holds=noisy.quota == "10000")

    verdicts = {
        verdict.value: registry.get_sample_value(
            "k40s_malacoda_suspects_total", {"verdict": verdict.value}
        )
        for verdict in Verdict
    }
    shown = ", ".join(f"{what} {second:.2f} s" for what, second in watched.seen.items())
    spent = registry.get_sample_value("k40s_malacoda_act_seconds_sum") or 0
    print(f"after the stress began: {shown}; acts {spent * 1e3:.1f} ms after samples")  # noqa: T201  # figures
    given = {verdict for verdict, count in verdicts.items() if count}
    if "throttled" not in watched.seen and given == {Verdict.NO_BASELINE.value}:
        pytest.skip("the machine was busy when the stress began: there is no baseline")
    assert {"alarm", "throttled"} <= watched.seen.keys(), verdicts
    eventually(lambda: "SuspectThrottled" in [reason for _, reason, _ in node.written])
    assert registry.get_sample_value("k40s_malacoda_tick_errors_total") == 0

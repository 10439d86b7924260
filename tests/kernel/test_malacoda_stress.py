import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from daemons.malacoda.metrics import MonitorMetrics
from daemons.malacoda.monitor import Monitor
from daemons.malacoda.sampler import Sampler
from daemons.malacoda.settings import Settings
from k40s.assurance.metrics import Metric
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds

CPU = 1
PERIOD = 0.25
LIMIT = 120
"""Seconds; a net against hangs on a busy machine, no measure of speed."""


@contextmanager
def stress(kind: str, scratch: Path) -> Iterator[None]:
    """Eight stressors on the node's CPU, which end by themselves if nobody ends them."""
    process = subprocess.Popen(
        ["taskset", "-c", str(CPU), "stress-ng", f"--{kind}", "8", "--timeout", str(LIMIT)],
        cwd=scratch,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)


@pytest.fixture
def monitor() -> Iterator[Monitor]:
    settings = Settings(
        node_name="edge-1",
        cpus=(CPU,),
        alarm_hold=Nanoseconds(NS_PER_S),
        gamma_raise_after=Nanoseconds(500 * NS_PER_MS),
        gamma_raise_every=Nanoseconds(500 * NS_PER_MS),
    )
    sampler = Sampler(cpus=frozenset(settings.cpus), clock=time.monotonic_ns)
    yield Monitor(
        source=sampler,
        rules=settings.rules,
        policy=settings.policy,
        metrics=MonitorMetrics(CollectorRegistry(), settings.rules),
        clock=time.monotonic_ns,
    )
    sampler.close()


def gamma_reaches(monitor: Monitor, wanted: range) -> bool:
    """Sample until γ is there, or the limit is over."""
    pause = threading.Event()
    for _ in range(round(LIMIT / PERIOD)):
        monitor.tick()
        if monitor.has_judged and monitor.state.gamma.value in wanted:
            return True
        pause.wait(PERIOD)
    return False


@pytest.mark.skipif(shutil.which("stress-ng") is None, reason="needs stress-ng")
@pytest.mark.parametrize(
    ("kind", "metric"),
    [
        ("open", Metric.CPU_SYSTEM),
        ("fork", Metric.CPU_SYSTEM),
        ("cpu", Metric.RUN_QUEUE),
    ],
)
def test_real_stress_lowers_gamma_and_calm_raises_it_again(
    monitor: Monitor, tmp_path: Path, kind: str, metric: Metric
) -> None:
    assert gamma_reaches(monitor, range(10, 11))

    with stress(kind, tmp_path):
        assert gamma_reaches(monitor, range(6))
        assert metric in monitor.state.hazards

    assert gamma_reaches(monitor, range(10, 11))
    assert monitor.state.hazards == ()

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry

from daemons.malacoda.metrics import MonitorMetrics
from daemons.malacoda.monitor import Monitor
from daemons.malacoda.sampling.sampler import Sampler
from daemons.malacoda.settings import Settings
from k40s.assurance.detector import DEFAULT_RULES
from k40s.assurance.gamma import HIGHEST
from k40s.assurance.metrics import Metric
from k40s.assurance.watch import WatchState
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds
from tests.kernel.stress import stressed

CPU = 1
PERIOD = 0.25
LIMIT = 120
"""Seconds; a net against hangs on a busy machine, no measure of speed."""


@pytest.fixture
def monitor() -> Iterator[Monitor]:
    settings = Settings(
        node_name="edge-1",
        cpus=(CPU,),
        gamma_quiet=Nanoseconds(500 * NS_PER_MS),
        gamma_longest_quiet=Nanoseconds(500 * NS_PER_MS),
    )
    sampler = Sampler(cpus=frozenset(settings.cpus), clock=time.monotonic_ns)
    yield Monitor(
        source=sampler,
        rules=tuple(replace(rule, hold=Nanoseconds(NS_PER_S)) for rule in DEFAULT_RULES),
        policy=settings.policy,
        metrics=MonitorMetrics(CollectorRegistry()),
        clock=time.monotonic_ns,
    )
    sampler.close()


def holds(monitor: Monitor, condition: Callable[[WatchState], bool]) -> bool:
    """Sample until it does, or the limit is over."""
    pause = threading.Event()
    for _ in range(round(LIMIT / PERIOD)):
        monitor.tick()
        if monitor.has_verdict and condition(monitor.state):
            return True
        pause.wait(PERIOD)
    return False


@pytest.mark.skipif(shutil.which("stress-ng") is None, reason="needs stress-ng")
@pytest.mark.parametrize("kind", ["open", "fork", "cpu"])
def test_real_stress_lowers_gamma_and_calm_raises_it_again(monitor: Monitor, kind: str) -> None:
    assert holds(monitor, lambda state: state.gamma.value == HIGHEST)

    with stressed(kind, cpu=CPU, seconds=LIMIT):
        assert holds(monitor, lambda state: state.gamma.value == HIGHEST // 2)
        assert holds(monitor, lambda state: Metric.RUN_QUEUE in state.hazards)

    assert holds(monitor, lambda state: state.gamma.value == HIGHEST and not state.hazards)

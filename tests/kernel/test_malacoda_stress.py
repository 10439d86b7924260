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
RESTLESS = 10.0
"""Seconds; a monitor sees calm in less than half of that."""
pytestmark = pytest.mark.timeout(5 * LIMIT)


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


class Watch:
    """Samples, and what the monitor was told: that is no decision of its own."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor
        self._high: dict[str, tuple[float, float]] = {}

    def holds(self, condition: Callable[[WatchState], bool]) -> bool:
        """Sample until it does, or the limit is over."""
        pause = threading.Event()
        for _ in range(round(LIMIT / PERIOD)):
            self._monitor.tick()
            self._note(self._monitor.state)
            if self._monitor.has_verdict and condition(self._monitor.state):
                return True
            pause.wait(PERIOD)
        return False

    def is_calm(self) -> bool:
        """Whether it comes to see no hazard; skips where samples show that the machine has one."""
        calm = self.holds(lambda state: state.gamma.value == HIGHEST and not state.hazards)
        since = time.monotonic() - RESTLESS
        restless = {name: value for name, (when, value) in self._high.items() if when >= since}
        if not calm and restless:
            pytest.skip(f"the machine itself is not calm within {LIMIT} s: {restless}")
        return calm

    def _note(self, state: WatchState) -> None:
        """When each metric was last too high for an alarm to be cleared."""
        for rule, alarm in state.alarms.items():
            if alarm.values and alarm.values[-1] >= rule.clear_at:
                self._high[rule.metric.value] = (time.monotonic(), alarm.values[-1])


@pytest.mark.skipif(shutil.which("stress-ng") is None, reason="needs stress-ng")
@pytest.mark.parametrize("kind", ["open", "fork", "cpu"])
def test_real_stress_lowers_gamma_and_calm_raises_it_again(monitor: Monitor, kind: str) -> None:
    watch = Watch(monitor)
    assert watch.is_calm()

    with stressed(kind, cpu=CPU, seconds=2 * LIMIT):
        assert watch.holds(lambda state: state.gamma.value == HIGHEST // 2)
        assert watch.holds(lambda state: Metric.RUN_QUEUE in state.hazards)

    assert watch.is_calm()

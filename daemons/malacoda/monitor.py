"""Samples the node and keeps what follows from it: the impure side of ``k40s.assurance.watch``."""

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from daemons.malacoda.metrics import MonitorMetrics
from k40s.assurance.counters import Counters
from k40s.assurance.detector import Rule
from k40s.assurance.gamma import GammaPolicy, GammaState
from k40s.assurance.watch import WatchState, advance
from k40s.units import NS_PER_S

log = logging.getLogger(__name__)


class CounterSource(Protocol):
    """Where samples come from."""

    @property
    def faults(self) -> dict[str, int]:
        """By source, in how many samples it was missing."""

    def sample(self) -> Counters:
        """Take a sample."""


class Monitor:
    """``state`` is whole at every moment and read from other threads; ``tick`` replaces it."""

    def __init__(
        self,
        *,
        source: CounterSource,
        rules: tuple[Rule, ...],
        policy: GammaPolicy,
        metrics: MonitorMetrics,
        clock: Callable[[], int],
    ) -> None:
        self.state = WatchState()
        self._source = source
        self._rules = rules
        self._policy = policy
        self._metrics = metrics
        self._clock = clock
        self._lock = threading.Lock()
        self._samples = 0
        self._counted: dict[str, int] = {}

    @property
    def has_judged(self) -> bool:
        """Whether there were enough samples for every rule to have raised its alarm."""
        return self._samples > max((rule.window for rule in self._rules), default=0)

    @property
    def age(self) -> int | None:
        """Nanoseconds since the last sample that told the CPUs' times; None before the first."""
        counters = self.state.counters
        if counters is None or counters.stat is None:
            return None
        return self._clock() - counters.at

    def resume(self, gamma: int) -> None:
        """Begin at the γ that was published before a restart, and rise from there."""
        with self._lock:
            lowest = min(gamma, self.state.gamma.value)
            self.state = replace(self.state, gamma=GammaState(value=lowest))

    def tick(self) -> None:
        """Take one sample and judge it."""
        begun = self._clock()
        sample = self._source.sample()
        with self._lock:
            before = self.state
            self.state = advance(before, sample, rules=self._rules, policy=self._policy)
            self._samples += sample.stat is not None
        self._tell(before, self.state)
        self._metrics.show(self.state)
        for name, count in self._source.faults.items():
            self._metrics.faults.labels(source=name).inc(count - self._counted.get(name, 0))
            self._counted[name] = count
        self._metrics.cost.observe((self._clock() - begun) / NS_PER_S)

    def _tell(self, before: WatchState, after: WatchState) -> None:
        raised = set(after.hazards) - set(before.hazards)
        for metric in sorted(raised):
            self._metrics.alarms.labels(metric=metric.value).inc()
            log.warning("alarm raised", extra=_evidence(after, metric.value))
        for metric in sorted(set(before.hazards) - set(after.hazards)):
            log.info("alarm cleared", extra=_evidence(after, metric.value))


def _evidence(state: WatchState, metric: str) -> dict[str, object]:
    return {
        "metric": metric,
        "values": {name.value: round(value, 3) for name, value in state.metrics.items()},
    }

"""Samples the node and keeps metrics, alarms and γ: the shell of ``k40s.assurance.watch``."""

import logging
import threading
from collections import Counter
from collections.abc import Collection
from dataclasses import replace
from typing import Protocol

from daemons.malacoda.metrics import MonitorMetrics
from daemons.malacoda.sampling.sampler import Look
from k40s.assurance.detector import TREND_SAMPLES, AlarmState, Rule, Victim
from k40s.assurance.gamma import GammaPolicy, Severity, resume
from k40s.assurance.metrics import Metric
from k40s.assurance.quiet import may_wait
from k40s.assurance.response.harm import HarmState
from k40s.assurance.trend import find_level, find_slope
from k40s.assurance.watch import WatchState, advance, refine
from k40s.units import NS_PER_S, Clock

log = logging.getLogger(__name__)

_MISSING = 4
"""Samples in a row without a metric that are reported; a single one may be chance."""
NO_GAUGE = HarmState()
"""Nothing tells whether critical pods suffer."""


class CounterSource(Protocol):
    """Samples the node's counters."""

    @property
    def faults(self) -> dict[str, int]:
        """By source, the number of samples without it."""

    def look(self, *, closely: bool) -> Look:
        """Take a sample; not ``closely``, a glance at a quiet node may take its place."""


class Monitor:
    """``state`` is immutable and read by other threads; ``tick`` replaces it.

    Until ``follow`` has given it rules it judges nothing.
    """

    def __init__(
        self,
        *,
        source: CounterSource,
        rules: tuple[Rule, ...] = (),
        policy: GammaPolicy,
        metrics: MonitorMetrics,
        clock: Clock,
    ) -> None:
        self.state = WatchState()
        self._source = source
        self._rules: tuple[Rule, ...] = ()
        self.policy = policy
        self._metrics = metrics
        self._clock = clock
        self._lock = threading.Lock()
        self._samples = 0
        self._needed: int | None = None
        self._missing: Counter[Metric] = Counter()
        self._may_wait = False
        self._closely = True
        if rules:
            self.follow(rules)

    @property
    def has_verdict(self) -> bool:
        """Whether there were enough samples for every rule to raise its alarm.

        Of rules that replace others it is assumed: the level is known, and goes on from there.
        """
        return self._needed is not None and self._samples > self._needed

    @property
    def blind(self) -> tuple[Metric, ...]:
        """The metrics of rules that have been missing for some samples in a row."""
        return tuple(sorted(m for m, number in self._missing.items() if number >= _MISSING))

    @property
    def age(self) -> int | None:
        """Nanoseconds since the last sample with CPU times; None before the first."""
        counters = self.state.counters
        if counters is None or counters.stat is None:
            return None
        return self._clock() - counters.at

    def resume(self, gamma: int, *, cause: Severity, falls: int) -> None:
        """Continue from the γ that was published before a restart, and remember its downgrades."""
        with self._lock:
            resumed = resume(self.state.gamma, value=gamma, cause=cause, falls=falls)
            self.state = replace(self.state, gamma=resumed)
        self._metrics.show(self.state)

    def follow(self, rules: tuple[Rule, ...]) -> None:
        """Judge by these rules from the next sample on; an alarm of a rule that stays remains."""
        with self._lock:
            if self._needed is None:
                self._needed = self._samples + max(rule.window for rule in rules)
            self._rules = rules
            self._may_wait = may_wait(rules)
            self._closely = True
        self._metrics.watch(rules)

    def tick(self, harm: HarmState = NO_GAUGE) -> bool:
        """Look at the node, and update metrics, alarms and γ; ``harm`` is gauged at the same time.

        Returns False where the node is quiet, and nothing was judged (``k40s.assurance.quiet``).
        """
        begun = self._clock()
        sample, turns = self._source.look(closely=self._closely)
        if sample is None:
            return False
        with self._lock:
            before = self.state
            last = refine(before, turns) if turns else before
            self.state = advance(last, sample, rules=self._rules, policy=self.policy, harm=harm)
            self._samples += sample.stat is not None
            self._closely = not (
                self._may_wait and self.has_verdict and self.state.settled(self._rules)
            )
        self._report(before, self.state)
        self._look_for_missing(self.state.blind)
        self._metrics.show(self.state)
        self._metrics.sources.count(self._source.faults)
        self._metrics.cost.observe((self._clock() - begun) / NS_PER_S)
        return True

    def _look_for_missing(self, blind: Collection[Metric]) -> None:
        if not blind and not self._missing:
            return
        missing = Counter({metric: self._missing[metric] + 1 for metric in blind})
        for metric in self._missing:
            if self._missing[metric] >= _MISSING and metric not in missing:
                log.info("metric is back", extra={"metric": metric.value})
        for metric, number in missing.items():
            if number == _MISSING:
                log.warning("metric missing", extra={"metric": metric.value})
        self._missing = missing

    def _report(self, before: WatchState, after: WatchState) -> None:
        if not (before.alarmed or after.alarmed):
            return
        raised = set(after.hazards) - set(before.hazards)
        for metric in sorted(raised):
            self._metrics.alarms.labels(metric=metric.value).inc()
            log.warning("alarm raised", extra=_evidence(after, metric))
        for metric in sorted(set(before.hazards) - set(after.hazards)):
            log.info("alarm cleared", extra=_evidence(after, metric))


def _evidence(state: WatchState, metric: Metric) -> dict[str, object]:
    """The values of the last sample, and what each rule on this metric makes of its last ones."""
    return {
        "metric": metric.value,
        "values": {name.value: round(value, 3) for name, value in state.metrics.items()},
        "rules": [
            _judgement(rule, alarm)
            for rule, alarm in state.alarms.items()
            if rule.metric is metric and alarm.values
        ],
    }


def _judgement(rule: Rule, alarm: AlarmState) -> dict[str, object]:
    found: dict[str, object] = {
        "active": alarm.active,
        "trigger": alarm.trigger,
        "harms": [victim.value for victim in Victim if victim in rule.harms],
        "level": round(find_level(alarm.values), 3),
        "excess": round(alarm.excess, 3),
    }
    if len(alarm.values) >= TREND_SAMPLES:
        slope = find_slope(alarm.times[-TREND_SAMPLES:], alarm.values[-TREND_SAMPLES:])
        found |= {"slope": round(slope.estimate, 3), "slope_low": round(slope.low, 3)}
    return found

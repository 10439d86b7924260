"""Malacoda's metrics, on a registry that is handed in. Labels come from closed sets."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from daemons.malacoda.sampler import SOURCES
from k40s.annotations import NodeAssurance
from k40s.assurance.detector import Rule
from k40s.assurance.watch import WatchState

_COSTS = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.25)


class MonitorMetrics:
    """What was sampled, and how it was judged."""

    def __init__(self, registry: CollectorRegistry, rules: Iterable[Rule]) -> None:
        self.metric = Gauge(
            "k40s_malacoda_metric",
            "Value of a metric in the last sample (docs/metrics.md gives units)",
            ["metric"],
            registry=registry,
        )
        self.alarm = Gauge(
            "k40s_malacoda_alarm",
            "1 while the alarm on a metric is active",
            ["metric"],
            registry=registry,
        )
        self.alarms = Counter(
            "k40s_malacoda_alarms", "Alarms that were raised", ["metric"], registry=registry
        )
        self.state = Gauge(
            "k40s_malacoda_state_assurance", "The state part, 0 to 10", registry=registry
        )
        self.cost = Histogram(
            "k40s_malacoda_sample_seconds",
            "Time that reading and judging one sample took",
            registry=registry,
            buckets=_COSTS,
        )
        self.faults = Counter(
            "k40s_malacoda_source_faults",
            "Samples without a source, because it is absent or cannot be read",
            ["source"],
            registry=registry,
        )
        self._shown: dict[str, Gauge] = {}
        for rule in rules:
            self.alarm.labels(metric=rule.metric.value).set(0)
            self.alarms.labels(metric=rule.metric.value)
        for source in SOURCES:
            self.faults.labels(source=source)

    def show(self, state: WatchState) -> None:
        """Set what the last sample said."""
        for metric, value in state.metrics.items():
            if metric not in self._shown:
                self._shown[metric] = self.metric.labels(metric=metric.value)
            self._shown[metric].set(value)
        hazards = set(state.hazards)
        for rule in state.alarms:
            self.alarm.labels(metric=rule.metric.value).set(rule.metric in hazards)
        self.state.set(state.gamma.value)


class ReportMetrics:
    """What the node says of itself."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.level = Gauge("k40s_malacoda_level", "Published level, 0 to 20", registry=registry)
        self.part = Gauge(
            "k40s_malacoda_part", "Published part of the level", ["part"], registry=registry
        )
        self.publications = Counter(
            "k40s_malacoda_publications", "Writes to the Node", registry=registry
        )
        self.invalid = Counter(
            "k40s_malacoda_invalid_annotations",
            "Times that an operator's annotation on the Node could not be understood",
            registry=registry,
        )
        self.unavailable = Counter(
            "k40s_malacoda_unavailable",
            "Times that the API server did not answer",
            registry=registry,
        )
        self.errors = Counter(
            "k40s_malacoda_tick_errors", "Unforeseen errors in a loop", registry=registry
        )

    def show(self, assurance: NodeAssurance) -> None:
        """Set what was published."""
        self.level.set(assurance.level)
        self.part.labels(part="hardware").set(assurance.hardware)
        self.part.labels(part="software").set(assurance.software)
        self.part.labels(part="state").set(assurance.state)

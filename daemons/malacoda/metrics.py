"""What malacoda exports to Prometheus, on an injected registry. Labels come from closed sets.

The rooms of harm, culprits and responses have metrics of their own, beside their code.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from daemons.malacoda.sampling.sampler import SOURCES
from k40s.annotations import NodeAssurance
from k40s.assurance.gamma import Severity
from k40s.assurance.watch import WatchState
from k40s.errors import UnavailableError, UnreadableError

COSTS = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.25)
"""Buckets of what a sample costs, in seconds."""


class MonitorMetrics:
    """Samples, alarms and γ."""

    def __init__(self, registry: CollectorRegistry) -> None:
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
        severity = Gauge(
            "k40s_malacoda_severity",
            "1 for the present severity of the node's state; none while it is unknown",
            ["severity"],
            registry=registry,
        )
        self._severities = {each: severity.labels(severity=each.name.lower()) for each in Severity}
        self.downgrades = Gauge(
            "k40s_malacoda_downgrades",
            "Downgrades that are not forgotten yet",
            registry=registry,
        )
        self.cost = Histogram(
            "k40s_malacoda_sample_seconds",
            "Time that reading and judging one sample took",
            registry=registry,
            buckets=COSTS,
        )
        self.faults = Counter(
            "k40s_malacoda_source_faults",
            "Samples without a source, because it is absent or cannot be read",
            ["source"],
            registry=registry,
        )
        self._shown: dict[str, Gauge] = {}
        self._watched: set[str] = set()
        for source in SOURCES:
            self.faults.labels(source=source)

    def show(self, state: WatchState) -> None:
        """Set the values of the last sample, and the alarms of the rules in force alone."""
        for metric, value in state.metrics.items():
            if metric not in self._shown:
                self._shown[metric] = self.metric.labels(metric=metric.value)
            self._shown[metric].set(value)
        watched = {rule.metric.value for rule in state.alarms}
        for name in self._watched - watched:
            self.alarm.remove(name)
        for name in watched - self._watched:
            self.alarms.labels(metric=name)
        self._watched = watched
        hazards = {metric.value for metric in state.hazards}
        for name in watched:
            self.alarm.labels(metric=name).set(name in hazards)
        self.state.set(state.gamma.value)
        self.downgrades.set(state.gamma.falls)
        for severity, shown in self._severities.items():
            shown.set(severity is state.severity)


class ProfileMetrics:
    """The profile of rules."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.refused = Gauge(
            "k40s_malacoda_profile_refused",
            "1 while the profile that the Node is to have is missing or invalid",
            registry=registry,
        )
        self.refusals = Counter(
            "k40s_malacoda_profile_refusals",
            "Profiles that were refused, by distinct cause in succession",
            registry=registry,
        )


class PodReportMetrics:
    """Critical pods' own metrics."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.late = Gauge(
            "k40s_malacoda_pods_reporting_harm",
            "LOW and HI pods whose own metric is outside its bound",
            registry=registry,
        )
        self.reports = Counter(
            "k40s_malacoda_harm_reports",
            "Times that a pod's own metric began to report harm",
            registry=registry,
        )
        self.unreadable = Counter(
            "k40s_malacoda_unreadable_pod_metrics",
            "Reads of a pod's own metric that failed",
            registry=registry,
        )


class ReportMetrics:
    """The published level, and failures to publish."""

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
        self.unreadable = Counter(
            "k40s_malacoda_unreadable_objects",
            "Times that an object of the API server could not be understood",
            ["kind"],
            registry=registry,
        )
        for kind in ("nodes", "pods"):
            self.unreadable.labels(kind=kind)
        self.unavailable = Counter(
            "k40s_malacoda_unavailable",
            "Times that the API server did not answer",
            registry=registry,
        )
        self.errors = Counter(
            "k40s_malacoda_tick_errors", "Unforeseen errors in a loop", registry=registry
        )

    def show(self, assurance: NodeAssurance) -> None:
        """Set the published level and parts."""
        self.level.set(assurance.level)
        self.part.labels(part="hardware").set(assurance.hardware)
        self.part.labels(part="software").set(assurance.software)
        self.part.labels(part="state").set(assurance.state)

    def count_failure(self, error: UnavailableError) -> None:
        """Count a call that the API server did not answer, or not intelligibly."""
        if isinstance(error, UnreadableError):
            self.unreadable.labels(kind="nodes").inc()
        self.unavailable.inc()

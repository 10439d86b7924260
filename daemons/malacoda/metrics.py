"""What malacoda exports to Prometheus, on an injected registry. Labels come from closed sets.

The rooms of harm, culprits and responses have metrics of their own, beside their code.
"""

from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from daemons.malacoda.sampling.sampler import SOURCES
from k40s.annotations import NodeAssurance
from k40s.assurance.detector import Rule
from k40s.assurance.gamma import Severity
from k40s.assurance.watch import WatchState
from k40s.errors import UnavailableError, UnreadableError

COSTS = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.25)
"""Buckets of what a sample costs, in seconds."""


class SourceFaults:
    """Counts the samples without a source in Prometheus, by what a reader has counted so far."""

    def __init__(self, counter: Counter, sources: Iterable[str]) -> None:
        self._counter = counter
        self._counted = dict.fromkeys(sources, 0)
        for source in self._counted:
            counter.labels(source=source)

    def count(self, faults: Mapping[str, int]) -> None:
        """Add what has come since the last call, by source; mostly nothing has."""
        if faults == self._counted:
            return
        for source, number in faults.items():
            self._counter.labels(source=source).inc(number - self._counted.get(source, 0))
            self._counted[source] = number


class MonitorMetrics(Collector):
    """Samples, alarms and γ. What the last sample says is made into text when it is scraped."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.alarms = Counter(
            "k40s_malacoda_alarms", "Alarms that were raised", ["metric"], registry=registry
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
        self.sources = SourceFaults(self.faults, SOURCES)
        self._state: WatchState | None = None
        self._values: dict[str, float] = {}
        registry.register(self)

    def watch(self, rules: Iterable[Rule]) -> None:
        """Count the alarms of these rules from now on, beginning with none."""
        for rule in rules:
            self.alarms.labels(metric=rule.metric.value)

    def show(self, state: WatchState) -> None:
        """The values of the last sample, which may lack some, and the alarms of its rules alone."""
        self._values.update((metric.value, value) for metric, value in state.metrics.items())
        self._state = state

    def collect(self) -> Iterator[Metric]:
        """As a scrape asks; without values before there is a state."""
        state = self._state
        known = WatchState() if state is None else state
        hazards = frozenset(known.hazards)
        yield by_label(
            "k40s_malacoda_metric",
            "Value of a metric in the last sample (docs/metrics.md gives units)",
            "metric",
            dict(self._values),
        )
        yield by_label(
            "k40s_malacoda_alarm",
            "1 while the alarm on a metric is active",
            "metric",
            {rule.metric.value: float(rule.metric in hazards) for rule in known.alarms},
        )
        yield GaugeMetricFamily(
            "k40s_malacoda_state_assurance",
            "The state part, 0 to 10",
            value=None if state is None else state.gamma.value,
        )
        yield by_label(
            "k40s_malacoda_severity",
            "1 for the present severity of the node's state; none while it is unknown",
            "severity",
            {each.name.lower(): float(each is known.severity) for each in Severity},
        )
        yield GaugeMetricFamily(
            "k40s_malacoda_downgrades",
            "Downgrades that are not forgotten yet",
            value=None if state is None else state.gamma.falls,
        )


def by_label(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    """A family of gauges as a scrape reads it, by the values of one label."""
    family = GaugeMetricFamily(name, text, labels=[label])
    for value in sorted(values):
        family.add_metric([value], values[value])
    return family


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

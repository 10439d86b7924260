"""What malacoda exports to Prometheus, on an injected registry. Labels come from closed sets."""

from collections.abc import Iterable, Mapping
from itertools import product

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from daemons.malacoda.sampling.sampler import SOURCES
from daemons.malacoda.sampling.usage import USAGE_SOURCES
from k40s.annotations import NodeAssurance
from k40s.assurance.gamma import Severity
from k40s.assurance.response.harm import Gauge as HarmGauge
from k40s.assurance.response.harm import HarmState
from k40s.assurance.suspects.verdict import Verdict
from k40s.assurance.watch import WatchState
from k40s.errors import UnavailableError, UnreadableError

POD_THREADS, OVERRUNS = "pod-threads", "overruns"
"""Sources of the gauge of harm."""
_COSTS = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.25)


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
            buckets=_COSTS,
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


class HarmMetrics:
    """The gauge of harm."""

    def __init__(self, registry: CollectorRegistry, *, faults: Counter) -> None:
        """``faults`` counts samples without a source."""
        self.harmed = Gauge(
            "k40s_malacoda_harmed",
            "1 while critical pods suffer, by the gauge that tells it",
            ["gauge"],
            registry=registry,
        )
        self.gauged = Gauge(
            "k40s_malacoda_gauged_pods",
            "Critical pods of which a gauge can tell that they do not suffer",
            registry=registry,
        )
        self.cost = Histogram(
            "k40s_malacoda_harm_seconds",
            "Time that reading and evaluating one sample of the critical pods' gauges took",
            registry=registry,
            buckets=_COSTS,
        )
        self._faults = faults
        self._counted = dict.fromkeys((POD_THREADS, OVERRUNS), 0)
        self.count_faults(self._counted)
        self.show(HarmState(), gauged=0)

    def show(self, state: HarmState, *, gauged: int) -> None:
        """Set what the last sample tells."""
        for gauge in HarmGauge:
            self.harmed.labels(gauge=gauge.value).set(state.shows(gauge))
        self.gauged.set(gauged)

    def count_faults(self, faults: Mapping[str, int]) -> None:
        """Add what has come since the last call."""
        for source, number in faults.items():
            self._faults.labels(source=source).inc(number - self._counted[source])
            self._counted[source] = number


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


class CulpritMetrics:
    """The search for the culprit of a hazard."""

    def __init__(
        self, registry: CollectorRegistry, reasons: Iterable[str], *, faults: Counter
    ) -> None:
        """``reasons`` are those of events; ``faults`` counts samples without a source."""
        self._faults = faults
        self._counted: dict[str, int] = {}
        self.suspects = Counter(
            "k40s_malacoda_suspects",
            "Verdicts on the culprit of a hazard that were reported",
            ["verdict"],
            registry=registry,
        )
        self.suspect = Gauge(
            "k40s_malacoda_suspect",
            "1 while an alarm is active for which a pod was named",
            registry=registry,
        )
        self.cost = Histogram(
            "k40s_malacoda_usage_seconds",
            "Time that reading and evaluating one sample of the pods' CPU usage took",
            registry=registry,
            buckets=_COSTS,
        )
        self.events = Counter(
            "k40s_malacoda_events",
            "Events that were written on the Node and on pods",
            ["reason"],
            registry=registry,
        )
        self.events_dropped = Counter(
            "k40s_malacoda_events_dropped",
            "Events that were not written: too many waited, or for too long, or their pod is gone",
            registry=registry,
        )
        for source in USAGE_SOURCES:
            faults.labels(source=source)
        for verdict in Verdict:
            self.suspects.labels(verdict=verdict.value)
        for reason in reasons:
            self.events.labels(reason=reason)

    def count_faults(self, faults: Mapping[str, int]) -> None:
        """Add what has come since the last call."""
        for source, number in faults.items():
            self._faults.labels(source=source).inc(number - self._counted.get(source, 0))
            self._counted[source] = number


class ResponseMetrics:
    """Acts against culprits, and the actuator that carries them out."""

    def __init__(
        self, registry: CollectorRegistry, *, acts: Iterable[str], results: Iterable[str]
    ) -> None:
        """``acts`` and ``results`` are the labels of acts."""
        self.acts = Counter(
            "k40s_malacoda_acts",
            "Acts that were asked of the actuator, by what became of them",
            ["act", "result"],
            registry=registry,
        )
        self.held = Gauge(
            "k40s_malacoda_held_pods", "Pods that are throttled or frozen", registry=registry
        )
        self.up = Gauge(
            "k40s_malacoda_actuator_up", "1 while the actuator answers", registry=registry
        )
        self.overwritten = Counter(
            "k40s_malacoda_overwritten",
            "Times that somebody else had changed a held pod's values, which were set again",
            registry=registry,
        )
        self.seconds = Histogram(
            "k40s_malacoda_act_seconds",
            "Time from the sample that an act rests on to the act's end",
            registry=registry,
            buckets=_COSTS,
        )
        for act, result in product(acts, results):
            self.acts.labels(act=act, result=result)


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

"""What the search for culprits exports to Prometheus."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from daemons.malacoda.metrics import COSTS, SourceFaults
from daemons.malacoda.sampling.usage import USAGE_SOURCES
from k40s.assurance.suspects.verdict import Verdict


class CulpritMetrics:
    """The search for the culprit of a hazard."""

    def __init__(
        self, registry: CollectorRegistry, reasons: Iterable[str], *, faults: Counter
    ) -> None:
        """``reasons`` are those of events; ``faults`` counts samples without a source."""
        self.sources = SourceFaults(faults, USAGE_SOURCES)
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
            buckets=COSTS,
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
        for verdict in Verdict:
            self.suspects.labels(verdict=verdict.value)
        for reason in reasons:
            self.events.labels(reason=reason)

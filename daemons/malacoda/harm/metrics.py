"""What the gauge of harm exports to Prometheus."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from daemons.malacoda.metrics import COSTS
from k40s.assurance.response.harm import Gauge as HarmGauge
from k40s.assurance.response.harm import HarmState

POD_THREADS, OVERRUNS = "pod-threads", "overruns"
"""Sources of the gauge of harm."""


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
            buckets=COSTS,
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

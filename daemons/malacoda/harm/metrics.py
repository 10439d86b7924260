"""What the gauge of harm exports to Prometheus."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from daemons.malacoda.metrics import COSTS, SourceFaults, by_label
from k40s.assurance.response.harm import Gauge, HarmState

POD_THREADS, OVERRUNS = "pod-threads", "overruns"
"""Sources of the gauge of harm."""


class HarmMetrics(Collector):
    """The gauge of harm. What the last sample says is made into text when it is scraped."""

    def __init__(self, registry: CollectorRegistry, *, faults: Counter) -> None:
        """``faults`` counts samples without a source."""
        self.cost = Histogram(
            "k40s_malacoda_harm_seconds",
            "Time that reading and evaluating one sample of the critical pods' gauges took",
            registry=registry,
            buckets=COSTS,
        )
        self.sources = SourceFaults(faults, (POD_THREADS, OVERRUNS))
        self._shown = (HarmState(), 0)
        registry.register(self)

    def show(self, state: HarmState, *, gauged: int) -> None:
        """What the last sample tells, and of how many pods."""
        self._shown = (state, gauged)

    def collect(self) -> Iterator[Metric]:
        """As a scrape asks."""
        state, gauged = self._shown
        yield by_label(
            "k40s_malacoda_harmed",
            "1 while critical pods suffer, by the gauge that tells it",
            "gauge",
            {gauge.value: float(state.shows(gauge)) for gauge in Gauge},
        )
        yield GaugeMetricFamily(
            "k40s_malacoda_gauged_pods",
            "Critical pods of which a gauge can tell that they do not suffer",
            value=gauged,
        )

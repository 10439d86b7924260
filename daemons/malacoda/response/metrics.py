"""What the response to culprits exports to Prometheus."""

from collections.abc import Iterable
from itertools import product

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from daemons.malacoda.metrics import COSTS


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
            buckets=COSTS,
        )
        for act, result in product(acts, results):
            self.acts.labels(act=act, result=result)

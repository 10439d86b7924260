"""What k40s exports on a healthy cluster of one node, as series: made by the code's own metrics."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge

from controller.metrics import (
    CollectionMetrics,
    ControllerMetrics,
    EvictionMetrics,
    PreemptionMetrics,
    TenantCollectionMetrics,
)
from daemons.malacoda.actuator.protocol import Result, Verb
from daemons.malacoda.culprit.events import EventReason as CulpritEventReason
from daemons.malacoda.culprit.metrics import CulpritMetrics
from daemons.malacoda.harm.metrics import HarmMetrics
from daemons.malacoda.metrics import MonitorMetrics, PodReportMetrics, ProfileMetrics, ReportMetrics
from daemons.malacoda.response.metrics import ResponseMetrics
from daemons.malacoda.response.reports import UNREACHABLE
from daemons.rubicante.cluster.pod_events import EventReason
from daemons.rubicante.enforcement.conditions import Trouble
from daemons.rubicante.metrics import (
    BookMetrics,
    EnforcementMetrics,
    FeedbackMetrics,
    ReconciliationMetrics,
    TimerMetrics,
)
from daemons.rubicante.monitoring.audit import Difference
from daemons.scarmiglione.cluster.events import EventReason as SlotEventReason
from daemons.scarmiglione.metrics import SlotMetrics, StationMetrics
from daemons.scarmiglione.monitoring.health import Health
from daemons.scarmiglione.slots.entry import Phase
from extender.metrics import ExtenderMetrics
from insight.metrics import InsightMetrics
from k40s.annotations import NodeAssurance
from k40s.assurance.detector import AlarmState, Rule
from k40s.assurance.metrics import Metric
from k40s.assurance.watch import WatchState
from k40s.pki.metrics import CertificateMetrics
from k40s.units import NS_PER_S, Nanoseconds
from webhook.metrics import WebhookMetrics

NODE = "edge-1"
YEAR_SECONDS = 365 * 86400
PRESENTED: Mapping[str, tuple[str, ...]] = {
    "extender": ("server", "client"),
    "webhook": ("server",),
    "controller": ("client",),
    "insight": ("server", "client"),
    "rubicante": ("server",),
    "scarmiglione": ("server",),
}
"""The certificates of each process."""
PROCESSES = (
    "extender",
    "webhook",
    "controller",
    "insight",
    "malacoda",
    "rubicante",
    "scarmiglione",
)


def target_labels(process: str) -> dict[str, str]:
    """What scraping adds to each series of a process."""
    return {"namespace": "k40s-system", "node": NODE, "pod": f"{process}-1"}


@cache
def registry_of(process: str) -> CollectorRegistry:
    """All metrics of a process, with every label that it shows a second after its start."""
    registry = CollectorRegistry()
    _FILL[process](registry)
    if process in PRESENTED:
        CertificateMetrics(
            registry,
            process=process,
            certificates={name: Path("/nowhere") for name in PRESENTED[process]},
        )
    return registry


def series() -> Iterator[tuple[str, dict[str, str], float]]:
    """Name, all labels and value of each series of all processes."""
    for process in PROCESSES:
        for family in registry_of(process).collect():
            for sample in family.samples:
                if not sample.name.endswith("_created"):
                    value = YEAR_SECONDS if "_certificate_expiry_" in sample.name else sample.value
                    yield sample.name, {**sample.labels, **target_labels(process)}, value


def _zero(gauge: Gauge, label: str, values: Iterable[Enum | str]) -> None:
    for value in values:
        gauge.labels(**{label: value.value if isinstance(value, Enum) else value}).set(0)


def _extender(registry: CollectorRegistry) -> None:
    ExtenderMetrics(registry).nodes.set(1)


def _webhook(registry: CollectorRegistry) -> None:
    WebhookMetrics(registry)


def _controller(registry: CollectorRegistry) -> None:
    ControllerMetrics(registry).leader.set(1)
    CollectionMetrics(registry)
    TenantCollectionMetrics(registry)
    PreemptionMetrics(registry)
    EvictionMetrics(registry)


def _insight(registry: CollectorRegistry) -> None:
    InsightMetrics(registry)


def _malacoda(registry: CollectorRegistry) -> None:
    monitor = MonitorMetrics(registry)
    monitor.show(
        WatchState(
            metrics=dict.fromkeys(Metric, 0.0),
            alarms={Rule(metric=metric, raise_at=1, clear_at=1): AlarmState() for metric in Metric},
        )
    )
    CulpritMetrics(registry, CulpritEventReason, faults=monitor.faults)
    PodReportMetrics(registry)
    ProfileMetrics(registry)
    HarmMetrics(registry, faults=monitor.faults)
    acts = [verb.value for verb in Verb if verb.step is not None]
    results = [*(result.value for result in Result), UNREACHABLE]
    ResponseMetrics(registry, acts=acts, results=results).up.set(1)
    now, lease = datetime(2026, 1, 1, tzinfo=UTC), Nanoseconds(30 * NS_PER_S)
    ReportMetrics(registry).show(
        NodeAssurance(hardware=5, software=5, state=10, observed=now, lease=lease)
    )


def _rubicante(registry: CollectorRegistry) -> None:
    BookMetrics(registry).utilization.labels(core="1").set(0)
    EnforcementMetrics(registry)
    feedback = FeedbackMetrics(registry)
    _zero(feedback.conditions, "trouble", Trouble)
    for reason in EventReason:
        feedback.events.labels(reason=reason.value)
    feedback.throttled.labels(core="1")
    TimerMetrics(registry)  # the rest of it depends on the kernel, and no alert needs it
    _zero(ReconciliationMetrics(registry).differences, "kind", Difference)


def _scarmiglione(registry: CollectorRegistry) -> None:
    _zero(SlotMetrics(registry).pods, "phase", Phase)
    stations = StationMetrics(registry, health=Health)
    stations.show([Health.OK])
    for reason in SlotEventReason:
        stations.events.labels(reason=reason.value)


_FILL = {
    "extender": _extender,
    "webhook": _webhook,
    "controller": _controller,
    "insight": _insight,
    "malacoda": _malacoda,
    "rubicante": _rubicante,
    "scarmiglione": _scarmiglione,
}

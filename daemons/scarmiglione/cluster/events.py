"""Events on pods for their owners, and on the Node for its operator."""

from enum import StrEnum, unique

from daemons.scarmiglione.metrics import StationMetrics
from daemons.scarmiglione.slots.allocation import Rejection
from daemons.scarmiglione.slots.entry import Entry
from k40s.kube.events import EventWriter
from k40s.kube.records import ObjectRef
from k40s.node_agent.object_events import ObjectEvents
from k40s.node_api.bodies import PodRef
from k40s.units import MonotonicClock

COMPONENT = "k40s-scarmiglione"


@unique
class EventReason(StrEnum):
    """The event's reason: a closed set, also a metric's label."""

    APPLIED = "SlotsApplied"
    FAILED = "SlotsFailed"
    WITHDRAWN = "SlotsWithdrawn"
    UNREPAIRED = "SlotsIncomplete"
    UNHEALTHY = "NetworkUnhealthy"
    DRIFT = "SlotDrift"
    CLOCK_STEPPED = "ClockStepped"
    CONFLICT = "SlotTableConflict"


class _Counts:
    def __init__(self, metrics: StationMetrics) -> None:
        self._metrics = metrics
        for reason in EventReason:
            metrics.events.labels(reason=reason.value)

    def written(self, reason: str) -> None:
        self._metrics.events.labels(reason=reason).inc()

    def dropped(self) -> None:
        self._metrics.events_dropped.inc()


class Events:
    """``send`` calls the API server; all other methods never wait. Implements ``SlotReports``."""

    def __init__(
        self, *, node: str, writer: EventWriter, metrics: StationMetrics, clock: MonotonicClock
    ) -> None:
        """``clock`` is monotonic, in seconds."""
        self._node = node
        self._events: ObjectEvents[EventReason] = ObjectEvents(
            writer=writer, component=COMPONENT, counts=_Counts(metrics), clock=clock
        )

    def applied(self, entry: Entry) -> None:
        """A pod's slots were set up."""
        text = ", ".join(
            f"{slot.network} at {slot.interface}: {slot.channel.kind.value} {slot.channel.number}"
            for slot in entry.slots
        )
        self._on_pod(entry.pod, EventReason.APPLIED, f"slots set up on {text}", warning=False)

    def failed(self, pod: PodRef, rejection: Rejection) -> None:
        """A pod's slots were not set up."""
        detail = f" ({rejection.detail})" if rejection.detail else ""
        self._on_pod(pod, EventReason.FAILED, f"{rejection.reason.text}{detail}")

    def withdrawn(self, entry: Entry, cause: str) -> None:
        """A pod's slots are taken back although the pod may still run."""
        text = {
            "unreserved": "its Network's status no longer holds its slots",
            "unconfirmed": "no Network's status holds its slots",
        }.get(cause, "another program uses its channels")
        self._on_pod(entry.pod, EventReason.WITHDRAWN, f"slots taken back: {text}")

    def unrepaired(self, entry: Entry, text: str) -> None:
        """A pod's slots are not in the kernel, or not whole."""
        self._on_pod(entry.pod, EventReason.UNREPAIRED, f"slots are not in force: {text}")

    def on_node(self, reason: EventReason, text: str) -> None:
        """An event on the Node; urgent."""
        about = ObjectRef(kind="Node", namespace="", name=self._node, uid=self._node)
        self._events.add(about, reason, text, urgent=True)

    def send(self) -> None:
        """Write what waits, within the limits; all of it waits while the API server is away."""
        self._events.send()

    def _on_pod(self, pod: PodRef, reason: EventReason, text: str, *, warning: bool = True) -> None:
        about = ObjectRef(kind="Pod", namespace=pod.namespace, name=pod.name, uid=pod.uid)
        self._events.add(about, reason, text, urgent=False, warning=warning)

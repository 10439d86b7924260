"""Events on pods for their owners, those of HI pods first, and on the Node for its operator."""

from enum import StrEnum, unique

from daemons.rubicante.metrics import FeedbackMetrics
from k40s.criticality import Criticality
from k40s.kube.events import EventWriter
from k40s.kube.records import ObjectRef
from k40s.node_agent.object_events import ObjectEvents
from k40s.node_api.messages import PodRef
from k40s.units import MonotonicClock

COMPONENT = "k40s-rubicante"


@unique
class EventReason(StrEnum):
    """The event's reason: a closed set, also a metric's label."""

    OVERRUN = "Overrun"
    NOT_ENFORCED = "EnforcementFailed"
    NO_THREAD = "TaskWithoutThread"
    STAND_IN = "MainThreadStandsIn"
    NOT_FOUND = "CgroupNotFound"
    OUT_OF_REACH = "TaskOutOfReach"
    NOT_RUNNING = "TaskNotRunning"
    NOT_RESERVED = "ReservationMissing"
    GIVEN_BACK = "ReservationGivenBack"
    NOT_ADMITTED = "NotAdmitted"
    MOVED_IN_A_JOB = "MovedInAJob"
    GRANT_DIFFERS = "GrantDiffers"
    ENFORCED_LATE = "EnforcedLate"
    TIMER_LOST = "BudgetTimerLost"


class _Counts:
    def __init__(self, metrics: FeedbackMetrics) -> None:
        self._metrics = metrics
        for reason in EventReason:
            metrics.events.labels(reason=reason.value)

    def written(self, reason: str) -> None:
        self._metrics.events.labels(reason=reason).inc()

    def dropped(self) -> None:
        self._metrics.events_dropped.inc()


class PodEvents:
    """``add`` never waits and may be called under any lock; ``send`` calls the API server."""

    def __init__(
        self,
        *,
        node: str,
        writer: EventWriter,
        metrics: FeedbackMetrics,
        clock: MonotonicClock,
    ) -> None:
        """``clock`` is monotonic, in seconds."""
        self._node = ObjectRef(kind="Node", namespace="", name=node, uid=node)
        self._events: ObjectEvents[EventReason] = ObjectEvents(
            writer=writer, component=COMPONENT, counts=_Counts(metrics), clock=clock
        )

    def add(self, pod: PodRef, reason: EventReason, text: str, *, criticality: Criticality) -> bool:
        """Queue an event, unless one of its reason was reported lately; whether it was queued."""
        about = ObjectRef(kind="Pod", namespace=pod.namespace, name=pod.name, uid=pod.uid)
        return self._events.add(about, reason, text, urgent=criticality is Criticality.HI)

    def add_node(self, reason: EventReason, text: str) -> bool:
        """The same about the Node; urgent."""
        return self._events.add(self._node, reason, text, urgent=True)

    def send(self) -> None:
        """Write what waits, within the limits; all of it waits while the API server is away."""
        self._events.send()

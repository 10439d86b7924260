"""Events about suspects, on the Node and on their pods: bounded in number, written by one loop."""

import threading
from enum import StrEnum, unique

from daemons.malacoda.culprit.metrics import CulpritMetrics
from k40s.kube.event_queue import EventLimits, EventQueue
from k40s.kube.events import EventWriter, RepeatLimit
from k40s.kube.records import ObjectRef
from k40s.node_agent.backoff import Backoff
from k40s.units import NS_PER_S, Clock, Nanoseconds

COMPONENT = "k40s-malacoda"
_INTERVAL = Nanoseconds(600 * NS_PER_S)
_CAPACITY = 256
_WAITING = 16
_PER_MINUTE = 10


@unique
class EventReason(StrEnum):
    """The event's reason: a closed set, also a metric's label."""

    SUSPECT_NAMED = "SuspectNamed"
    NO_SUSPECT_NAMED = "NoSuspectNamed"
    HARM_REPORTED = "HarmReported"
    METRIC_UNREADABLE = "MetricUnreadable"
    SUSPECT_THROTTLED = "SuspectThrottled"
    SUSPECT_MOVED = "SuspectMoved"
    SUSPECT_FROZEN = "SuspectFrozen"
    SUSPECT_RELEASED = "SuspectReleased"
    EVICTION_ASKED = "SuspectEvictionAsked"
    SUSPECT_KILLED = "SuspectKilled"
    RESPONSE_FAILED = "ResponseFailed"
    ACTUATOR_UNREACHABLE = "ActuatorUnreachable"


class CulpritEvents:
    """``add`` never waits; ``send`` calls the API server.

    Of one reason, object and ``subject`` there is one event in ten minutes, and no more than ten
    events a minute in all. Those held back are counted and reported with the next one. An event
    that has waited for ten minutes is dropped: its text speaks of the last seconds.
    """

    def __init__(
        self, *, writer: EventWriter, metrics: CulpritMetrics, backoff: Backoff, clock: Clock
    ) -> None:
        self._lock = threading.Lock()
        self._repeats: RepeatLimit[tuple[str, str, str]] = RepeatLimit(
            _INTERVAL, clock=clock, capacity=_CAPACITY
        )
        self._queue = EventQueue(
            component=COMPONENT,
            writer=writer,
            limits=EventLimits(waiting=_WAITING, per_minute=_PER_MINUTE, longest=_INTERVAL),
            backoff=backoff,
            clock=clock,
            on_written=lambda reason: metrics.events.labels(reason=reason).inc(),
            on_dropped=metrics.events_dropped.inc,
        )

    def add(self, about: ObjectRef, reason: EventReason, text: str, *, subject: str) -> None:
        """Queue an event, unless one like it was queued lately."""
        key = (about.uid, reason.value, subject)
        with self._lock:
            if not self._repeats.allows(key):
                self._repeats.hold_back(key)
                return
            number, past = self._repeats.held_back(key)
            if number:
                text = f"{text} ({number} more in the last {past / NS_PER_S:.0f} s)"
            if self._queue.put(about, reason.value, text):
                self._repeats.count(key)

    def send(self) -> None:
        """Write what waits, within the limits; all of it waits while the API server is away."""
        self._queue.send()

"""Events about suspects, on the Node and on their pods: bounded in number, written by one loop."""

import logging
import threading
from collections import deque
from enum import StrEnum, unique

from daemons.malacoda.metrics import CulpritMetrics
from k40s.errors import K40sError, UnavailableError
from k40s.kube.events import EventWriter, RateLimit, RepeatLimit
from k40s.kube.records import ObjectRef
from k40s.kube.transport import RefusedError
from k40s.node_agent.backoff import Backoff
from k40s.units import NS_PER_S, Clock, Nanoseconds

log = logging.getLogger(__name__)

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
    SUSPECT_FROZEN = "SuspectFrozen"
    SUSPECT_RELEASED = "SuspectReleased"
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
        self._writer = writer
        self._backoff = backoff
        self._metrics = metrics
        self._lock = threading.Lock()
        self._repeats: RepeatLimit[tuple[str, str, str]] = RepeatLimit(
            _INTERVAL, clock=clock, capacity=_CAPACITY
        )
        self._rate = RateLimit(_PER_MINUTE, clock=clock)
        self._clock = clock
        self._waiting: deque[tuple[int, ObjectRef, EventReason, str]] = deque()

    def add(self, about: ObjectRef, reason: EventReason, text: str, *, subject: str) -> None:
        """Queue an event, unless one like it was queued lately."""
        key = (about.uid, reason.value, subject)
        with self._lock:
            if not self._repeats.allows(key):
                self._repeats.hold_back(key)
                return
            if len(self._waiting) >= _WAITING:
                self._metrics.events_dropped.inc()
                return
            number, past = self._repeats.held_back(key)
            if number:
                text = f"{text} ({number} more in the last {past / NS_PER_S:.0f} s)"
            self._repeats.count(key)
            self._waiting.append((self._clock(), about, reason, text))

    def send(self) -> None:
        """Write what waits, within the limits; all of it waits while the API server is away."""
        while self._waiting and self._clock() - self._waiting[0][0] >= _INTERVAL:
            log.warning("event dropped", extra={"on": self._waiting[0][1].name, "cause": "too old"})
            self._metrics.events_dropped.inc()
            self._waiting.popleft()
        while self._waiting and self._rate.allows() and not self._backoff.active:
            _, about, reason, text = self._waiting[0]
            try:
                self._writer.create_event(
                    about, reason=reason.value, message=text, component=COMPONENT, warning=True
                )
            except RefusedError as error:  # a namespace that ends, or the like: no use repeating
                self._drop(about, error)
            except UnavailableError as error:
                self._backoff.failed("event not written", error)
                return
            except K40sError as error:  # the namespace is gone
                self._drop(about, error)
            else:
                self._backoff.succeeded()
                self._metrics.events.labels(reason=reason.value).inc()
                self._rate.count()
            self._waiting.popleft()

    def _drop(self, about: ObjectRef, error: K40sError) -> None:
        log.warning("event dropped", extra={"on": about.name, "cause": str(error)})
        self._metrics.events_dropped.inc()

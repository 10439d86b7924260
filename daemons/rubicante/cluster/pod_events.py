"""Events on pods for their owners: bounded in number, with the evidence in the text.

An API server is not a log: of one reason there is one event for a pod in ten minutes, and no more
than thirty a minute in all. Those held back are counted and reported with the next one. Events
about HI pods go first, and the others have only a part of every limit, so that no number of
failures of LOW pods silences those of HI pods.
"""

import logging
import threading
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum, unique

from daemons.rubicante.metrics import FeedbackMetrics
from k40s.criticality import Criticality
from k40s.errors import K40sError, UnavailableError
from k40s.kube.events import EventWriter, RateLimit, RepeatLimit
from k40s.kube.records import ObjectRef
from k40s.node_api.messages import PodRef
from k40s.units import NS_PER_S, MonotonicClock, Nanoseconds

log = logging.getLogger(__name__)

COMPONENT = "k40s-rubicante"
_INTERVAL = Nanoseconds(600 * NS_PER_S)
_CAPACITY = 1024
_WAITING = 64
_PER_MINUTE = 30
_PER_MINUTE_BELOW_HI = 20


@unique
class EventReason(StrEnum):
    """The event's reason: a closed set, also a metric's label."""

    OVERRUN = "Overrun"
    NOT_ENFORCED = "EnforcementFailed"
    NO_THREAD = "TaskWithoutThread"
    STAND_IN = "MainThreadStandsIn"
    NOT_FOUND = "CgroupNotFound"
    NOT_RUNNING = "TaskNotRunning"
    NOT_RESERVED = "ReservationMissing"
    GIVEN_BACK = "ReservationGivenBack"
    NOT_ADMITTED = "NotAdmitted"
    GRANT_DIFFERS = "GrantDiffers"


@dataclass(slots=True)
class _Queue:
    """Events of HI pods, or of all others: reported lately, and waiting."""

    repeats: RepeatLimit[tuple[str, EventReason]]
    waiting: deque[tuple[PodRef, EventReason, str]] = field(default_factory=deque)


class PodEvents:
    """``add`` never waits and may be called under any lock; ``send`` calls the API server."""

    def __init__(
        self,
        *,
        writer: EventWriter,
        metrics: FeedbackMetrics,
        clock: MonotonicClock,
    ) -> None:
        """``clock`` is monotonic, in seconds."""

        def nanoseconds() -> int:
            return round(clock() * NS_PER_S)

        self._writer = writer
        self._metrics = metrics
        self._lock = threading.Lock()
        self._hi, self._others = (
            _Queue(RepeatLimit(_INTERVAL, clock=nanoseconds, capacity=_CAPACITY)) for _ in range(2)
        )
        self._rate = RateLimit(_PER_MINUTE, clock=nanoseconds)
        self._rate_below_hi = RateLimit(_PER_MINUTE_BELOW_HI, clock=nanoseconds)

    def add(self, pod: PodRef, reason: EventReason, text: str, *, criticality: Criticality) -> bool:
        """Queue an event, unless one of its reason was reported lately; whether it was queued."""
        with self._lock:
            queue = self._hi if criticality is Criticality.HI else self._others
            return self._add(queue, pod, reason, text)

    def _add(self, queue: _Queue, pod: PodRef, reason: EventReason, text: str) -> bool:
        key = (pod.uid, reason)
        if not queue.repeats.allows(key):
            queue.repeats.hold_back(key)
            return False
        if len(queue.waiting) >= _WAITING:
            self._metrics.events_dropped.inc()
            return False
        number, past = queue.repeats.held_back(key)
        if number:
            text = f"{text} ({number} more in the last {past / NS_PER_S:.0f} s)"
        queue.repeats.count(key)
        queue.waiting.append((pod, reason, text))
        return True

    def send(self) -> None:
        """Write what waits, within the limits; all of it waits while the API server is away."""
        while (queue := self._next_queue()) is not None:
            pod, reason, text = queue.waiting[0]
            about = ObjectRef(kind="Pod", namespace=pod.namespace, name=pod.name, uid=pod.uid)
            try:
                self._writer.create_event(
                    about, reason=reason.value, message=text, component=COMPONENT, warning=True
                )
            except UnavailableError as error:
                log.warning("event not written", extra={"pod": pod.uid, "cause": str(error)})
                return
            except K40sError as error:  # the namespace is gone, or the like: no use repeating
                log.info("event dropped", extra={"pod": pod.uid, "cause": str(error)})
                self._metrics.events_dropped.inc()
            else:
                self._metrics.events.labels(reason=reason.value).inc()
                self._rate.count()
                if queue is self._others:
                    self._rate_below_hi.count()
            queue.waiting.popleft()

    def _next_queue(self) -> _Queue | None:
        if not self._rate.allows():
            return None
        if self._hi.waiting:
            return self._hi
        return self._others if self._others.waiting and self._rate_below_hi.allows() else None

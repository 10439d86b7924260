"""Events about moves, on pods, owners and Nodes: bounded in number, written by one loop."""

import logging
import threading
from collections import deque

from controller.metrics import ControllerMetrics, EventReason
from k40s.errors import K40sError, UnavailableError
from k40s.kube.events import EventWriter, RateLimit, RepeatLimit
from k40s.kube.records import ObjectRef
from k40s.kube.transport import RefusedError
from k40s.node_agent.backoff import Backoff
from k40s.units import NS_PER_S, Clock, Nanoseconds

log = logging.getLogger(__name__)

COMPONENT = "k40s-controller"
_INTERVAL = Nanoseconds(600 * NS_PER_S)
_CAPACITY = 32_768
"""Objects; with fewer than a cluster has, events about forgotten ones would be repeated."""
_WAITING = 256
_PER_MINUTE = 60
_NORMAL = (EventReason.STARTED, EventReason.MIGRATED, EventReason.PLANNED)


class MigrationEvents:
    """``add`` never waits; ``send`` calls the API server.

    Of one reason, object and ``subject`` there is one event in ten minutes, and no more than sixty
    events a minute in all. What waits is lost when the process ends: the log has it.
    """

    def __init__(
        self, *, writer: EventWriter, metrics: ControllerMetrics, backoff: Backoff, clock: Clock
    ) -> None:
        self._writer = writer
        self._metrics = metrics
        self._backoff = backoff
        self._lock = threading.Lock()
        self._repeats: RepeatLimit[tuple[str, str, str]] = RepeatLimit(
            _INTERVAL, clock=clock, capacity=_CAPACITY
        )
        self._rate = RateLimit(_PER_MINUTE, clock=clock)
        self._waiting: deque[tuple[ObjectRef, EventReason, str]] = deque()

    def add(self, reason: EventReason, text: str, *about: ObjectRef, subject: str = "") -> bool:
        """Queue the event on each object; False when one like it was queued lately."""
        added = False
        with self._lock:
            for one in about:
                key = (one.uid, reason.value, subject)
                if not self._repeats.allows(key):
                    continue
                self._repeats.count(key)
                added = True
                if len(self._waiting) >= _WAITING:
                    self._metrics.events_dropped.inc()
                else:
                    self._waiting.append((one, reason, text))
        return added

    def send(self) -> None:
        """Write what waits, within the limits; all of it waits while the API server is away."""
        while self._waiting and self._rate.allows() and not self._backoff.active:
            about, reason, text = self._waiting[0]
            try:
                self._writer.create_event(
                    about,
                    reason=reason.value,
                    message=text,
                    component=COMPONENT,
                    warning=reason not in _NORMAL,
                )
            except RefusedError as error:  # a namespace that ends: no use repeating
                self._drop(about, error)
            except UnavailableError as error:
                self._backoff.failed("event not written", error)
                return
            except K40sError as error:  # the namespace is gone
                self._drop(about, error)
            else:
                self._backoff.succeeded()
                self._metrics.events[reason].inc()
                self._rate.count()
            self._waiting.popleft()

    def _drop(self, about: ObjectRef, error: K40sError) -> None:
        log.warning("event dropped", extra={"on": about.name, "cause": str(error)})
        self._metrics.events_dropped.inc()

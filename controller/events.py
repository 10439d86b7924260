"""Events on pods, owners and Nodes: bounded in number, written by one loop."""

import threading

from controller.metrics import ControllerMetrics, EventReason
from k40s.kube.event_queue import EventLimits, EventQueue
from k40s.kube.events import EventWriter, RepeatLimit
from k40s.kube.records import ObjectRef
from k40s.node_agent.backoff import Backoff
from k40s.units import NS_PER_S, Clock, Nanoseconds

COMPONENT = "k40s-controller"
_INTERVAL = Nanoseconds(600 * NS_PER_S)
_CAPACITY = 32_768
"""Objects; with fewer than a cluster has, events about forgotten ones would be repeated."""
_WAITING = 256
_PER_MINUTE = 60
_NORMAL = (
    EventReason.STARTED,
    EventReason.MIGRATED,
    EventReason.PLANNED,
    EventReason.PREEMPTS,
    EventReason.PREEMPTION_PLANNED,
)


class ControllerEvents:
    """``add`` never waits; ``send`` calls the API server.

    Of one reason, object and ``subject`` there is one event in ten minutes, and no more than sixty
    events a minute in all. What waits is lost when the process ends: the log has it.
    """

    def __init__(
        self, *, writer: EventWriter, metrics: ControllerMetrics, backoff: Backoff, clock: Clock
    ) -> None:
        self._lock = threading.Lock()
        self._repeats: RepeatLimit[tuple[str, str, str]] = RepeatLimit(
            _INTERVAL, clock=clock, capacity=_CAPACITY
        )
        self._queue = EventQueue(
            component=COMPONENT,
            writer=writer,
            limits=EventLimits(waiting=_WAITING, per_minute=_PER_MINUTE),
            backoff=backoff,
            clock=clock,
            on_written=lambda reason: metrics.events[EventReason(reason)].inc(),
            on_dropped=metrics.events_dropped.inc,
        )

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
                self._queue.put(one, reason.value, text, warning=reason not in _NORMAL)
        return added

    def send(self) -> None:
        """Write what waits, within the limits; all of it waits while the API server is away."""
        self._queue.send()

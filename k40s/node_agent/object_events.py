"""Events on Pods and Nodes: bounded in number, with the evidence in the text.

An API server is not a log: of one reason there is one event for an object in ten minutes, and no
more than thirty a minute in all. Those held back are counted and reported with the next one. Urgent
events go first, and the others have only a part of every limit, so that no number of failures of
LOW pods silences those of HI pods.
"""

import logging
import threading
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, Protocol, TypeVar

from k40s.errors import K40sError, UnavailableError
from k40s.kube.events import EventWriter, RateLimit, RepeatLimit
from k40s.kube.records import ObjectRef
from k40s.units import NS_PER_S, MonotonicClock, Nanoseconds

log = logging.getLogger(__name__)

_INTERVAL = Nanoseconds(600 * NS_PER_S)
_CAPACITY = 1024
_WAITING = 64
_PER_MINUTE = 30
_PER_MINUTE_NOT_URGENT = 20

R = TypeVar("R", bound=StrEnum)


class EventCounts(Protocol):
    """Counts events, as metrics."""

    def written(self, reason: str) -> None:
        """One was written."""

    def dropped(self) -> None:
        """One was not written: too many, or its object is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Event(Generic[R]):
    about: ObjectRef
    reason: R
    text: str
    warning: bool


@dataclass(slots=True)
class _Queue(Generic[R]):
    """Urgent events, or all others: reported lately, and waiting."""

    repeats: RepeatLimit[tuple[str, R]]
    waiting: deque[_Event[R]] = field(default_factory=deque)


class ObjectEvents(Generic[R]):
    """``add`` never waits and may be called under any lock; ``send`` calls the API server."""

    def __init__(
        self, *, writer: EventWriter, component: str, counts: EventCounts, clock: MonotonicClock
    ) -> None:
        """``clock`` is monotonic, in seconds."""

        def nanoseconds() -> int:
            return round(clock() * NS_PER_S)

        self._writer = writer
        self._component = component
        self._counts = counts
        self._lock = threading.Lock()
        self._urgent: _Queue[R] = _Queue(
            RepeatLimit(_INTERVAL, clock=nanoseconds, capacity=_CAPACITY)
        )
        self._others: _Queue[R] = _Queue(
            RepeatLimit(_INTERVAL, clock=nanoseconds, capacity=_CAPACITY)
        )
        self._rate = RateLimit(_PER_MINUTE, clock=nanoseconds)
        self._rate_not_urgent = RateLimit(_PER_MINUTE_NOT_URGENT, clock=nanoseconds)

    def add(
        self, about: ObjectRef, reason: R, text: str, *, urgent: bool, warning: bool = True
    ) -> bool:
        """Queue an event, unless one of its reason was reported lately; whether it was queued."""
        with self._lock:
            queue = self._urgent if urgent else self._others
            return self._add(queue, about, reason, text, warning=warning)

    def _add(
        self, queue: _Queue[R], about: ObjectRef, reason: R, text: str, *, warning: bool
    ) -> bool:
        key = (about.uid, reason)
        if not queue.repeats.allows(key):
            queue.repeats.hold_back(key)
            return False
        if len(queue.waiting) >= _WAITING:
            self._counts.dropped()
            return False
        number, past = queue.repeats.held_back(key)
        if number:
            text = f"{text} ({number} more in the last {past / NS_PER_S:.0f} s)"
        queue.repeats.count(key)
        queue.waiting.append(_Event(about=about, reason=reason, text=text, warning=warning))
        return True

    def send(self) -> None:
        """Write what waits, within the limits; all of it waits while the API server is away."""
        while (queue := self._next_queue()) is not None:
            event = queue.waiting[0]
            about = event.about
            try:
                self._writer.create_event(
                    about,
                    reason=event.reason.value,
                    message=event.text,
                    component=self._component,
                    warning=event.warning,
                )
            except UnavailableError as error:
                log.warning("event not written", extra={"object": about.uid, "cause": str(error)})
                return
            except K40sError as error:  # the namespace is gone, or the like: no use repeating
                log.info("event dropped", extra={"object": about.uid, "cause": str(error)})
                self._counts.dropped()
            else:
                self._counts.written(event.reason.value)
                self._rate.count()
                if queue is self._others:
                    self._rate_not_urgent.count()
            queue.waiting.popleft()

    def _next_queue(self) -> _Queue[R] | None:
        if not self._rate.allows():
            return None
        if self._urgent.waiting:
            return self._urgent
        return self._others if self._others.waiting and self._rate_not_urgent.allows() else None

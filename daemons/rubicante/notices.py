"""What the owner of a pod should know, as events on the pod: few, with the evidence, and bounded.

An API server is not a log: of one kind there is one event for a pod in ten minutes, and no more
than thirty a minute in all. What is held back is counted and told with the next one.
"""

import logging
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Protocol

from daemons.rubicante.metrics import FeedbackMetrics
from k40s.errors import K40sError, UnavailableError
from k40s.node_api import PodRef
from k40s.runtime.records import ObjectRef

log = logging.getLogger(__name__)

COMPONENT = "k40s-rubicante"
_APART_SECONDS = 600.0
_REMEMBERED = 1024
_WAITING = 64
_PER_MINUTE = 30
_MINUTE = 60.0


@unique
class Notice(StrEnum):
    """The event's reason: a closed set, also a metric's label."""

    OVERRUN = "Overrun"
    NOT_ENFORCED = "EnforcementFailed"
    NO_THREAD = "TaskWithoutThread"
    NOT_RESERVED = "ReservationMissing"


class EventWriter(Protocol):
    """Where events go."""

    def create_event(
        self,
        about: ObjectRef,
        *,
        reason: str,
        message: str,
        component: str,
        warning: bool = False,
    ) -> None:
        """Write it. Raises ``UnavailableError``."""
        ...


@dataclass(slots=True)
class _Told:
    at: float
    held_back: int = 0


class Notices:
    """``tell`` never waits and may be called under any lock; ``send`` talks to the API server."""

    def __init__(
        self,
        *,
        writer: EventWriter,
        metrics: FeedbackMetrics,
        clock: Callable[[], float],
    ) -> None:
        self._writer = writer
        self._metrics = metrics
        self._clock = clock
        self._lock = threading.Lock()
        self._told: OrderedDict[tuple[str, Notice], _Told] = OrderedDict()
        self._waiting: deque[tuple[PodRef, Notice, str]] = deque()
        self._sent: deque[float] = deque(maxlen=_PER_MINUTE)

    def tell(self, pod: PodRef, notice: Notice, text: str) -> bool:
        """Queue an event, unless one of its kind was told lately; returns whether it was queued."""
        with self._lock:
            return self._tell(pod, notice, text)

    def _tell(self, pod: PodRef, notice: Notice, text: str) -> bool:
        key, now = (pod.uid, notice), self._clock()
        told = self._told.get(key)
        if told is not None and now - told.at < _APART_SECONDS:
            told.held_back += 1
            return False
        if len(self._waiting) >= _WAITING:
            self._metrics.events_dropped.inc()
            return False
        if told is not None and told.held_back:
            text = f"{text} ({told.held_back} more in the last {now - told.at:.0f} s)"
        self._told[key] = _Told(at=now)
        self._told.move_to_end(key)
        while len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)
        self._waiting.append((pod, notice, text))
        return True

    def send(self) -> None:
        """Write what waits, as far as the limit allows; while the API server is away it waits."""
        while self._waiting and self._may_send():
            pod, notice, text = self._waiting[0]
            about = ObjectRef(kind="Pod", namespace=pod.namespace, name=pod.name, uid=pod.uid)
            try:
                self._writer.create_event(
                    about, reason=notice.value, message=text, component=COMPONENT, warning=True
                )
            except UnavailableError as error:
                log.warning("event not written", extra={"pod": pod.uid, "cause": str(error)})
                return
            except K40sError as error:  # the namespace is gone, or the like: no use repeating
                log.info("event dropped", extra={"pod": pod.uid, "cause": str(error)})
                self._metrics.events_dropped.inc()
            else:
                self._metrics.events.labels(reason=notice.value).inc()
                self._sent.append(self._clock())
            self._waiting.popleft()

    def _may_send(self) -> bool:
        full = len(self._sent) == _PER_MINUTE
        return not full or self._clock() - self._sent[0] >= _MINUTE

"""Events that wait to be written: bounded in number, written by one loop."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from k40s.errors import K40sError, UnavailableError
from k40s.kube.events import EventWriter, RateLimit
from k40s.kube.records import ObjectRef
from k40s.kube.transport import RefusedError
from k40s.units import Clock, Nanoseconds

log = logging.getLogger(__name__)


class Pause(Protocol):
    """Whether the API server must be left alone; implemented by ``Backoff``."""

    @property
    def active(self) -> bool:
        """Whether it must not be called now."""
        ...

    def failed(self, text: str, error: UnavailableError) -> None:
        """Begin a pause."""
        ...

    def succeeded(self) -> None:
        """The API server has answered."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EventLimits:
    """``waiting`` events at most wait, and ``per_minute`` are written in any minute.

    One that has waited for ``longest`` is dropped; None lets all wait.
    """

    waiting: int
    per_minute: int
    longest: Nanoseconds | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    since: int
    about: ObjectRef
    reason: str
    text: str
    warning: bool


class EventQueue:
    """``put`` never waits; ``send`` calls the API server.

    ``on_written`` hears the reason of each event that was written, ``on_dropped`` of each that
    never will be. What waits is lost when the process ends.
    """

    def __init__(
        self,
        *,
        component: str,
        writer: EventWriter,
        limits: EventLimits,
        backoff: Pause,
        clock: Clock,
        on_written: Callable[[str], object],
        on_dropped: Callable[[], object],
    ) -> None:
        self._component = component
        self._writer = writer
        self._limits = limits
        self._backoff = backoff
        self._clock = clock
        self._on_written = on_written
        self._on_dropped = on_dropped
        self._rate = RateLimit(limits.per_minute, clock=clock)
        self._lock = threading.Lock()
        self._waiting: deque[_Waiting] = deque()

    def put(self, about: ObjectRef, reason: str, text: str, *, warning: bool = True) -> bool:
        """Queue an event; False where it is dropped, because as many wait as may."""
        one = _Waiting(since=self._clock(), about=about, reason=reason, text=text, warning=warning)
        with self._lock:
            if len(self._waiting) < self._limits.waiting:
                self._waiting.append(one)
                return True
        self._on_dropped()
        return False

    def send(self) -> None:
        """Write what waits, within the limits; all of it waits while the API server is away."""
        while self._waiting and self._is_too_old(self._waiting[0]):
            self._drop(self._waiting.popleft(), "too old")
        while self._waiting and self._rate.allows() and not self._backoff.active:
            one = self._waiting[0]
            try:
                self._write(one)
            except RefusedError as error:  # a namespace that ends, or the like: no use repeating
                self._drop(one, str(error))
            except UnavailableError as error:
                self._backoff.failed("event not written", error)
                return
            except K40sError as error:  # the namespace is gone
                self._drop(one, str(error))
            else:
                self._backoff.succeeded()
                self._on_written(one.reason)
                self._rate.count()
            self._waiting.popleft()

    def _is_too_old(self, one: _Waiting) -> bool:
        longest = self._limits.longest
        return longest is not None and self._clock() - one.since >= longest

    def _write(self, one: _Waiting) -> None:
        self._writer.create_event(
            one.about,
            reason=one.reason,
            message=one.text,
            component=self._component,
            warning=one.warning,
        )

    def _drop(self, one: _Waiting, cause: str) -> None:
        log.warning("event dropped", extra={"on": one.about.name, "cause": cause})
        self._on_dropped()

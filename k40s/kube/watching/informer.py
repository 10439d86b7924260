"""List-watch loop that feeds a cache.

An interrupted watch resumes where it ended. A version that is too old (410) lists again. Whatever
fails is retried with a growing, jittered pause.

An object that cannot be read completely stops nothing: it is counted each time, and logged once
for each set of bad fields.
"""

import logging
import random
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from k40s.errors import UnavailableError
from k40s.kube.list_watch import (
    Change,
    GoneError,
    Keyed,
    Listing,
    Unreadable,
    WatchEvent,
    WatchSource,
)
from k40s.kube.watching.feed import Handler
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds

R = TypeVar("R", bound=Keyed)

_log = logging.getLogger(__name__)
_MAX_LOGGED = 1024
"""Unreadable objects that are kept as logged, at most."""
_MAX_WATCH_FAILURES = 5
"""Failed watches in a row after which the informer lists again, in case the version is bad."""


class Informer(Generic[R]):
    """Feeds one handler from one source. Start it once; ``synchronized`` is set after a list."""

    def __init__(
        self,
        *,
        name: str,
        source: WatchSource[R],
        handler: Handler[R],
        stop: threading.Event,
        on_error: Callable[[], None] = lambda: None,
        on_unreadable: Callable[[], None] = lambda: None,
        pause: Nanoseconds = Nanoseconds(100 * NS_PER_MS),
        longest_pause: Nanoseconds = Nanoseconds(10 * NS_PER_S),
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.name = name
        self.synchronized = threading.Event()
        self._source = source
        self._handler = handler
        self._stop = stop
        self._on_error = on_error
        self._on_unreadable = on_unreadable
        self._logged: OrderedDict[tuple[str, tuple[str, ...]], None] = OrderedDict()
        self._pause = pause
        self._longest_pause = longest_pause
        self._jitter = jitter
        self._failures = 0

    def start(self) -> threading.Thread:
        """Run in a daemon thread, which ends soon after ``stop`` is set."""
        thread = threading.Thread(target=self.run, name=f"informer-{self.name}", daemon=True)
        thread.start()
        return thread

    def run(self) -> None:
        """List and watch until ``stop``."""
        while not self._stop.is_set():
            try:
                self._watch(self._list())
            except GoneError as error:
                _log.info("listing again", extra={"informer": self.name, "cause": str(error)})
                self._wait()
            except UnavailableError as error:
                self._report(error)
                self._wait()
            except Exception:  # noqa: BLE001  # the thread must survive a handler's error
                _log.exception("informer failed", extra={"informer": self.name})
                self._on_error()
                self._wait()

    def _list(self) -> str:
        listing = self._source.list()
        self._apply_list(listing)
        self.synchronized.set()
        _log.info("objects listed", extra={"informer": self.name, "records": len(listing.records)})
        return listing.resource_version

    def _watch(self, version: str) -> None:
        """Watch from ``version``; returns when the informer has to list again, or is stopped."""
        failed = 0
        while not self._stop.is_set() and failed < _MAX_WATCH_FAILURES:
            before = version
            try:
                for event in self._source.watch(version):
                    self._apply(event)
                    version = event.resource_version or version
                    self._failures = 0
                    if self._stop.is_set():
                        return
            except UnavailableError as error:
                self._report(error)
                failed = failed + 1 if version == before else 0
                self._wait()
                continue
            if version == before:  # an idle stream has ended: watch again, but never in a hot loop
                self._stop.wait(self._pause / NS_PER_S)

    def _apply_list(self, listing: Listing[R]) -> None:
        for one in listing.unreadable:
            self._report_unreadable(one)
        if listing.is_complete:
            self._handler.replace(listing.records)
        else:
            self._handler.merge(listing.records)

    def _apply(self, event: WatchEvent[R]) -> None:
        if event.unreadable is not None:
            self._report_unreadable(event.unreadable)
        if event.record is None:
            return
        if event.change is Change.DELETE:
            self._handler.delete(event.record.key)
        else:
            self._handler.upsert(event.record)

    def _report_unreadable(self, one: Unreadable) -> None:
        self._on_unreadable()
        about = (one.name, one.fields)
        known = about in self._logged
        self._logged[about] = None
        self._logged.move_to_end(about)
        if len(self._logged) > _MAX_LOGGED:
            self._logged.popitem(last=False)
        if not known:
            extra = {"informer": self.name, "object": one.name, "cause": one.cause}
            _log.warning("object not understood", extra=extra)

    def _report(self, error: UnavailableError) -> None:
        self._on_error()
        _log.warning("watch interrupted", extra={"informer": self.name, "cause": str(error)})

    def _wait(self) -> None:
        """Exponential back-off from ``pause``, half of it random, so that replicas spread."""
        whole = min(self._pause << min(self._failures, 20), self._longest_pause)
        self._failures += 1
        self._stop.wait(whole * (1 + self._jitter()) / 2 / NS_PER_S)

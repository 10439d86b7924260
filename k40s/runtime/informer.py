"""A cache's feed: list, then watch, for ever.

An interrupted watch resumes where it ended. A version that is too old (410) or an answer that
cannot be read lists again. Whatever fails is retried with a growing, jittered pause.
"""

import logging
import random
import threading
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from k40s.errors import UnavailableError
from k40s.runtime.watching import Change, GoneError, Keyed, WatchSource
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds

R = TypeVar("R", bound=Keyed)
R_contra = TypeVar("R_contra", bound=Keyed, contravariant=True)

_log = logging.getLogger(__name__)
_LIKE_A_LIST_ERROR = 5
"""Watches that fail in a row before the informer lists again, in case the version is at fault."""


class Handler(Protocol[R_contra]):
    """What is told of changes, in the informer's thread, one at a time."""

    def replace(self, records: Sequence[R_contra]) -> None:
        """These are all: whatever is not among them is gone."""

    def upsert(self, record: R_contra) -> None:
        """This one is new or has changed."""

    def delete(self, key: str) -> None:
        """The record with this ``key`` is gone."""


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
                self._follow(self._list())
            except GoneError:
                _log.info("listing again", extra={"informer": self.name, "cause": "410 Gone"})
                self._wait()
            except UnavailableError as error:
                self._report(error)
                self._wait()
            except Exception:  # noqa: BLE001  # the thread must outlive a handler's mistake
                _log.exception("informer failed", extra={"informer": self.name})
                self._on_error()
                self._wait()

    def _list(self) -> str:
        listing = self._source.list()
        self._handler.replace(listing.records)
        self.synchronized.set()
        _log.info("listed", extra={"informer": self.name, "records": len(listing.records)})
        return listing.resource_version

    def _follow(self, version: str) -> None:
        """Watch on from ``version``; returns only when it is better to list again, or stopped."""
        silent = 0
        while not self._stop.is_set() and silent < _LIKE_A_LIST_ERROR:
            before = version
            try:
                for event in self._source.watch(version):
                    if event.record is not None:
                        self._apply(event.change, event.record)
                    version = event.resource_version
                    self._failures = 0
                    if self._stop.is_set():
                        return
            except UnavailableError as error:
                self._report(error)
                silent = silent + 1 if version == before else 0
                self._wait()
                continue
            if version == before:  # an idle stream ended in peace: go on, but never in a hot loop
                self._stop.wait(self._pause / NS_PER_S)

    def _apply(self, change: Change, record: R) -> None:
        if change is Change.DELETE:
            self._handler.delete(record.key)
        else:
            self._handler.upsert(record)

    def _report(self, error: UnavailableError) -> None:
        self._on_error()
        _log.warning("watch interrupted", extra={"informer": self.name, "cause": str(error)})

    def _wait(self) -> None:
        """Pause 1, 2, 4, … times ``pause``, half of it at random, so that replicas spread."""
        whole = min(self._pause << min(self._failures, 20), self._longest_pause)
        self._failures += 1
        self._stop.wait(whole * (1 + self._jitter()) / 2 / NS_PER_S)

"""The newest overview, built when something has changed and somebody looks."""

import threading
from collections.abc import Callable
from dataclasses import replace

from k40s.overview.model import Overview
from k40s.units import NS_PER_MS, NS_PER_S, Clock

Build = Callable[[], Overview]
"""Makes the overview of what is watched, as of now."""

_LEAST_AGE = 500 * NS_PER_MS
"""It is built at most twice a second."""
_MOST_AGE = 5 * NS_PER_S
"""It is built again even if nothing has changed: that a daemon is silent shows by time alone."""


class OverviewSource:
    """``current`` may be called by any thread; it builds at most one at a time."""

    def __init__(self, build: Build, *, clock: Clock) -> None:
        self._build = build
        self._clock = clock
        self._lock = threading.Lock()
        self._changed = True
        self._built = 0
        self._current: tuple[int, Overview] | None = None

    def mark(self) -> None:
        """Something that is watched has changed."""
        self._changed = True

    def current(self, *, fresh: bool = False) -> tuple[int, Overview]:
        """The overview, and its number: ones that differ in their time alone have the same.

        What has changed is in it after half a second, and its time is 5 s old at most; half a
        second where it is to be ``fresh``.
        """
        with self._lock:
            age = self._clock() - self._built
            wanted = age >= _MOST_AGE or ((self._changed or fresh) and age >= _LEAST_AGE)
            if self._current is None or wanted:
                self._changed = False
                self._current = self._next(self._build())
                self._built = self._clock()
            return self._current

    def _next(self, built: Overview) -> tuple[int, Overview]:
        if self._current is None:
            return 1, built
        number, former = self._current
        if replace(built, at=former.at) == former:
            return number, built
        return number + 1, built

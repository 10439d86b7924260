"""The enforcement loop: waits for cgroups and book changes, and has the enforcer look."""

from pathlib import Path

from daemons.rubicante.enforcement.enforcer import Enforcer
from daemons.rubicante.kernel.directory_watch import DirectoryWatch
from k40s.units import MonotonicClock

_STUCK_SECONDS = 30.0
_EVICTION_SECONDS = 0.02
"""How long children of real-time threads may wait for CPU time. A search costs 5 us a group."""


class EnforcementLoop:
    """Looks when a cgroup appears, when the book changes, and when the enforcer asked for it.

    ``clock`` is monotonic, in seconds.
    """

    def __init__(self, *, enforcer: Enforcer, watch: DirectoryWatch, clock: MonotonicClock) -> None:
        self._enforcer = enforcer
        self._watch = watch
        self._clock = clock
        self.looked = self._evicted = clock()
        self._pause = _EVICTION_SECONDS

    def tick(self) -> None:
        """Look once, then wait for the next event or the time that the enforcer asked for."""
        delay = self._enforcer.look()
        self.looked = self._clock()
        if self._enforcer.has_groups and self.looked - self._evicted >= self._pause:
            self._evict()
        added = self._watch.follow(self._enforcer.watched())  # what appeared before they were?
        self._enforcer.note_events(added or self._wait(delay))

    def _wait(self, seconds: float) -> frozenset[Path] | None:
        """Wait as ``DirectoryWatch`` does; meanwhile evict ordinary threads from budget groups."""
        while self._enforcer.has_groups and seconds > self._pause:
            pause = self._pause
            heard = self._watch.wait(pause)
            if heard is None or heard or self._watch.rung:
                return heard
            seconds -= pause + self._evict()
        return self._watch.wait(seconds)

    def _evict(self) -> float:
        """Evict, and return how long it took: the book's lock is free for as long afterwards."""
        begin = self._clock()
        self._enforcer.evict()
        self._evicted = self._clock()
        took = self._evicted - begin
        self._pause = max(_EVICTION_SECONDS, took)
        return took

    def wake(self) -> None:
        """Look at once; from any thread."""
        self._watch.ring()

    def trouble(self) -> str | None:
        """Whether looks have stopped."""
        if self._clock() - self.looked > _STUCK_SECONDS:
            return "the enforcer has not looked for 30 s"
        return None

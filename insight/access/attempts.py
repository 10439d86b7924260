"""Limits on unknown tokens: each costs the API server a review."""

import threading
from collections import OrderedDict

from k40s.units import NS_PER_S, Clock

PER_SECOND = 20
"""Reviews of unknown tokens, from everybody together."""
BURST = 40
FAILURES_PER_SOURCE = 10
"""Bad tokens of one source in a minute; its unknown tokens are then not reviewed."""
_MINUTE = 60 * NS_PER_S
_MOST_SOURCES = 1024


class Attempts:
    """Counts reviews of all and failures by source. Thread-safe."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._left = float(BURST)
        self._filled = clock()
        self._failures: OrderedDict[str, list[int]] = OrderedDict()

    def begin(self, source: str) -> bool:
        """Whether an unknown token of this source may be reviewed now."""
        with self._lock:
            now = self._clock()
            self._left = min(BURST, self._left + (now - self._filled) * PER_SECOND / NS_PER_S)
            self._filled = now
            if len(self._recent(source, now)) >= FAILURES_PER_SOURCE or self._left < 1:
                return False
            self._left -= 1
            return True

    def failed(self, source: str) -> None:
        """The token was bad."""
        with self._lock:
            now = self._clock()
            self._failures[source] = [*self._recent(source, now), now]
            self._failures.move_to_end(source)
            while len(self._failures) > _MOST_SOURCES:
                self._failures.popitem(last=False)

    def _recent(self, source: str, now: int) -> list[int]:
        recent = [at for at in self._failures.get(source, ()) if now - at < _MINUTE]
        if not recent:
            self._failures.pop(source, None)
        return recent

"""The reconciliation's loop: at once when something has changed, and once a second anyway."""

import threading
from collections.abc import Callable

from k40s.units import NS_PER_S, Nanoseconds

PERIOD = Nanoseconds(NS_PER_S)
Look = Callable[[], None]


class ReconciliationLoop:
    """``wake`` may be called from any thread; ``tick`` waits for it, then looks."""

    def __init__(self, look: Look, *, period: Nanoseconds = PERIOD) -> None:
        self._look = look
        self._period = period
        self._news = threading.Event()
        self._news.set()

    def wake(self) -> None:
        """Something has changed."""
        self._news.set()

    def tick(self) -> None:
        """Wait for news, at most for a period, and look at everything."""
        self._news.wait(self._period / NS_PER_S)
        self._news.clear()
        self._look()

"""Between the search and the response: one judgement a sample, and who is held meanwhile."""

import threading
from dataclasses import dataclass

from k40s.assurance.suspects.verdict import Finding
from k40s.assurance.watch import WatchState
from k40s.units import Nanoseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A sample as the response sees it. ``watched`` is without alarms that are no pod's doing.

    ``finding`` is None while no alarm is active, and while nobody is threatened.
    """

    at: Nanoseconds
    watched: WatchState
    finding: Finding | None = None


class Handover:
    """``put`` never waits. ``take`` waits for a newer judgement; of several it takes the last.

    ``held`` and ``cleared`` are written by the response and read by the search.
    """

    def __init__(self) -> None:
        self.held: frozenset[str] = frozenset()
        self.cleared: frozenset[str] = frozenset()
        self._fresh = threading.Event()
        self._last: Judgement | None = None

    def put(self, judgement: Judgement) -> None:
        """A sample was judged."""
        self._last = judgement
        self._fresh.set()

    def take(self, seconds: float) -> Judgement | None:
        """The last judgement, once; None when there is none within so many seconds."""
        if not self._fresh.wait(seconds):
            return None
        self._fresh.clear()
        return self._last

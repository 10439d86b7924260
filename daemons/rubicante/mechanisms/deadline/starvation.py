"""SCHED_DEADLINE threads that could run, and do not, for longer than any budget explains.

Linux (6.18) can keep a thread from its CPU for hours: one whose parameters were changed when its
budget was used up (``drop``), or just as it woke. Nothing but other parameters frees it.
"""

from daemons.rubicante.kernel.threads import Thread, Threads
from k40s.units import NS_PER_S, MonotonicClock, Nanoseconds

LOOK_SECONDS = 1.0
"""Between two looks at a thread."""
PERIODS = 3
"""A thread whose budget is used up runs again in the next period."""


class Starvation:
    """What threads had run when last looked at. ``clock`` is monotonic, in seconds."""

    def __init__(self, *, threads: Threads, clock: MonotonicClock) -> None:
        self._threads = threads
        self._clock = clock
        self._seen: dict[tuple[int, int], tuple[float, float, str]] = {}
        """By TID and start: the next look, and since when it has run no more than this."""

    def is_starved(self, thread: Thread, period: Nanoseconds) -> bool:
        """Whether it has been runnable and has not run for three periods, and a second."""
        key, now = (thread.tid, thread.started), self._clock()
        due, since, ran = self._seen.get(key, (0.0, now, ""))
        if now < due:
            return False
        activity = None if self._threads.sleeps(thread.tid) else self._threads.activity(thread.tid)
        if activity is None:
            self._seen[key] = (now + LOOK_SECONDS, now, "")
            return False
        since = since if activity == ran else now
        starved = now - since >= max(LOOK_SECONDS, PERIODS * period / NS_PER_S)
        if starved:
            self._seen.pop(key, None)
        else:
            self._seen[key] = (now + LOOK_SECONDS, since, activity)
        return starved

    def forget_dead(self) -> None:
        """Forget threads that are gone."""
        self._seen = {key: seen for key, seen in self._seen.items() if self._threads.lives(*key)}

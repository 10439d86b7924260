"""When a thread becomes a SCHED_DEADLINE one: while it sleeps, between two jobs.

The kernel counts a thread's periods from the time at which it gets its parameters while it runs,
and from its next wake-up if it sleeps then. In the middle of a job they are out of step with the
releases, and the jobs that follow find a part of their budget used by the one before.
"""

from daemons.rubicante.kernel.threads import Thread, Threads
from k40s.units import NS_PER_S, MonotonicClock, Nanoseconds

PATIENCE_SECONDS = 1.0
"""A thread that has not slept for so long, nor for two of its periods, is made DEADLINE while it
runs; it is set again when it sleeps, so that its periods are in step."""


class Alignment:
    """Tracks threads that wait to be set, and threads that were set out of step.

    ``clock`` is monotonic, in seconds. Threads are kept by TID and start, since names change.
    """

    def __init__(self, *, threads: Threads, clock: MonotonicClock) -> None:
        self._threads = threads
        self._clock = clock
        self._since: dict[tuple[int, int], float] = {}
        self._out_of_step: set[tuple[int, int]] = set()

    def may_set(self, thread: Thread, period: Nanoseconds) -> bool:
        """Whether the thread sleeps, or has not slept for longer than its contract explains."""
        since = self._since.setdefault(_key(thread), self._clock())
        patience = max(PATIENCE_SECONDS, 2 * period / NS_PER_S)
        return self._threads.sleeps(thread.tid) or self._clock() - since >= patience

    def note_set(self, thread: Thread) -> None:
        """It was set just now; if it does not sleep, it may have been in the middle of a job."""
        self._since.pop(_key(thread), None)
        if self._threads.sleeps(thread.tid):
            self._out_of_step.discard(_key(thread))
        else:
            self._out_of_step.add(_key(thread))

    def is_due(self, thread: Thread) -> bool:
        """Whether the thread is out of step, and sleeps, so that it can be set again."""
        return _key(thread) in self._out_of_step and self._threads.sleeps(thread.tid)

    def forget_dead(self) -> None:
        """Forget threads that are gone."""
        self._out_of_step = {key for key in self._out_of_step if self._threads.lives(*key)}
        self._since = {
            key: since for key, since in self._since.items() if self._threads.lives(*key)
        }


def _key(thread: Thread) -> tuple[int, int]:
    return thread.tid, thread.started

"""Entries of a bind in the status of an object, under optimistic concurrency.

An entry is written on condition of the version in which its place was found. After a conflict the
place is searched again in the newest version. An entry names the attempt: a bind removes only what
it made itself, and a repeat for the same pod and node takes over the entry that it finds, because
the pod may be bound with it already. An entry that nobody removes expires at ``until``, unless the
pod is bound to its node by then.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from extender.protocol import BindingArgs
from k40s.errors import UnavailableError
from k40s.units import NS_PER_MS, NS_PER_S, Clock, Nanoseconds

UNDO = Nanoseconds(400 * NS_PER_MS)
"""Bound of a station's withdrawal, and of all removals of entries together."""
_PAUSE = Nanoseconds(4 * NS_PER_MS)
_LONGEST_PAUSE = Nanoseconds(128 * NS_PER_MS)
_LEAST = Nanoseconds(100 * NS_PER_MS)
"""Time limit of a request that begins just before the deadline. One that is cut short costs its
connection and leaves unknown what became of it, so it makes an overload worse."""

Pause = Callable[[Nanoseconds], object]
"""Waits so long, or shorter when the process ends."""
S = TypeVar("S")
R = TypeVar("R")


@dataclass(slots=True, kw_only=True)
class Attempt:
    """One bind: its name, unique across processes, and the clock's time when it gives up.

    ``undo_deadline`` is that of all removals together, once the first has begun.
    """

    args: BindingArgs
    name: str
    deadline: int
    undo_deadline: int | None = None


class ConditionalWrites:
    """Repeats what depends on an object's version. Any thread may call."""

    def __init__(self, *, clock: Clock, pause: Pause, jitter: Callable[[], float]) -> None:
        """``jitter`` gives random numbers from 0 to 1."""
        self._clock = clock
        self._pause = pause
        self._jitter = jitter
        self._lock = threading.Lock()
        self._turns: dict[str, threading.Lock] = {}

    def write(
        self,
        name: str,
        deadline: int,
        *,
        first: Callable[[], S],
        newest: Callable[[], S],
        act: Callable[[S], R],
    ) -> R | None:
        """What ``act`` answers on a version of an object, None where it is too late.

        ``act`` answers None after a conflict: it is called again on the ``newest`` version. Binds
        of this process take turns, so as not to conflict with each other.
        """
        with self._turn(name, deadline) as has_turn:
            state = first()
            tries = 0
            while has_turn and self._clock() < deadline:
                found = act(state)
                if found is not None:
                    return found
                tries += 1
                if not self._wait(deadline, tries):
                    break
                state = newest()
        return None

    def take_back(
        self,
        attempt: Attempt,
        *,
        first: Callable[[int], S | None],
        newest: Callable[[int], S | None],
        remove: Callable[[S, int], bool],
    ) -> str:
        """Removes what an attempt wrote; returns why it may still be there, if so.

        ``remove`` answers whether it is gone, and gets the deadline, as ``first`` and ``newest``
        do: these return None where the object is gone.
        """
        if attempt.undo_deadline is None:
            attempt.undo_deadline = self._clock() + UNDO
        deadline = attempt.undo_deadline
        if self._clock() >= deadline:
            return "no time left"
        tries = 0
        try:
            state = first(deadline)
            while state is not None and not remove(state, deadline):
                tries += 1
                if not self._wait(deadline, tries):
                    return "conflicts"
                state = newest(deadline)
        except UnavailableError as error:
            return str(error)
        return ""

    def left(self, deadline: int) -> Nanoseconds:
        """The time limit of a request that begins now."""
        return Nanoseconds(max(deadline - self._clock(), _LEAST))

    def _wait(self, deadline: int, tries: int) -> bool:
        """Waits before another try, longer each time, half of it random; False if it is late."""
        whole = min(_PAUSE << min(tries - 1, 10), _LONGEST_PAUSE)
        pause = Nanoseconds(int(whole * (1 + self._jitter()) / 2))
        if self._clock() + pause >= deadline:
            return False
        self._pause(pause)
        return True

    @contextmanager
    def _turn(self, name: str, deadline: int) -> Iterator[bool]:
        with self._lock:
            lock = self._turns.setdefault(name, threading.Lock())
        has_turn = lock.acquire(timeout=self.left(deadline) / NS_PER_S)
        try:
            yield has_turn
        finally:
            if has_turn:
                lock.release()

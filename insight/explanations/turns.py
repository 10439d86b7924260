"""Who is explained something at present: few at once, and of one account one after the other.

Whoever waits holds a thread of the server, so the number of those who wait is bounded as well.
"""

import threading
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

from k40s.errors import K40sError
from k40s.units import NS_PER_S, Nanoseconds

AT_ONCE = 2
MOST_WAITING = 2
MOST_OF_ACCOUNT = 2
"""Of one account, with those that wait."""
_PATIENCE = Nanoseconds(2 * NS_PER_S)


class TooManyExplanationsError(K40sError):
    """No place, or no turn in time: try again."""


class Turns:
    """Any thread may call."""

    def __init__(self, *, patience: Nanoseconds = _PATIENCE) -> None:
        """``patience`` bounds the wait for a turn."""
        self._patience = patience / NS_PER_S
        self._changed = threading.Condition()
        self._running: list[Hashable] = []
        self._waiting: list[Hashable] = []

    @contextmanager
    def turn(self, account: Hashable) -> Iterator[None]:
        """A turn of the account while the context lasts. Raises ``TooManyExplanationsError``."""
        with self._changed:
            self._begin(account)
        try:
            yield
        finally:
            with self._changed:
                self._running.remove(account)
                self._changed.notify_all()

    def _begin(self, account: Hashable) -> None:
        own = [*self._running, *self._waiting].count(account)
        if own >= MOST_OF_ACCOUNT or not (self._may_run(account) or self._may_wait()):
            raise TooManyExplanationsError("too many explanations are asked for, try again")
        self._waiting.append(account)
        try:
            if not self._changed.wait_for(lambda: self._may_run(account), self._patience):
                raise TooManyExplanationsError("others' explanations take long, try again")
        finally:
            self._waiting.remove(account)
        self._running.append(account)

    def _may_run(self, account: Hashable) -> bool:
        return len(self._running) < AT_ONCE and account not in self._running

    def _may_wait(self) -> bool:
        return len(self._waiting) < MOST_WAITING

"""How long entries in a status hold for a pod that does not get bound; whether they still do."""

from collections.abc import Callable
from datetime import datetime, timedelta

from k40s.units import NS_PER_US, Clock, Nanoseconds, WallClock


class EntryLease:
    """The lease of every entry that a bind writes. Any thread may call."""

    def __init__(self, *, duration: Nanoseconds, clock: Clock, wall: WallClock) -> None:
        self._duration = timedelta(microseconds=duration // NS_PER_US)
        self._clock = clock
        self._wall = wall

    def until(self) -> datetime:
        """The end of an entry that is written now."""
        return self._wall() + self._duration

    def begin(self) -> Callable[[], bool]:
        """Whether entries that are written from now on are still held when it is called.

        A quarter of the lease is left for the Binding and for clocks that differ. Both clocks are
        asked: the one may be set back, the other stands still while the machine is suspended.
        """
        safe = self._duration * 3 / 4
        clock_end = self._clock() + safe // timedelta(microseconds=1) * NS_PER_US
        wall_end = self._wall() + safe
        return lambda: self._clock() < clock_end and self._wall() < wall_end

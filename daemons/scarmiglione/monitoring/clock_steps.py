"""Steps of ``CLOCK_REALTIME``, by which RTnet's master times its Syncs.

A step forward makes it send a burst of Syncs, one backward none for as long as the step. Slewing
changes the difference to the monotonic clock as well, by at most a tenth of the time that passes.
"""

from collections.abc import Callable

from k40s.units import NS_PER_MS, Clock, Nanoseconds

_TOLERANCE = 5 * NS_PER_MS
_SLEW = 10
"""The kernel takes corrections of up to a tenth (``ADJ_TICK``)."""

Stepped = Callable[[Nanoseconds], None]
"""Called with the size of a step; negative is backward."""


class ClockSteps:
    """``look`` is called several times a second. Both clocks are in ns."""

    def __init__(self, *, monotonic: Clock, wall: Clock, stepped: Stepped) -> None:
        self._monotonic = monotonic
        self._wall = wall
        self._stepped = stepped
        self._last = self._read()

    def look(self) -> None:
        """Compare both clocks with the last look."""
        before, now = self._last, self._read()
        self._last = now
        elapsed = now[0] - before[0]
        step = (now[1] - before[1]) - elapsed
        if abs(step) > _TOLERANCE + elapsed // _SLEW:
            self._stepped(Nanoseconds(step))

    def _read(self) -> tuple[int, int]:
        return self._monotonic(), self._wall()

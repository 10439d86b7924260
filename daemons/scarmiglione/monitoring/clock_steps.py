"""Steps of ``CLOCK_REALTIME``, by which RTnet's master times its Syncs.

A step forward makes it send a burst of Syncs, one backward none for as long as the step. Slewing
changes the difference to the monotonic clock as well, by at most a tenth of the time that passes.
"""

from collections.abc import Callable
from dataclasses import dataclass

from k40s.units import NS_PER_MS, Clock, Nanoseconds

_TOLERANCE = 5 * NS_PER_MS
_SLEW = 10
"""The kernel takes corrections of up to a tenth (``ADJ_TICK``)."""

Stepped = Callable[[Nanoseconds], None]
"""Called with the size of a step; negative is backward."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """``doubt``: how long both readings took; a busy node may hold up the thread between them."""

    monotonic: int
    wall: int
    doubt: int


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
        elapsed = now.monotonic - before.monotonic
        step = (now.wall - before.wall) - elapsed
        doubt = now.doubt + before.doubt
        if abs(step) > _TOLERANCE + doubt + elapsed // _SLEW:
            self._stepped(Nanoseconds(step))

    def _read(self) -> _Look:
        monotonic, wall = self._monotonic(), self._wall()
        return _Look(monotonic=monotonic, wall=wall, doubt=self._monotonic() - monotonic)

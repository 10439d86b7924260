"""Whether Sync frames arrive, by the interface's counter of received packets. Pure.

The kernel's own word stays ``active`` when the master is gone. The master itself receives no Sync,
and a back end without such a counter has none to lose.
"""

from daemons.scarmiglione.network.back_end import Role, StationState
from k40s.units import Nanoseconds

_CYCLES = 3
"""Without a packet: a single Sync may be lost, and a backup master takes over after one."""


class SyncWatch:
    """One station; ``lost`` is the result of the last look."""

    def __init__(self) -> None:
        self.lost = False
        self._received: int | None = None
        self._since = 0

    def look(self, state: StationState, *, cycle: Nanoseconds) -> bool:
        """Whether nothing has been received for several cycles."""
        counts = state.received is not None and state.role is not Role.MASTER
        if not counts or state.received != self._received:
            self._received = state.received if counts else None
            self._since = state.read_at
            self.lost = False
        elif state.read_at - self._since >= _CYCLES * cycle:
            self.lost = True
        return self.lost

"""Whether Sync frames arrive at a station, from one look to the next. Pure.

A station that sends Sync itself waits for none, and a back end without a counter has none to lose.
"""

from daemons.scarmiglione.network.back_end import StationState
from daemons.scarmiglione.network.preconditions import sends_sync, sync_arrives
from k40s.tdma.model import Cycle


class SyncWatch:
    """One station; ``lost`` is the result of the last look."""

    def __init__(self) -> None:
        self.lost = False
        self._before: StationState | None = None

    def look(self, state: StationState, *, cycle: Cycle) -> bool:
        """Whether Sync is missing. Looks that are too close to the one before change nothing."""
        if state.received is None or sends_sync(state):
            self._before, self.lost = None, False
            return False
        before = self._before
        arrives = None if before is None else sync_arrives(before, state, cycle)
        if before is None or arrives is not None:
            self._before = state
        if arrives is not None:
            self.lost = not arrives
        return self.lost

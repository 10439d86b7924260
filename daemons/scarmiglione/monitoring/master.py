"""The authoritative slot table of a network, which its master checks again, pair by pair. Pure."""

from collections.abc import Callable

from k40s.network.model import NetworkState
from k40s.tdma.model import SlotTable, Window
from k40s.units import NS_PER_S, Clock

_INTERVAL = 5 * NS_PER_S
"""Between two tests of one Network."""
CheckTable = Callable[[SlotTable], tuple[Window, Window] | None]
"""The first pair of windows that meet, or None."""


class TableCheck:
    """Remembers its result for a version of a Network, and for some seconds of binds.

    The test takes time squared: half a second for a thousand windows. ``clock`` is in ns.
    """

    def __init__(self, check: CheckTable, *, clock: Clock) -> None:
        self._check = check
        self._clock = clock
        self._known: dict[str, tuple[str, int, str | None]] = {}

    def find_conflict(self, state: NetworkState) -> str | None:
        """Which reservations overlap, in words; None when none do."""
        name, version = state.network.name, state.resource_version
        known, now = self._known.get(name), self._clock()
        if known is not None and (known[0] == version or now - known[1] < _INTERVAL):
            return known[2]
        found = self._find(state)
        self._known[name] = (version, now, found)
        return found

    def _find(self, state: NetworkState) -> str | None:
        if state.network.tdma is None or state.fault is not None:
            return None
        windows = tuple(
            window for one in state.reservations for grant in one.slots for window in grant.windows
        )
        pair = self._check(SlotTable(cycle=state.network.tdma.cycle, windows=windows))
        if pair is None:
            return None
        owners = " and ".join(_owner(state, window) for window in pair)
        return f"network {state.network.name}: the slots of {owners} meet"


def _owner(state: NetworkState, window: Window) -> str:
    for one in state.reservations:
        if any(window in grant.windows for grant in one.slots):
            return f"pod {one.owner.namespace}/{one.owner.name}"
    return "Sync"

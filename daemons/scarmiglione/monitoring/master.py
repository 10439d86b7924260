"""The authoritative slot table of a network, which its master checks again, pair by pair. Pure."""

from collections.abc import Callable

from k40s.network.model import NetworkState
from k40s.tdma.model import SlotTable, Window

CheckTable = Callable[[SlotTable], tuple[Window, Window] | None]
"""The first pair of windows that meet, or None."""


class TableCheck:
    """Remembers its result for a version of a Network: the test takes time squared."""

    def __init__(self, check: CheckTable) -> None:
        self._check = check
        self._known: dict[str, tuple[str, str | None]] = {}

    def find_conflict(self, state: NetworkState) -> str | None:
        """Which reservations overlap, in words; None when none do."""
        name, version = state.network.name, state.resource_version
        known = self._known.get(name)
        if known is not None and known[0] == version:
            return known[1]
        found = self._find(state)
        self._known[name] = (version, found)
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

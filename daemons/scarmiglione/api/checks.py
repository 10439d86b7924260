"""What must hold before a pod's slots are set up: a healthy station, and times that are free."""

from collections.abc import Callable, Sequence
from typing import Protocol

from daemons.scarmiglione.slots.allocation import Rejection
from daemons.scarmiglione.slots.book import Book
from daemons.scarmiglione.station.networks import DeclaredNetworks
from daemons.scarmiglione.station.stations import Station, Stations
from k40s.annotations.network_state import HEALTHY
from k40s.node_api.network_messages import RequestedSlot, SlotsRequest
from k40s.reasons import Reason
from k40s.tdma.model import Cycle, Window

FindConflict = Callable[
    [tuple[Window, ...], tuple[Window, ...], Cycle], tuple[Window, Window] | None
]
"""The first pair of windows that meet: of those asked for, or of them and the others."""


class HealthView(Protocol):
    """Health of the node's stations; implemented by ``monitoring.health``."""

    def health(self, network: str) -> str:
        """``HEALTHY``, or the code of a fault."""
        ...


class SlotChecks:
    """Asks what the watch has shown, and the book; called under the book's lock."""

    def __init__(
        self,
        *,
        book: Book,
        networks: DeclaredNetworks,
        stations: Stations,
        health: HealthView,
        find_conflict: FindConflict,
    ) -> None:
        self._book = book
        self._networks = networks
        self._stations = stations
        self._health = health
        self._meets = find_conflict

    def find_station(self, network: str) -> Station | Rejection:
        """The healthy station of a network; else why there is none."""
        state = self._networks.find(network)
        if state is None:
            return Rejection(reason=Reason.NETWORK_UNKNOWN, detail=network)
        if state.fault is not None:
            return Rejection(reason=Reason.NETWORK_INVALID, detail=f"{network}: {state.fault}")
        station = self._stations.on(network)
        if station is None:
            return Rejection(reason=Reason.NETWORK_NOT_MEMBER, detail=network)
        if station.back_end.limits.channels == 0:
            return Rejection(reason=Reason.NETWORK_NO_MECHANISM, detail=network)
        health = self._health.health(network)
        if health != HEALTHY:
            return Rejection(reason=Reason.NETWORK_UNHEALTHY, detail=f"{network}: {health}")
        return station

    def find_conflict(
        self, request: SlotsRequest, wanted: Sequence[tuple[RequestedSlot, Station]]
    ) -> Rejection | None:
        """Whether slots meet those of other pods: in the status, or still in this node's book."""
        for network in dict.fromkeys(slot.network for slot in request.slots):
            station = next(one for slot, one in wanted if slot.network == network)
            mine = tuple(
                w for slot in request.slots if slot.network == network for w in slot.windows
            )
            pair = self._meets(mine, self._others(network, request.pod.uid), station.cycle)
            if pair is not None:
                return Rejection(
                    reason=Reason.NETWORK_STATION_REFUSED,
                    detail=f"{network}: slots meet at {pair[1].offset} ns of the cycle",
                )
        return None

    def _others(self, network: str, uid: str) -> tuple[Window, ...]:
        state = self._networks.find(network)
        windows = {
            window
            for one in (() if state is None else state.reservations)
            if one.owner.uid != uid
            for grant in one.slots
            for window in grant.windows
        }
        for entry in self._book.entries():
            if entry.pod.uid != uid:
                windows |= {w for s in entry.slots if s.network == network for w in s.windows}
        return tuple(windows)

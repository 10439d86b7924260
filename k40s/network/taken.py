"""What the reservations of one version of a Network take, computed once for all pods that ask."""

from collections.abc import Sequence
from functools import cached_property, lru_cache

from k40s.network.model import NetworkReservation, NetworkState
from k40s.network.paths import Graph
from k40s.network.room import Room
from k40s.network.usage import reserved_bandwidth, windows_of
from k40s.tdma.model import Window


class Taken:
    """Any thread may ask: what two compute at once is the same."""

    def __init__(self, state: NetworkState, reservations: Sequence[NetworkReservation]) -> None:
        self._network = state.network
        self._reservations = reservations

    @cached_property
    def windows(self) -> tuple[Window, ...]:
        """All slots."""
        return windows_of(self._reservations)

    @cached_property
    def graph(self) -> Graph:
        """The links with the bandwidth that is left."""
        return Graph(self._network, reserved_bandwidth(self._reservations))

    @cached_property
    def room(self) -> Room:
        """What is taken of the object."""
        return Room.of(self._reservations)


class _Version:
    """A state, compared by identity: it does not change, and comparing its parts takes long."""

    def __init__(self, state: NetworkState) -> None:
        self.state = state

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Version) and other.state is self.state

    def __hash__(self) -> int:
        return id(self.state)


@lru_cache(maxsize=4)
def _of(version: _Version) -> Taken:
    return Taken(version.state, version.state.reservations)


def taken_by_all(state: NetworkState) -> Taken:
    """Kept for the versions that were asked for last."""
    return _of(_Version(state))


def taken_by_others(state: NetworkState, uid: str) -> Taken:
    """The same without what one pod holds."""
    others = [one for one in state.reservations if one.owner.uid != uid]
    if len(others) == len(state.reservations):
        return taken_by_all(state)
    return Taken(state, others)

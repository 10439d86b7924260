"""How much of a Network is reserved, for its status."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from k40s.network.model import NetworkReservation, NetworkState, Path
from k40s.network.reservations import MOST_RESERVATIONS
from k40s.tdma.damage import utilization as slot_utilization
from k40s.tdma.model import SlotTable, Window

Edge = frozenset[str]
"""The two ends of a link."""

MOST_WINDOWS = 256
"""Slots of one pod on one network, joint ones counted one by one."""
MOST_WINDOWS_OF_ALL = 4_096
"""So many are searched in 0.1 s."""
LARGEST = 1_000_000
"""Bytes of all reservations of a Network. etcd takes 1.5 MB for the whole object: beyond that every
write fails, and one pod's many joint slots would keep all others from being bound."""
_ENTRY, _GRANT, _WINDOW, _PATH, _VERTEX = 130, 30, 106, 80, 4
"""Bytes of each in JSON, beside the names in it."""


@dataclass(frozen=True, slots=True)
class Room:
    """How much of the object's room reservations take: their number, slots, and bytes in JSON."""

    entries: int
    windows: int
    size: int

    @classmethod
    def of(cls, reservations: Sequence[NetworkReservation]) -> "Room":
        """What these take."""
        windows = sum(map(_count, reservations))
        return cls(len(reservations), windows, sum(map(_size, reservations)))

    def holds(self, new: NetworkReservation) -> bool:
        """Whether another one fits beside them."""
        windows = _count(new)
        return (
            windows <= MOST_WINDOWS
            and self.windows + windows <= MOST_WINDOWS_OF_ALL
            and self.entries < MOST_RESERVATIONS
            and self.size + _size(new) <= LARGEST
        )


def _count(one: NetworkReservation) -> int:
    return sum(len(grant.windows) for grant in one.slots)


def _size(one: NetworkReservation) -> int:
    """Bytes of an entry in JSON, at most."""
    owner = one.owner
    names = sum(map(len, (owner.uid, owner.namespace, owner.name, one.node, one.attempt)))
    paths = sum(
        _PATH + len(path.peer) + sum(len(vertex) + _VERTEX for vertex in path.nodes)
        for path in one.paths
    )
    return _ENTRY + names + _GRANT * len(one.slots) + _WINDOW * _count(one) + paths


def windows_of(reservations: Iterable[NetworkReservation]) -> tuple[Window, ...]:
    """All slots of the reservations."""
    return tuple(w for one in reservations for grant in one.slots for w in grant.windows)


def reserved_bandwidth(reservations: Iterable[NetworkReservation]) -> dict[Edge, int]:
    """Bit/s in each direction that paths hold of every link that has any."""
    used: dict[Edge, int] = {}
    for one in reservations:
        for path in one.paths:
            if path.bandwidth:
                add_bandwidth(used, path)
    return used


def add_bandwidth(used: dict[Edge, int], path: Path) -> None:
    """Count a path's bandwidth on each of its links."""
    for ends in pairwise(path.nodes):
        edge = frozenset(ends)
        used[edge] = used.get(edge, 0) + path.bandwidth


def utilization(state: NetworkState) -> Fraction:
    """The share that is reserved: of the cycle's time, or of the fullest link's capacity.

    On a TDMA network what Syncs take is part of it. 0 for a Network that cannot be used.
    """
    network = state.network
    if network.tdma is not None:
        table = SlotTable(cycle=network.tdma.cycle, windows=windows_of(state.reservations))
        return slot_utilization(table)
    used = reserved_bandwidth(state.reservations)
    return max(
        (
            Fraction(used.get(frozenset(link.ends), 0), link.capacity)
            for link in network.links
            if link.capacity is not None
        ),
        default=Fraction(0),
    )

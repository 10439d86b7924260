"""How much of a Network is reserved, for its status."""

from collections.abc import Iterable
from fractions import Fraction
from itertools import pairwise

from k40s.network.model import NetworkReservation, NetworkState, Path
from k40s.tdma.damage import utilization as slot_utilization
from k40s.tdma.model import SlotTable, Window

Edge = frozenset[str]
"""The two ends of a link."""


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

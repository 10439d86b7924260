"""Compares an entry of the book with the Networks' statuses and with its pod. Pure."""

from collections import Counter
from collections.abc import Mapping
from enum import Enum

from daemons.scarmiglione.slots.entry import Entry
from daemons.scarmiglione.station.networks import DeclaredNetworks
from daemons.scarmiglione.station.stations import Stations
from k40s.network.model import NetworkReservation
from k40s.node_api.network_messages import RequestedSlot

Reservations = Mapping[str, NetworkReservation]
"""What one pod holds on this node, by network."""


class Judgement(Enum):
    """``UNKNOWN``: a Network cannot be read at present, so nothing follows."""

    CONFIRMED = "confirmed"
    MISSING = "missing"
    UNKNOWN = "unknown"


class Fate(Enum):
    """What the watch says of a pod. ``UNSEEN``: it is not bound here, or not yet."""

    UNSEEN = "unseen"
    HERE = "here"
    OVER = "over"


def judge(
    entry: Entry, *, networks: DeclaredNetworks, stations: Stations, held: Reservations
) -> Judgement:
    """Whether the statuses hold exactly the entry's slots, for this node's present interfaces."""
    by_network: dict[str, list[RequestedSlot]] = {}
    for slot in entry.slots:
        state = networks.find(slot.network)
        if state is not None and state.fault is not None:
            return Judgement.UNKNOWN
        station = stations.on(slot.network)
        if station is None or station.key != slot.station:
            return Judgement.MISSING
        by_network.setdefault(slot.network, []).append(
            RequestedSlot(network=slot.network, windows=slot.windows)
        )
    reserved: dict[str, list[RequestedSlot]] = {}
    for one in requested(held):
        reserved.setdefault(one.network, []).append(one)
    same = by_network.keys() == reserved.keys() and all(
        Counter(slots) == Counter(reserved[name]) for name, slots in by_network.items()
    )
    return Judgement.CONFIRMED if same else Judgement.MISSING


def requested(held: Reservations) -> tuple[RequestedSlot, ...]:
    """What the statuses hold for a pod, as a request for it."""
    return tuple(
        RequestedSlot(network=name, windows=grant.windows)
        for name in sorted(held)
        for grant in held[name].slots
    )

"""What a node offers of the networks that a pod requires: station, place and damage. Pure.

Damage is what a reservation takes from those that come later: of a TDMA network the share of its
cycles, of a best-effort one the share of the links' capacity, summed up over the path. It differs
between nodes, because a station's jitter lengthens its slots, and a peer's distance its path.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from extender.cache.snapshot import NodeView
from extender.placement.candidates import Split
from k40s.annotations import HEALTHY, BackEnd
from k40s.network.model import (
    Network,
    NetworkReservation,
    NetworkState,
    PathRequirement,
    Requirement,
    SlotRequirement,
)
from k40s.reasons import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkVerdict:
    """``reason`` is None where the pod fits; ``damage`` counts from 0.

    ``exact`` is False where no place was searched, for want of time: bind decides.
    """

    reason: Reason | None
    damage: float = 0.0
    exact: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a pod requires of one network.

    ``of_station``: it needs slots, which the node's station keeps. ``peers`` has the nodes of the
    peers that are placed.
    """

    network: str
    requirements: tuple[Requirement, ...]
    of_station: bool
    of_place: bool
    """Whether it depends on which node it is: it names peers."""


def wishes(requirements: Sequence[Requirement]) -> tuple[Wish, ...]:
    """The requirements by network, in the order of its name."""
    by_network: dict[str, list[Requirement]] = {}
    for one in requirements:
        by_network.setdefault(one.network, []).append(one)
    return tuple(
        Wish(
            network=network,
            requirements=tuple(by_network[network]),
            of_station=any(isinstance(one, SlotRequirement) for one in by_network[network]),
            of_place=any(isinstance(one, PathRequirement) for one in by_network[network]),
        )
        for network in sorted(by_network)
    )


def usable(state: NetworkState | None) -> Reason | None:
    """Why nothing can be had of a Network on any node, if so."""
    if state is None:
        return Reason.NETWORK_UNKNOWN
    return Reason.NETWORK_INVALID if state.fault is not None else None


def check_station(view: NodeView | None, network: str, *, holds: bool = False) -> Reason | None:
    """Why the node's station cannot keep another slot of a TDMA network, if so.

    ``holds``: the pod has a slot there already, and needs no other channel.
    """
    if view is None:
        return Reason.NODE_UNKNOWN
    if view.stations is None:
        return view.station_refusal or Reason.NETWORK_NO_DAEMON
    station = view.stations.networks.get(network)
    if station is None or station.back_end is BackEnd.NONE:
        return Reason.NETWORK_NO_MECHANISM
    if station.health != HEALTHY:
        return Reason.NETWORK_UNHEALTHY
    return None if station.channels or holds else Reason.NETWORK_NO_CHANNEL


def damage(network: Network, reservation: NetworkReservation) -> float:
    """The share of the network that a reservation takes; see the module."""
    taken = 0.0
    if network.tdma is not None:
        period = network.tdma.cycle.period
        for grant in reservation.slots:
            taken += sum(window.length / (window.every * period) for window in grant.windows)
    if reservation.paths:
        capacities = {frozenset(link.ends): link.capacity for link in network.links}
        for path in reservation.paths:
            for hop in pairwise(path.nodes):
                capacity = capacities.get(frozenset(hop))
                taken += path.bandwidth / capacity if capacity else 0.0
    return taken


def own_entry(state: NetworkState, uid: str, node: str) -> NetworkReservation | None:
    """What the pod holds of the network for that node."""
    return next(
        (held for held in state.reservations if held.node == node and held.owner.uid == uid), None
    )


def split_by_networks(split: Split, verdicts: Mapping[str, NetworkVerdict]) -> Split:
    """Moves nodes with a refusing verdict from ``fit`` to ``refused``."""
    fit = []
    refused = dict(split.refused)
    for name in split.fit:
        reason = verdicts[name].reason
        if reason is None:
            fit.append(name)
        else:
            refused[name] = reason
    return Split(fit=fit, refused=refused)

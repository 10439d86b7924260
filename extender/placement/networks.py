"""What a pod requires of each network, and what a node's station says to it. Pure.

Whether there is a place, and what taking it would damage, says ``k40s.network.fit``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from extender.cache.snapshot import NodeView
from k40s.annotations import HEALTHY, BackEnd
from k40s.ledger.entry import Owner
from k40s.network.model import (
    NetworkReservation,
    NetworkState,
    PathRequirement,
    Requirement,
    SlotRequirement,
)
from k40s.reasons import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkVerdict:
    """``reason`` is None where the pod fits; ``damage`` to later requests counts from 0.

    ``exact`` is False where no place was searched to the end, for want of time: bind decides.
    """

    reason: Reason | None
    damage: float = 0.0
    exact: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a pod requires of one network: slots, which the node's station keeps, or paths."""

    network: str
    requirements: tuple[Requirement, ...]

    @property
    def has_slots(self) -> bool:
        """Whether the node's station has to keep slots."""
        return any(isinstance(one, SlotRequirement) for one in self.requirements)

    @property
    def peers(self) -> tuple[str, ...]:
        """The peers that paths lead to."""
        return tuple(one.peer for one in self.requirements if isinstance(one, PathRequirement))


def wishes(requirements: Sequence[Requirement]) -> tuple[Wish, ...]:
    """The requirements by network, in the order of its name."""
    by_network: dict[str, list[Requirement]] = {}
    for one in requirements:
        by_network.setdefault(one.network, []).append(one)
    return tuple(
        Wish(network=network, requirements=tuple(by_network[network]))
        for network in sorted(by_network)
    )


def check_station(view: NodeView | None, network: str, *, holds: bool = False) -> Reason | None:
    """Why the node's station cannot keep another slot of a network, if so.

    ``holds``: the pod has a slot there already, and needs no other channel.
    """
    if view is None:
        return Reason.NODE_UNKNOWN
    if view.stations is None:
        return view.station_refusal or Reason.NETWORK_NO_DAEMON
    station = view.stations.networks.get(network)
    if station is None or (station.back_end is BackEnd.NONE and not station.channels):
        return Reason.NETWORK_NO_MECHANISM
    if station.health != HEALTHY:
        return Reason.NETWORK_UNHEALTHY
    return None if station.channels or holds else Reason.NETWORK_NO_CHANNEL


def entry_of(state: NetworkState, uid: str, node: str) -> NetworkReservation | None:
    """What the pod holds of the network on that node."""
    return next(
        (held for held in state.reservations if held.owner.uid == uid and held.node == node), None
    )


def as_seen_by(state: NetworkState, uid: str, node: str) -> NetworkState:
    """The network as it is for that pod on that node.

    What the pod holds for another node is not free for it: it may be bound there, when the answer
    to its Binding was lost.
    """
    if all(held.owner.uid != uid or held.node == node for held in state.reservations):
        return state
    seen = (
        replace(held, owner=_ELSEWHERE) if held.owner.uid == uid and held.node != node else held
        for held in state.reservations
    )
    return replace(state, reservations=tuple(seen))


_ELSEWHERE = Owner(uid="-", namespace="-", name="-")

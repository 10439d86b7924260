"""Whether what a pod requires of one network can be had on a node, and the reservation for it.

A search serves all nodes that give the same answer: on a TDMA network those with the same jitter,
on a best-effort one those that reach the same peer.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

from k40s.network.model import (
    NetworkReservation,
    NetworkState,
    Owner,
    Path,
    PathRequirement,
    Requirement,
    SlotRequirement,
    Tdma,
)
from k40s.network.paths import PathSearch
from k40s.network.room import Room
from k40s.network.usage import (
    Edge,
    add_bandwidth,
    reserved_bandwidth,
    windows_of,
)
from k40s.reasons import Reason
from k40s.tdma.damage import damage
from k40s.tdma.expression import Expression, express
from k40s.tdma.model import SlotGrant, SlotRequest, SlotTable
from k40s.tdma.search import find_grant
from k40s.units import Nanoseconds

Places = Callable[[str], str | None]
"""The node of a peer: a node's own name, or that of the node a pod runs on; None while unplaced."""


class NetworkFit:
    """The answers of one network to one pod, node by node. Not for several threads at once."""

    def __init__(
        self,
        state: NetworkState,
        owner: Owner,
        requirements: Sequence[Requirement],
        *,
        places: Places,
    ) -> None:
        """``requirements`` are those on this network; what the owner holds of it counts as free."""
        self._state = state
        self._members = {member.node: member for member in state.network.members}
        self._owner = owner
        self._slots = [one.request for one in requirements if isinstance(one, SlotRequirement)]
        self._paths = [one for one in requirements if isinstance(one, PathRequirement)]
        self._held = next((r for r in state.reservations if r.owner.uid == owner.uid), None)
        self._others = [r for r in state.reservations if r.owner.uid != owner.uid]
        self._peers = {one.peer: places(one.peer) for one in self._paths}
        self._granted: dict[Nanoseconds, tuple[SlotGrant, ...] | Reason] = {}
        self._damages: dict[tuple[SlotGrant, ...], Fraction] = {}
        self._search: PathSearch | None = None
        self._room: Room | None = None

    def at(self, node: str) -> NetworkReservation | Reason:
        """The reservation that a pod needs on a node; what it holds there already, if that does."""
        if self._state.fault is not None:
            return Reason.NETWORK_INVALID
        member = self._members.get(node)
        if member is None:
            return Reason.NETWORK_NOT_MEMBER
        held = self._held
        if held is not None and held.node == node and self._suffices(held, member.jitter):
            return held
        slots = self._slots_for(member.jitter)
        if isinstance(slots, Reason):
            return slots
        paths = self._paths_from(node)
        if isinstance(paths, Reason):
            return paths
        found = NetworkReservation(owner=self._owner, node=node, slots=slots, paths=paths)
        if self._room is None:
            self._room = Room.of(self._others)
        return found if self._room.holds(found) else Reason.NETWORK_FULL

    def damage(self, reservation: NetworkReservation) -> Fraction:
        """What a reservation of ``at`` takes from later requests, from 0.

        Of a cycle, the share of begins (``k40s.tdma.damage``); of links, the shares of capacity
        along each path, added up.
        """
        taken = self._slot_damage(reservation.slots) if reservation.slots else Fraction(0)
        for path in reservation.paths:
            if path.bandwidth:
                for ends in pairwise(path.nodes):
                    capacity = self._searched.capacities.get(frozenset(ends))
                    taken += Fraction(path.bandwidth, capacity) if capacity else 0
        return taken

    def _slot_damage(self, slots: tuple[SlotGrant, ...]) -> Fraction:
        found = self._damages.get(slots)
        tdma = self._state.network.tdma
        if found is None and tdma is not None:
            table = SlotTable(cycle=tdma.cycle, windows=windows_of(self._others))
            found = Fraction(0)
            for grant in slots:
                found += damage(table, grant)
                table = replace(table, windows=(*table.windows, *grant.windows))
            self._damages[slots] = found
        return found or Fraction(0)

    def _slots_for(self, jitter: Nanoseconds) -> tuple[SlotGrant, ...] | Reason:
        if not self._slots:
            return ()
        found = self._granted.get(jitter)
        if found is None:
            found = self._granted[jitter] = self._find_slots(jitter)
        return found

    def _find_slots(self, jitter: Nanoseconds) -> tuple[SlotGrant, ...] | Reason:
        tdma = self._state.network.tdma
        if tdma is None:
            return Reason.NETWORK_INEXPRESSIBLE
        table = SlotTable(cycle=tdma.cycle, windows=windows_of(self._others))
        grants: list[SlotGrant] = []
        for request in self._slots:
            grant = find_grant(table, request, jitter=jitter)
            if isinstance(grant, Reason):
                return grant
            grants.append(grant)
            table = replace(table, windows=(*table.windows, *grant.windows))
        return tuple(grants)

    def _paths_from(self, node: str) -> tuple[Path, ...] | Reason:
        """Paths to all peers, in the order in which the pod names them."""
        paths: list[Path] = []
        own: dict[Edge, int] = {}
        for one in self._paths:
            peer = self._peers[one.peer]
            if peer is None:
                return Reason.NETWORK_PEER_UNPLACED
            if peer not in self._members:
                return Reason.NETWORK_NO_PATH
            bandwidth = one.bandwidth or 0
            nodes = self._searched.find(node, peer, delay=one.delay, bandwidth=bandwidth, own=own)
            if isinstance(nodes, Reason):
                return nodes
            paths.append(Path(peer=one.peer, nodes=nodes, bandwidth=bandwidth))
            if bandwidth and one is not self._paths[-1]:
                add_bandwidth(own, paths[-1])
        return tuple(paths)

    @property
    def _searched(self) -> PathSearch:
        if self._search is None:
            self._search = PathSearch(state=self._state, used=reserved_bandwidth(self._others))
        return self._search

    def _suffices(self, held: NetworkReservation, jitter: Nanoseconds) -> bool:
        """Whether a reservation is just what the requirements ask for today."""
        tdma = self._state.network.tdma
        if len(held.slots) != len(self._slots) or len(held.paths) != len(self._paths):
            return False
        return all(
            tdma is not None and _serves(grant, request, tdma, jitter)
            for grant, request in zip(held.slots, self._slots, strict=True)
        ) and all(
            self._reaches(path, one) for path, one in zip(held.paths, self._paths, strict=True)
        )

    def _reaches(self, path: Path, one: PathRequirement) -> bool:
        if path.peer != one.peer or path.bandwidth != (one.bandwidth or 0):
            return False
        if path.nodes[-1] != self._peers[one.peer]:
            return False
        delay = self._searched.delay(path.nodes)
        return delay is not None and (one.delay is None or delay <= one.delay)


def find_reservation(
    state: NetworkState,
    node: str,
    owner: Owner,
    requirements: Sequence[Requirement],
    *,
    places: Places,
) -> NetworkReservation | Reason:
    """The reservation by which a node meets all requirements on one network."""
    return NetworkFit(state, owner, requirements, places=places).at(node)


def _serves(grant: SlotGrant, request: SlotRequest, tdma: Tdma, jitter: Nanoseconds) -> bool:
    """Whether the grant has as many slots, as long and as often, as the request becomes."""
    form = express(tdma.cycle, request, jitter=jitter)
    return (
        isinstance(form, Expression)
        and len(grant.windows) == form.frames * form.repeats
        and all(
            (w.every, w.length, w.payload) == (form.every, form.length, form.payload)
            for w in grant.windows
        )
    )

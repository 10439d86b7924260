"""Whether what a pod requires of one network can be had on a node, and the reservation for it.

A search serves all nodes that give the same answer: on a TDMA network those with the same jitter,
on a best-effort one those that reach the same peer.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

from k40s.ledger.entry import Owner
from k40s.network.model import (
    NetworkReservation,
    NetworkState,
    Path,
    PathRequirement,
    Requirement,
    SlotRequirement,
    Tdma,
)
from k40s.network.paths import PathSearch
from k40s.network.taken import taken_by_others
from k40s.reasons import Reason
from k40s.tdma.damage import damage, never
from k40s.tdma.expression import Expression, express
from k40s.tdma.model import SlotGrant, SlotRequest, SlotTable
from k40s.tdma.search import Late, find_grant
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
        self._taken = taken_by_others(state, owner.uid)
        self._peers = {one.peer: places(one.peer) for one in self._paths}
        self._granted: dict[Nanoseconds, tuple[SlotGrant, ...] | Reason] = {}
        self._begun: dict[Nanoseconds, list[SlotGrant]] = {}
        """What a search that was given up had found: the next one goes on from there."""
        self._damages: dict[tuple[SlotGrant, ...], list[Fraction]] = {}
        self._search: PathSearch | None = None
        self._ample: dict[Nanoseconds, bool] = {}
        """By jitter: whether the object has room for the entry, however long its paths are."""

    def at(self, node: str, *, late: Late = never) -> NetworkReservation | Reason:
        """The reservation that a pod needs on a node; what it holds there already, if that does.

        Raises what ``late`` raises; the next search then goes on from there.
        """
        if self._state.fault is not None:
            return Reason.NETWORK_INVALID
        member = self._members.get(node)
        if member is None:
            return Reason.NETWORK_NOT_MEMBER
        held = self._held
        if held is not None and held.node == node and self._suffices(held, member.jitter):
            return held
        slots = self._slots_for(member.jitter, late)
        if isinstance(slots, Reason):
            return slots
        paths = self._paths_from(node)
        if isinstance(paths, Reason):
            return paths
        found = NetworkReservation(owner=self._owner, node=node, slots=slots, paths=paths)
        ample = self._ample.get(member.jitter)
        if ample is None:
            ample = self._ample[member.jitter] = self._taken.room.holds(self._longest(slots))
        return found if ample or self._taken.room.holds(found) else Reason.NETWORK_FULL

    def damage(self, reservation: NetworkReservation, *, late: Late = never) -> Fraction:
        """What a reservation of ``at`` takes from later requests, from 0.

        Of a cycle, the share of begins (``k40s.tdma.damage``); of links, the shares of capacity
        along each path, added up. Raises what ``late`` raises.
        """
        taken = self._slot_damage(reservation.slots, late) if reservation.slots else Fraction(0)
        for path in reservation.paths:
            if path.bandwidth:
                for ends in pairwise(path.nodes):
                    capacity = self._taken.graph.capacities.get(frozenset(ends))
                    taken += Fraction(path.bandwidth, capacity) if capacity else 0
        return taken

    def _slot_damage(self, slots: tuple[SlotGrant, ...], late: Late) -> Fraction:
        tdma = self._state.network.tdma
        if tdma is None:
            return Fraction(0)
        found = self._damages.setdefault(slots, [])
        if len(found) < len(slots):
            table = SlotTable(cycle=tdma.cycle, windows=self._taken.windows)
            for number, grant in enumerate(slots):
                if number == len(found):
                    found.append(damage(table, grant, late=late))
                table = replace(table, windows=(*table.windows, *grant.windows))
        return sum(found, Fraction(0))

    def _slots_for(self, jitter: Nanoseconds, late: Late) -> tuple[SlotGrant, ...] | Reason:
        if not self._slots:
            return ()
        found = self._granted.get(jitter)
        if found is None:
            found = self._granted[jitter] = self._find_slots(jitter, late)
        return found

    def _find_slots(self, jitter: Nanoseconds, late: Late) -> tuple[SlotGrant, ...] | Reason:
        tdma = self._state.network.tdma
        if tdma is None:
            return Reason.NETWORK_INEXPRESSIBLE
        grants = self._begun.setdefault(jitter, [])
        begun = (window for grant in grants for window in grant.windows)
        table = SlotTable(cycle=tdma.cycle, windows=(*self._taken.windows, *begun))
        for request in self._slots[len(grants) :]:
            grant = find_grant(table, request, jitter=jitter, late=late)
            if isinstance(grant, Reason):
                return grant
            grants.append(grant)
            table = replace(table, windows=(*table.windows, *grant.windows))
        return tuple(grants)

    def _paths_from(self, node: str) -> tuple[Path, ...] | Reason:
        """Paths to all peers, in the order in which the pod names them."""
        paths: list[Path] = []
        for one in self._paths:
            peer = self._peers[one.peer]
            if peer is None:
                return Reason.NETWORK_PEER_UNPLACED
            if peer not in self._members:
                return Reason.NETWORK_NO_PATH
            bandwidth = one.bandwidth or 0
            nodes = self._searched.find(
                node, peer, delay=one.delay, bandwidth=bandwidth, before=paths
            )
            if isinstance(nodes, Reason):
                return nodes
            paths.append(Path(peer=one.peer, nodes=nodes, bandwidth=bandwidth))
        return tuple(paths)

    def _longest(self, slots: tuple[SlotGrant, ...]) -> NetworkReservation:
        """An entry with these slots, no shorter than that of any node."""
        vertices = dict.fromkeys(self._members)
        for link in self._state.network.links:
            vertices.update(dict.fromkeys(link.ends))
        paths = (
            Path(peer=one.peer, nodes=tuple(vertices), bandwidth=one.bandwidth or 0)
            for one in self._paths
        )
        node = max(self._members, key=len, default="")
        return NetworkReservation(owner=self._owner, node=node, slots=slots, paths=tuple(paths))

    @property
    def _searched(self) -> PathSearch:
        if self._search is None:
            self._search = PathSearch(self._state, self._taken.graph)
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
    late: Late = never,
) -> NetworkReservation | Reason:
    """The reservation by which a node meets all requirements on one network."""
    return NetworkFit(state, owner, requirements, places=places).at(node, late=late)


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

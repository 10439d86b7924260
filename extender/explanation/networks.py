"""Why a network does not take the pod on a node: which network, which slot or path, and by what."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from extender.cache.snapshot import Snapshot
from extender.explanation.case import Case, Finding
from extender.explanation.wording import age, listed
from extender.placement.network_admission import NetworkAdmission, ReservedNetworks
from extender.placement.networks import Wish, wishes
from k40s.explanation.model import Figure, Obstacle
from k40s.network.model import NetworkReservation, NetworkState, PathRequirement, SlotRequirement
from k40s.network.paths import PathSearch
from k40s.network.taken import taken_by_others
from k40s.network.text import format_bit_rate
from k40s.reasons import Reason
from k40s.tdma.expression import Inexpressible, express
from k40s.tdma.model import Cycle, SlotRequest
from k40s.units import format_duration

CriticalityOf = Callable[[str], str]
"""The criticality of the bound pod with a UID, "" where it is not known."""
_OF_STATION = frozenset(
    {
        Reason.NETWORK_NO_DAEMON,
        Reason.NETWORK_STATE_STALE,
        Reason.NETWORK_STATE_INVALID,
        Reason.NETWORK_NO_MECHANISM,
        Reason.NETWORK_UNHEALTHY,
        Reason.NETWORK_NO_CHANNEL,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkFigures:
    """Explains refusals by networks. ``admission`` is the one that refused. Any thread may call."""

    admission: NetworkAdmission
    networks: ReservedNetworks
    criticality_of: CriticalityOf

    def explain(self, snapshot: Snapshot, case: Case) -> Finding:
        """The figures of the first network by name that refuses."""
        wish = self._refusing(snapshot, case)
        if wish is None:
            return Finding(detail="The network has changed since: it has room now.")
        state = self.networks.states().get(wish.network)
        if state is None:
            return Finding(detail=f"The pod requires the network {wish.network}.")
        if state.fault is not None:
            return Finding(detail=f"Network {state.name} cannot be used: {state.fault}.")
        if state.network.member(case.name) is None:
            members = listed(one.node for one in state.network.members)
            return Finding(detail=f"The members of network {state.name} are {members}.")
        if case.reason in _OF_STATION:
            return Finding(detail=_of_station(case, state.name))
        figures = (*_of_slots(state, wish, case), *self._of_paths(state, wish, case))
        return Finding(
            detail=_detail(case, state, wish, self.admission.places(wish)),
            figures=figures,
            obstacles=self._obstacles(state, case.asked.pod.uid),
            lacking=0.0,
        )

    def _refusing(self, snapshot: Snapshot, case: Case) -> Wish | None:
        """The network whose verdict is the case's reason."""
        for wish in wishes(case.asked.contract.requirements):
            found = self.admission.verdicts(
                snapshot, [case.name], case.asked.pod.uid, wish.requirements
            )
            if found[case.name].reason is not None:
                return wish
        return None

    def _of_paths(self, state: NetworkState, wish: Wish, case: Case) -> Iterator[Figure]:
        """Delay and bandwidth of the shortest path to each peer."""
        places = self.admission.places(wish)
        graph = taken_by_others(state, case.asked.pod.uid).graph
        search = PathSearch(state, graph)
        for one in wish.requirements:
            peer = places.get(one.peer) if isinstance(one, PathRequirement) else None
            if not isinstance(one, PathRequirement) or peer is None:
                continue
            path = search.find(case.name, peer, delay=None, bandwidth=0)
            if isinstance(path, Reason):
                continue
            if one.delay is not None:
                yield Figure(
                    what=f"network {state.name}, delay to {one.peer}",
                    needed=f"at most {format_duration(one.delay)}",
                    free=format_duration(search.delay(path) or 0),
                )
            rooms = [graph.links.get(a, {}).get(b, (0, None))[1] for a, b in pairwise(path)]
            known = [room for room in rooms if room is not None]
            if one.bandwidth is not None and known:
                yield Figure(
                    what=f"network {state.name}, bandwidth by {'-'.join(path)}",
                    needed=format_bit_rate(one.bandwidth),
                    free=format_bit_rate(max(min(known), 0)) if min(known) > 0 else "0",
                )

    def _obstacles(self, state: NetworkState, uid: str) -> tuple[Obstacle, ...]:
        """The pods that hold most of the network."""
        held = [one for one in state.reservations if one.owner.uid != uid]
        held.sort(key=lambda one: (-_size(one), one.owner.uid))
        return tuple(
            Obstacle(
                namespace=one.owner.namespace,
                pod=one.owner.name,
                pod_uid=one.owner.uid,
                criticality=self.criticality_of(one.owner.uid),
                what=f"network {state.name}: {_what(one)}",
            )
            for one in held
        )


def _of_station(case: Case, network: str) -> str:
    heard = case.heard
    if heard is None:
        return "The extender knows no node of that name."
    published = heard.entry.stations
    state = published.value
    station = None if state is None else state.networks.get(network)
    lease = "" if state is None else format_duration(state.lease)
    health = "nothing" if station is None else station.health
    texts = {
        Reason.NETWORK_STATE_INVALID: (
            f"The node's annotation cannot be understood: {published.fault}."
        ),
        Reason.NETWORK_STATE_STALE: (
            f"scarmiglione renewed its Lease scarmiglione-{case.name} {age(heard.scarmiglione)} "
            f"ago, and its word counts for {lease}: it is silent."
        ),
        Reason.NETWORK_UNHEALTHY: f"The station on {network} says of itself: {health}.",
        Reason.NETWORK_NO_CHANNEL: (
            f"The station on {network} has 0 free channels, and each slot takes one."
        ),
        Reason.NETWORK_NO_MECHANISM: (
            f"The node publishes no station on {network} that can keep slots."
        ),
    }
    return texts.get(case.reason, "scarmiglione has not run on the node, or its Lease is missing.")


def _detail(case: Case, state: NetworkState, wish: Wish, places: Mapping[str, str]) -> str:
    held = len(state.reservations)
    many = f"{held} pods hold" if held != 1 else "1 pod holds"
    if case.reason is Reason.NETWORK_PEER_UNPLACED:
        unplaced = listed(peer for peer in wish.peers if peer not in places)
        return f"On network {state.name} the pod requires a peer that runs nowhere yet: {unplaced}."
    if case.reason is Reason.NETWORK_INEXPRESSIBLE:
        return _inexpressible(case, state, wish)
    return f"Network {state.name} refuses it; {many} a part of it."


def _inexpressible(case: Case, state: NetworkState, wish: Wish) -> str:
    tdma = state.network.tdma
    if tdma is None:
        return f"Network {state.name} has no cycle, so it has no slots."
    for request in _slots(wish):
        found = express(tdma.cycle, request, jitter=_jitter(state, case.name))
        if isinstance(found, Inexpressible):
            nearest = found.nearest
            could = "" if nearest is None else f" The nearest that it can: {_request(nearest)}."
            return f"Network {state.name} cannot express a slot: {found.because}.{could}"
    return f"Network {state.name} cannot express the slot."


def _of_slots(state: NetworkState, wish: Wish, case: Case) -> Iterator[Figure]:
    """The share of the cycle that each slot takes, and what is free of it."""
    tdma = state.network.tdma
    if tdma is None:
        return
    used = _used(tdma.cycle, state, case.asked.pod.uid)
    for request in _slots(wish):
        found = express(tdma.cycle, request, jitter=_jitter(state, case.name))
        if isinstance(found, Inexpressible):
            continue
        share = found.frames * found.repeats * found.length / found.every / tdma.cycle.period
        yield Figure(
            what=f"network {state.name}, share of the cycle",
            needed=f"{share:.4f} (in one piece {format_duration(found.block)})",
            free=f"{max(1 - used, 0.0):.4f}",
        )


def _used(cycle: Cycle, state: NetworkState, uid: str) -> float:
    windows = (*cycle.reserved, *taken_by_others(state, uid).windows)
    return sum(one.length / one.every for one in windows) / cycle.period


def _slots(wish: Wish) -> list[SlotRequest]:
    return [one.request for one in wish.requirements if isinstance(one, SlotRequirement)]


def _jitter(state: NetworkState, node: str) -> int:
    member = state.network.member(node)
    return 0 if member is None else member.jitter


def _request(one: SlotRequest) -> str:
    size = f"{one.payload}B" if one.payload is not None else format_duration(one.length or 0)
    return f"{size} each {format_duration(one.period)}"


def _size(held: NetworkReservation) -> float:
    slots = sum(w.length / w.every for grant in held.slots for w in grant.windows)
    return slots + sum(path.bandwidth for path in held.paths)


def _what(held: NetworkReservation) -> str:
    slots = sum(len(grant.windows) for grant in held.slots)
    parts = [f"{slots} slot{'s' if slots != 1 else ''} of {held.node}"] if slots else []
    parts += [
        f"{format_bit_rate(path.bandwidth) if path.bandwidth else 'a path'} to {path.peer}"
        for path in held.paths
    ]
    return "; ".join(parts) or "nothing"

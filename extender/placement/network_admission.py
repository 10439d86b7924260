"""Which nodes have room for a pod on the networks that it requires; results are remembered.

A search takes milliseconds, a call has hundreds of nodes, and kube-scheduler retries often. The
place of a slot depends on the Network's version and on the station's jitter, not on the node; that
of a path also on the node and on the peers' nodes. So members with equal jitter share one search
until the Network changes.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from prometheus_client import Counter

from extender.cache.networks import NetworkTable
from extender.cache.pod_places import PodPlaces
from extender.cache.snapshot import Snapshot
from extender.placement.networks import (
    NetworkVerdict,
    Wish,
    check_station,
    damage,
    usable,
    wishes,
)
from k40s.network.model import (
    Member,
    NetworkReservation,
    NetworkState,
    Owner,
    PathRequirement,
    Requirement,
)
from k40s.reasons import Reason
from k40s.units import Clock, Nanoseconds

FindReservation = Callable[
    [NetworkState, Owner, str, Sequence[Requirement], Mapping[str, str]],
    NetworkReservation | Reason,
]
"""(network, owner, node, requirements, peer -> node) -> what is free for it, or why nothing is."""

_NOBODY = Owner(uid="-", namespace="-", name="-")
_MOST = 256
_Key = tuple[str, tuple[Requirement, ...], tuple[tuple[str, str], ...]]


@dataclass(slots=True)
class _Results:
    """Verdicts on one version of a Network, by jitter or by node."""

    state: NetworkState
    members: Mapping[str, Member] = field(default_factory=dict)
    found: dict[object, NetworkVerdict] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.members = {member.node: member for member in self.state.network.members}


class NetworkAdmission:
    """Network verdicts of nodes. Any thread may call; two may search the same, harmlessly."""

    def __init__(
        self,
        *,
        networks: NetworkTable,
        places: PodPlaces,
        find: FindReservation,
        counters: Mapping[str, Counter] | None,
        clock: Clock,
        patience: Nanoseconds,
    ) -> None:
        """``counters``, if any, count verdicts by origin; ``patience`` bounds one call's searches."""
        self._networks = networks
        self._places = places
        self._find = find
        self._counters = counters
        self._clock = clock
        self._patience = patience
        self._lock = threading.Lock()
        self._results: OrderedDict[_Key, _Results] = OrderedDict()

    def verdicts(
        self,
        snapshot: Snapshot,
        names: Sequence[str],
        uid: str,
        requirements: Sequence[Requirement],
    ) -> Mapping[str, NetworkVerdict]:
        """The verdict of each named node. A pod with the UID may hold something already.

        Of several networks the first by name that refuses gives the reason; damages add up.
        """
        call = _Call(self, snapshot, uid, end=self._clock() + self._patience)
        verdicts: dict[str, NetworkVerdict] = {}
        states = self._networks.states()
        for wish in wishes(requirements):
            found = call.judge(
                [name for name in names if name not in verdicts or verdicts[name].reason is None],
                wish,
                states.get(wish.network),
            )
            for name, verdict in found.items():
                former = verdicts.get(name)
                verdicts[name] = verdict if former is None else _both(former, verdict)
        if self._counters is not None:
            for origin, count in call.counts.items():
                self._counters[origin].inc(count)
        return verdicts

    def peers(self, wish: Wish) -> Mapping[str, str]:
        """The nodes of the peers that are placed, by the peer's name in the requirement."""
        found: dict[str, str] = {}
        for one in wish.requirements:
            if isinstance(one, PathRequirement):
                node = self._places.find(one.peer) if "/" in one.peer else one.peer
                if node is not None:
                    found[one.peer] = node
        return found

    def search(
        self, state: NetworkState, node: str, wish: Wish, peers: Mapping[str, str]
    ) -> NetworkVerdict:
        """Searches a place for a pod that holds nothing."""
        outcome = self._find(state, _NOBODY, node, wish.requirements, peers)
        if isinstance(outcome, Reason):
            return NetworkVerdict(reason=outcome)
        return NetworkVerdict(reason=None, damage=damage(state.network, outcome))

    def is_late(self, end: int) -> bool:
        """Whether the time of a call is used up."""
        return self._clock() >= end

    def results(self, state: NetworkState, wish: Wish, peers: Mapping[str, str]) -> _Results:
        """What is known of this version of the Network."""
        key = (wish.network, wish.requirements, tuple(sorted(peers.items())))
        with self._lock:
            known = self._results.get(key)
            if known is None or known.state is not state:
                known = self._results[key] = _Results(state)
            self._results.move_to_end(key)
            if len(self._results) > _MOST:
                self._results.popitem(last=False)
            return known


class _Call:
    """The verdicts of one call."""

    def __init__(self, admission: NetworkAdmission, snapshot: Snapshot, uid: str, end: int) -> None:
        self._admission = admission
        self._snapshot = snapshot
        self._uid = uid
        self._end = end
        self.counts = {"searched": 0, "remembered": 0, "unsearched": 0}

    def judge(
        self, names: Sequence[str], wish: Wish, state: NetworkState | None
    ) -> dict[str, NetworkVerdict]:
        """The verdict of each node on one network."""
        fault = usable(state)
        if fault is not None or state is None:
            return dict.fromkeys(names, NetworkVerdict(reason=fault))
        peers = self._admission.peers(wish)
        results = self._admission.results(state, wish, peers)
        held = {one.node: one for one in state.reservations if one.owner.uid == self._uid}
        members, known, views = results.members, results.found, self._snapshot.nodes
        verdicts: dict[str, NetworkVerdict] = {}
        for name in names:
            member = members.get(name)
            if member is None:
                verdicts[name] = _NOT_MEMBER
                continue
            if wish.of_station:
                reason = check_station(views.get(name), wish.network, holds=name in held)
                if reason is not None:
                    verdicts[name] = NetworkVerdict(reason=reason)
                    continue
            if name in held:
                verdicts[name] = self._judge_holder(held[name], wish, state, peers)
                continue
            place = (name, member.jitter) if wish.of_place else member.jitter
            verdict = known.get(place)
            if verdict is not None:
                self.counts["remembered"] += 1
            elif self._admission.is_late(self._end):
                self.counts["unsearched"] += 1
                verdict = _UNSEARCHED
            else:
                self.counts["searched"] += 1
                verdict = known[place] = self._admission.search(state, name, wish, peers)
            verdicts[name] = verdict
        return verdicts

    def _judge_holder(
        self, own: NetworkReservation, wish: Wish, state: NetworkState, peers: Mapping[str, str]
    ) -> NetworkVerdict:
        """A pod is not refused for what it holds itself."""
        others = tuple(one for one in state.reservations if one is not own)
        free = replace(state, reservations=others)
        self.counts["searched"] += 1
        return self._admission.search(free, own.node, wish, peers)


_NOT_MEMBER = NetworkVerdict(reason=Reason.NETWORK_NOT_MEMBER)
_UNSEARCHED = NetworkVerdict(reason=None, exact=False)


def _both(first: NetworkVerdict, second: NetworkVerdict) -> NetworkVerdict:
    if second.reason is not None:
        return second
    return NetworkVerdict(
        reason=None, damage=first.damage + second.damage, exact=first.exact and second.exact
    )

"""Which nodes have room for a pod on the networks that it requires; results are remembered.

A search takes milliseconds, a call has hundreds of nodes, and kube-scheduler retries often. The
place of a slot depends on the Network's version and on the station's jitter, not on the node; that
of a path also on the node and on the peers' nodes. So members with equal jitter share one search
until the Network changes. A search that runs out of its call's time goes on in the next call.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from prometheus_client import Counter

from extender.cache.pod_places import PodPlaces
from extender.cache.snapshot import Snapshot
from extender.placement.networks import (
    NetworkVerdict,
    Wish,
    as_seen_by,
    check_station,
    wishes,
)
from k40s.ledger.entry import Owner
from k40s.network.fit import NetworkFit
from k40s.network.model import NetworkState, Requirement
from k40s.reasons import Reason
from k40s.tdma.damage import never
from k40s.tdma.search import Late
from k40s.units import Clock, Nanoseconds

_ANYBODY = Owner(uid="", namespace="-", name="-")
_MOST_WISHES = 256
_MOST_VERTICES = 1_000_000
"""Of all trees of paths that are kept, some 150 bytes each."""
_UNSEARCHED = NetworkVerdict(reason=None, exact=False)
_REFUSALS = {reason: NetworkVerdict(reason=reason) for reason in Reason}
_Key = tuple[Wish, tuple[tuple[str, str], ...]]


class _TooLateError(Exception):
    """A call's time is over."""


class _Results:
    """Verdicts on one version of a Network; ``places`` are the peers' nodes."""

    def __init__(
        self, state: NetworkState, wish: Wish, places: Mapping[str, str], owner: Owner = _ANYBODY
    ) -> None:
        self.state = state
        self._wish = wish
        self._places = places
        self._fit = NetworkFit(state, owner, wish.requirements, places=places.get)
        self._lock = threading.Lock()
        by_jitter = not wish.peers
        self.classes: Mapping[str, object] = {
            member.node: member.jitter if by_jitter else member.node
            for member in state.network.members
        }
        """By member: equal ones have equal verdicts, and so have all that are no members."""
        self.known: dict[object, NetworkVerdict] = {}
        self.vertices = len(places) * (len(state.network.members) + len(state.network.links))
        """Of the trees of paths that are kept, at most."""

    def search(self, node: str, late: Late) -> NetworkVerdict:
        """Searches a place, and keeps the verdict. Raises what ``late`` raises."""
        with self._lock:
            found = self._fit.at(node, late=late)
            verdict = (
                _REFUSALS[found]
                if isinstance(found, Reason)
                else NetworkVerdict(reason=None, damage=float(self._fit.damage(found, late=late)))
            )
        self.known[self.classes.get(node)] = verdict
        return verdict

    def for_holder(self, uid: str, node: str, late: Late) -> NetworkVerdict:
        """Searches for a pod that holds something on that node, which is free for it."""
        seen, owner = as_seen_by(self.state, uid, node), replace(_ANYBODY, uid=uid)
        return _Results(seen, self._wish, self._places, owner).search(node, late)


class ReservedNetworks(Protocol):
    """Networks with what is reserved on them. A Network that does not change is the same object."""

    def states(self) -> Mapping[str, NetworkState]:
        """All Networks by name."""

    @property
    def listed(self) -> bool:
        """Whether they are known at all."""


class NetworkAdmission:
    """Network verdicts of nodes. Any thread may call."""

    def __init__(
        self,
        *,
        networks: ReservedNetworks,
        places: PodPlaces,
        counters: Mapping[str, Counter] | None,
        clock: Clock,
        patience: Nanoseconds,
    ) -> None:
        """``counters``, if any, count verdicts by origin; ``patience`` bounds a call's searches."""
        self._networks = networks
        self._places = places
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
        """The verdict of each named node. The pod with that UID may hold something already.

        Of several networks the first by name that refuses gives the reason; damages add up.
        """
        end = self._clock() + self._patience
        states = self._networks.states()
        counts = dict.fromkeys(("searched", "remembered", "unsearched"), 0)
        verdicts: dict[str, NetworkVerdict] = {}
        fitting = names
        for wish in wishes(requirements):
            state = states.get(wish.network)
            if state is None:
                why = Reason.NETWORK_UNKNOWN if self._networks.listed else Reason.API_SILENT
                verdicts.update(dict.fromkeys(fitting, _REFUSALS[why]))
                break
            call = _Call(self._results_of(state, wish), wish, snapshot, uid, counts)
            found = call.judge(fitting, late=lambda: self._clock() >= end)
            for name, verdict in found.items():
                verdicts[name] = _both(verdicts.get(name), verdict)
            fitting = [name for name in fitting if verdicts[name].reason is None]
        for origin, count in counts.items():
            if self._counters is not None:
                self._counters[origin].inc(count)
        return verdicts

    def places(self, wish: Wish) -> Mapping[str, str]:
        """The nodes of the peers that are placed, by the peer's name in the requirement."""
        found = {peer: self._places.find(peer) if "/" in peer else peer for peer in set(wish.peers)}
        return {peer: node for peer, node in found.items() if node is not None}

    @property
    def remembered(self) -> int:
        """Of how many different wishes there are results."""
        with self._lock:
            return len(self._results)

    def _results_of(self, state: NetworkState, wish: Wish) -> _Results:
        """What is known of this version of the Network."""
        places = self.places(wish)
        key = (wish, tuple(sorted(places.items())))
        with self._lock:
            known = self._results.get(key)
            if known is None or known.state is not state:
                self._forget(state)
                known = self._results[key] = _Results(state, wish, places)
            self._results.move_to_end(key)
            return known

    def _forget(self, state: NetworkState) -> None:
        """Drops what is known of other versions, and the oldest of what is too much."""
        name = state.network.name
        for key, one in list(self._results.items()):
            if key[0].network == name and one.state is not state:
                del self._results[key]
        vertices = sum(one.vertices for one in self._results.values())
        while len(self._results) >= _MOST_WISHES or vertices > _MOST_VERTICES:
            _, oldest = self._results.popitem(last=False)
            vertices -= oldest.vertices


class _Call:
    """The verdicts on one network for one pod."""

    def __init__(
        self, results: _Results, wish: Wish, snapshot: Snapshot, uid: str, counts: dict[str, int]
    ) -> None:
        self._results = results
        self._wish = wish
        self._snapshot = snapshot
        self._uid = uid
        self._counts = counts
        self._own = {held.node for held in results.state.reservations if held.owner.uid == uid}

    def judge(self, names: Sequence[str], *, late: Callable[[], bool]) -> dict[str, NetworkVerdict]:
        """The verdict of each node."""
        results, own, has_slots = self._results, self._own, self._wish.has_slots
        classes, known, views = results.classes, results.known, self._snapshot.nodes
        network = self._wish.network
        verdicts: dict[str, NetworkVerdict] = {}
        remembered = 0
        for name in names:
            kind = classes.get(name)
            if kind is None:
                verdicts[name] = known.get(None) or results.search(name, never)
                continue
            if has_slots:
                reason = check_station(views.get(name), network, holds=name in own)
                if reason is not None:
                    verdicts[name] = _REFUSALS[reason]
                    continue
            verdict = known.get(kind) if name not in own else None
            if verdict is None:
                verdict = self._search(name, late)
            else:
                remembered += 1
            verdicts[name] = verdict
        self._counts["remembered"] += remembered
        return verdicts

    def _search(self, name: str, late: Callable[[], bool]) -> NetworkVerdict:
        """Searches while there is time; bind decides where none was left."""

        def check() -> bool:
            if late():
                raise _TooLateError
            return False

        results = self._results
        try:
            check()
            verdict = (
                results.for_holder(self._uid, name, check)
                if name in self._own
                else results.search(name, check)
            )
        except _TooLateError:
            self._counts["unsearched"] += 1
            return _UNSEARCHED
        self._counts["searched"] += 1
        return verdict


def _both(first: NetworkVerdict | None, second: NetworkVerdict) -> NetworkVerdict:
    if first is None or second.reason is not None:
        return second
    return NetworkVerdict(
        reason=None, damage=first.damage + second.damage, exact=first.exact and second.exact
    )

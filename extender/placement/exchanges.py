"""The last resort of admission: nodes that exchange servers of their pods for one that has no room.

Only where nothing else takes a pod, so that it prefers nodes where nobody moves. It is foretold by
the search that the node's daemon would run, on the state that the node has published, and only for
nodes that say that they exchange. A search takes milliseconds; a call makes a few, the nodes with
the most room first, and the next call goes on. Each result is kept until the node's state changes.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from prometheus_client import Counter

from extender.cache.snapshot import NodeView, Snapshot
from extender.cache.workloads import Contract, Signature
from extender.placement.candidates import room_of
from k40s.annotations import UID_LENGTH, CpuState
from k40s.cpu.admission.resynthesis import find_exchange, may_exchange
from k40s.cpu.workload import Workload, resolve
from k40s.reasons import Reason
from k40s.units import Clock, Nanoseconds

MOST_SEARCHES = 8
"""In one call."""
_OF_CPU = "cpu."
_Known = dict[str, tuple[CpuState, bool]]


class ExchangeTable:
    """By workload and node: the state that was searched, and whether it exchanges for the pod.

    Any thread may call; two may search the same state, harmlessly.
    """

    def __init__(self, *, workloads: int = 128) -> None:
        self._workloads = workloads
        self._lock = threading.Lock()
        self._known: OrderedDict[Signature, _Known] = OrderedDict()

    def of(self, signature: Signature) -> _Known:
        """The results for one workload, by node."""
        with self._lock:
            known = self._known.setdefault(signature, {})
            self._known.move_to_end(signature)
            if len(self._known) > self._workloads:
                self._known.popitem(last=False)
            return known

    def holds(self, signature: Signature, name: str, state: CpuState | None) -> bool:
        """Whether the node is known to exchange servers for such a pod in that very state."""
        known = self._known.get(signature, {}).get(name)
        return known is not None and known[0] is state and known[1]


class FindTable(Protocol):
    """The cache of admissions, which has the table of a workload."""

    def exchanges_of(self, signature: Signature) -> ExchangeTable:
        """The table that answers for pods of that workload."""


class Exchanges:
    """Any thread may call; nothing is locked while a search runs."""

    def __init__(
        self,
        *,
        tables: FindTable,
        counters: Mapping[bool, Counter] | None,
        clock: Clock,
        patience: Nanoseconds,
        give_way: Callable[[], object] = lambda: None,
    ) -> None:
        """``counters``, if any, count searches by whether they found an exchange.

        ``patience`` bounds a call's searches, but for the last one; ``give_way`` is called before
        each.
        """
        self._tables = tables
        self._counters = counters
        self._clock = clock
        self._patience = patience
        self._give_way = give_way

    def nodes(
        self,
        snapshot: Snapshot,
        refused: Mapping[str, Reason],
        uid: str,
        contract: Contract,
        workload: Workload,
    ) -> Iterator[Sequence[str]]:
        """Refusing nodes that exchange servers for the pod: those known already, then new ones."""
        deadline = self._clock() + self._patience
        known = self._tables.exchanges_of(contract.signature).of(contract.signature)
        _evict(known, snapshot)
        foretold: list[str] = []
        unknown: list[NodeView] = []
        for view in _exchanging(snapshot, refused, uid[:UID_LENGTH]):
            result = known.get(view.name)
            if result is None or result[0] is not view.cpu:
                unknown.append(view)
            elif result[1]:
                foretold.append(view.name)
        if foretold:
            yield foretold
        yield self._search(unknown, known, workload, deadline)

    def _search(
        self, views: Sequence[NodeView], known: _Known, workload: Workload, deadline: int
    ) -> Sequence[str]:
        """Searches the nodes with the most room, as many as a call may."""
        found: list[str] = []
        searches = 0
        for _, name, state in _by_room(views):
            if searches == MOST_SEARCHES or self._clock() >= deadline:
                break
            demand = resolve(
                workload,
                pod_uid="",
                platform=state.node.platform,
                factor=state.node.platform_factor,
            )
            exchanges = False
            if not isinstance(demand, Reason) and may_exchange(state.node, demand):
                self._give_way()
                searches += 1
                exchanges = find_exchange(state.node, demand) is not None
                self._count(found=exchanges)
            known[name] = (state, exchanges)
            if exchanges:
                found.append(name)
        return found

    def _count(self, *, found: bool) -> None:
        if self._counters is not None:
            self._counters[found].inc()


def _exchanging(
    snapshot: Snapshot, refused: Mapping[str, Reason], published_uid: str
) -> Iterator[NodeView]:
    """Nodes that have no room for a pod and may exchange, unless the pod may hold some there."""
    for name, reason in refused.items():
        view = snapshot.nodes.get(name)
        if view is None or view.cpu is None or not reason.value.startswith(_OF_CPU):
            continue
        if view.holders is None or published_uid in view.holders or not view.cpu.tells_exchanges:
            continue
        yield view


def _by_room(views: Sequence[NodeView]) -> list[tuple[float, str, CpuState]]:
    """The most room first."""
    states = [(view.name, view.cpu) for view in views if view.cpu is not None]
    return sorted(
        ((-room_of(state), name, state) for name, state in states), key=lambda one: one[:2]
    )


def _evict(known: _Known, snapshot: Snapshot) -> None:
    """Evicts nodes that no longer exist, once there are many of them."""
    if len(known) > 2 * len(snapshot.nodes):
        for name in [name for name in list(known) if name not in snapshot.nodes]:
            known.pop(name, None)

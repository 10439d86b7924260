"""Whole states: what nodes publish, with the reservations that do not fit into 1 KB.

A node with many reservations publishes sums alone, and nobody could tell whom to displace there. So
a plan asks that node's daemon, for a few nodes in a call and for a bounded time; filter never does.
An answer counts only for the very state that the node has published: the daemon may be ahead of the
watch, and then the watch is waited for, or the daemon behind it, and then it is asked again.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from typing import Protocol

from extender.cache.node_entry import holders_of
from extender.cache.snapshot import NodeView, Snapshot
from extender.placement.admission_cache import FindTest
from k40s.annotations import CpuState, format_cpu_state, parse_cpu_state
from k40s.node_api.client import DaemonError
from k40s.units import NS_PER_MS, NS_PER_S, Clock, Nanoseconds

_log = logging.getLogger(__name__)

NODES_AT_ONCE = 32
"""Most nodes that one call asks; the next call asks others first."""
CALLS_AT_ONCE = 8
CALL_TIMEOUT = Nanoseconds(NS_PER_S)
"""Ends a call that nobody waits for any more."""
ROUNDS = 3
"""So often a call asks a node whose state changes meanwhile."""
LAG = Nanoseconds(20 * NS_PER_MS)
"""How long the watch is waited for after each round."""

TakeSnapshot = Callable[[], Snapshot]


class NodeStates(Protocol):
    """The states of nodes, at the endpoint that each publishes."""

    def read_state(self, endpoint: str, *, timeout: Nanoseconds) -> CpuState:
        """The state with all reservations. Raises ``DaemonError``."""


class WholeStates:
    """Any thread may call."""

    def __init__(
        self,
        *,
        nodes: NodeStates,
        tests: FindTest,
        pause: Callable[[Nanoseconds], object],
        clock: Clock,
        calls: int = CALLS_AT_ONCE,
    ) -> None:
        self._nodes = nodes
        self._tests = tests
        self._pause = pause
        self._clock = clock
        self._pool = ThreadPoolExecutor(calls, thread_name_prefix="whole-states")
        self._lock = threading.Lock()
        self._answers: dict[str, CpuState] = {}
        self._views: dict[str, tuple[NodeView, NodeView]] = {}
        self._pending: set[str] = set()
        self._turns: dict[str, int] = {}
        self._turn = 0

    def known(self, snapshot: Snapshot, names: Iterable[str]) -> dict[str, NodeView]:
        """Those of the nodes that lack their reservations, with them, as far as known by now."""
        views = {}
        for name in names:
            view = snapshot.nodes.get(name)
            if view is not None and self._lacks(view) and (whole := self._whole(view)) is not None:
                views[name] = whole
        return views

    def find(self, take: TakeSnapshot, names: Iterable[str], deadline: int) -> dict[str, NodeView]:
        """The same, having asked the daemons of nodes for which it is not known.

        No later than the deadline. A view may be newer than a snapshot taken before the call.
        """
        snapshot = take()
        chosen = self._choose(snapshot, names)
        silent: set[str] = set()
        for _ in range(ROUNDS):
            views = self.known(snapshot, chosen)
            lacking = [name for name in chosen if name not in views and name not in silent]
            if not lacking or self._clock() >= deadline:
                break
            silent |= self._ask(snapshot, lacking, deadline)
            snapshot = take()
            known = self.known(snapshot, lacking)
            if any(name not in known and name not in silent for name in lacking):
                self._pause(LAG)
                snapshot = take()
        return self.known(snapshot, chosen)

    def close(self) -> None:
        """Ends all calls."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _lacks(self, view: NodeView) -> bool:
        """Whether the node's daemon is to be asked: its test is installed here, its state cut."""
        state = view.cpu
        return state is not None and not state.complete and self._tests(state.test) is not None

    def _whole(self, view: NodeView) -> NodeView | None:
        with self._lock:
            known, answer = self._views.get(view.name), self._answers.get(view.name)
        if known is not None and known[0].cpu is view.cpu:
            if known[0] is view:
                return known[1]
            return replace(view, cpu=known[1].cpu, holders=known[1].holders)
        if answer is None or view.cpu is None or not agree(view.cpu, answer):
            return None
        whole = replace(view, cpu=answer, holders=holders_of(answer))
        with self._lock:
            self._views[view.name] = (view, whole)
        return whole

    def _choose(self, snapshot: Snapshot, names: Iterable[str]) -> list[str]:
        """All nodes that are known, and of the others those that were asked longest ago."""
        views = [snapshot.nodes[name] for name in names if name in snapshot.nodes]
        lacking = [view.name for view in views if self._lacks(view)]
        known = self.known(snapshot, lacking)
        with self._lock:
            self._forget(snapshot)
            unknown = [one for one in lacking if one not in known and one not in self._pending]
            unknown.sort(key=lambda name: self._turns.get(name, 0))
            del unknown[NODES_AT_ONCE:]
            self._turn += 1
            self._turns.update(dict.fromkeys(unknown, self._turn))
        return [*known, *unknown]

    def _forget(self, snapshot: Snapshot) -> None:
        """Drops nodes that are gone, or whose state has become short enough."""
        for table in (self._answers, self._views, self._turns):
            for name in list(table):
                view = snapshot.nodes.get(name)
                if view is None or (view.cpu is not None and view.cpu.complete):
                    table.pop(name, None)

    def _ask(self, snapshot: Snapshot, names: Iterable[str], deadline: int) -> set[str]:
        """Asks these nodes side by side; returns those that gave no answer in time."""
        asked: dict[str, Future[bool]] = {}
        for name in names:
            view = snapshot.nodes.get(name)
            if view is not None and view.cpu is not None:
                with self._lock:
                    self._pending.add(name)
                asked[name] = self._pool.submit(self._read, name, view.cpu.endpoint)
        wait(asked.values(), timeout=max(deadline - self._clock(), 0) / NS_PER_S)
        for name, future in asked.items():
            if future.cancel():
                with self._lock:
                    self._pending.discard(name)
        return {name for name, one in asked.items() if not has_answered(one)}

    def _read(self, name: str, endpoint: str) -> bool:
        """Keeps a node's answer, also one that comes late."""
        try:
            state = self._nodes.read_state(endpoint, timeout=CALL_TIMEOUT)
        except DaemonError as error:
            _log.warning("node's state not read", extra={"url": endpoint, "cause": str(error)})
            return False
        finally:
            with self._lock:
                self._pending.discard(name)
        with self._lock:
            self._answers[name] = state
        return True


def has_answered(call: "Future[bool]") -> bool:
    """Whether the call has ended, and well."""
    return call.done() and not call.cancelled() and call.result()


def agree(published: CpuState, answer: CpuState) -> bool:
    """Whether the answer is the published state with its reservations: all else is equal.

    The sums are compared as well, rounded as they are published.
    """
    if not answer.complete or answer.generation != published.generation:
        return False
    rewritten = parse_cpu_state(format_cpu_state(answer))
    return replace(rewritten, leased=published.leased) == published


def merge(snapshot: Snapshot, views: Mapping[str, NodeView]) -> Snapshot:
    """The snapshot with these CPU states; all else of a node stays as it is."""
    if not views:
        return snapshot
    nodes = dict(snapshot.nodes)
    for name, view in views.items():
        if name in nodes:
            nodes[name] = replace(nodes[name], cpu=view.cpu, holders=view.holders)
    return replace(snapshot, nodes=nodes)

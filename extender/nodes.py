"""The watched cache: what the informers say of Nodes, Leases and Pods -> an immutable snapshot."""

import heapq
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Generic, TypeVar

from extender.heartbeats import Clock, Heartbeats
from extender.loads import Loads
from extender.node_entry import NodeEntry, read_entry, view_entry
from extender.score import score_assurance
from extender.views import NodeView, Snapshot
from k40s.assurance.level import Thresholds, fitness
from k40s.criticality import Criticality
from k40s.reasons import Reason
from k40s.runtime.records import LeaseRecord, NodeRecord, PodRecord

_log = logging.getLogger(__name__)

R = TypeVar("R")
_CLASSES = (Criticality.LOW, Criticality.HI)


class NodeCache:
    """Fed by three informers (``nodes``, ``leases``, ``pods`` are their handlers).

    Every method may be called from any thread. ``snapshot`` copies only the tables that have
    changed since it was called last, so any number of changes between two calls costs one copy.
    """

    def __init__(
        self,
        *,
        thresholds: Thresholds,
        clock: Clock,
        wall: Callable[[], datetime],
    ) -> None:
        self.nodes = Feed(self.replace_nodes, self.upsert_node, self.delete_node)
        self.leases = Feed(self.replace_leases, self.upsert_lease, self.delete_lease)
        self.pods = Feed(self.replace_pods, self.upsert_pod, self.delete_pod)
        self._thresholds = thresholds
        self._clock = clock
        self._lock = threading.Condition()
        self._heartbeats = Heartbeats(clock=clock, wall=wall)
        self._loads = Loads()
        self._entries: dict[str, NodeEntry] = {}
        self._views: dict[str, NodeView] = {}
        self._refused: dict[Criticality, dict[str, Reason]] = {c: {} for c in _CLASSES}
        self._scores: dict[Criticality, dict[str, int]] = {c: {} for c in _CLASSES}
        self._silence: list[tuple[int, str]] = []
        self._version = 0
        self._changed = True
        self._snapshot = Snapshot(nodes={}, real_time={}, refused={}, scores={}, loads={})

    def snapshot(self) -> Snapshot:
        """Every node now; a daemon that has been silent for its lease counts as silent."""
        with self._lock:
            now = self._clock()
            due = set()
            while self._silence and self._silence[0][0] <= now:
                due.add(heapq.heappop(self._silence)[1])
            for name in due:
                self._look(name, now)
            if self._changed or self._loads.changed:
                self._snapshot = self._copy()
            return self._snapshot

    def wait_for_newer(self, seen: Snapshot, *, timeout: float) -> Snapshot:
        """The next snapshot whose nodes differ, or after ``timeout`` seconds the present one."""
        with self._lock:
            self._lock.wait_for(lambda: self._version != seen.version, timeout)
            return self.snapshot()

    def assume(self, uid: str, node: str) -> None:
        """Count a pod on the node it was just bound to, ahead of the watch."""
        with self._lock:
            self._loads.assume(uid, node)

    def replace_nodes(self, records: Sequence[NodeRecord]) -> None:
        """These are all nodes."""
        with self._lock:
            now = self._clock()
            for name in self._entries.keys() - {record.name for record in records}:
                self._forget(name)
            for record in records:
                self._take(record, now)

    def upsert_node(self, record: NodeRecord) -> None:
        """A node is new or has changed."""
        with self._lock:
            self._take(record, self._clock())

    def delete_node(self, name: str) -> None:
        """A node is gone."""
        with self._lock:
            self._forget(name)

    def replace_leases(self, records: Sequence[LeaseRecord]) -> None:
        """These are all leases of the namespace."""
        with self._lock:
            self._heartbeats.replace(records)
            now = self._clock()
            for name in self._entries:
                self._look(name, now)

    def upsert_lease(self, record: LeaseRecord) -> None:
        """A daemon is heard of."""
        with self._lock:
            self._heartbeats.upsert(record)
            self._look_if_silent(record.name.partition("-")[2])

    def delete_lease(self, name: str) -> None:
        """A daemon has gone for good."""
        with self._lock:
            self._heartbeats.delete(name)
            node = name.partition("-")[2]
            if node in self._entries:
                self._look(node, self._clock())

    def replace_pods(self, records: Sequence[PodRecord]) -> None:
        """These are all pods."""
        with self._lock:
            self._loads.replace(records)

    def upsert_pod(self, record: PodRecord) -> None:
        """A pod is new or has changed."""
        with self._lock:
            self._loads.upsert(record)

    def delete_pod(self, uid: str) -> None:
        """A pod is gone."""
        with self._lock:
            self._loads.delete(uid)

    def _take(self, record: NodeRecord, now: int) -> None:
        former = self._entries.get(record.name)
        entry = read_entry(record, former)
        if entry == former:
            return
        for published in (entry.assurance, entry.cpu):
            if published.fault and (former is None or published.fault not in _faults(former)):
                extra = {"node": record.name, "cause": published.fault}
                _log.warning("node annotation refused", extra=extra)
        self._entries[record.name] = entry
        self._look(record.name, now)

    def _look_if_silent(self, node: str) -> None:
        """A renewal changes a view only if it ends a silence."""
        view = self._views.get(node)
        silent = (Reason.ASSURANCE_STALE, Reason.CPU_STATE_STALE)
        if view is not None and (view.assurance in silent or view.cpu_refusal in silent):
            self._look(node, self._clock())

    def _look(self, name: str, now: int) -> None:
        entry = self._entries.get(name)
        if entry is None:
            return
        view, until = view_entry(entry, now=now, expiry=self._heartbeats.expiry)
        if until is not None:
            heapq.heappush(self._silence, (until, name))
        if view == self._views.get(name):
            return
        self._views[name] = view
        self._note_change()
        for criticality in _CLASSES:
            self._classify(view, criticality)

    def _classify(self, view: NodeView, criticality: Criticality) -> None:
        refused, scores = self._refused[criticality], self._scores[criticality]
        refused.pop(view.name, None)
        scores.pop(view.name, None)
        if view.assurance is not None:
            refused[view.name] = view.assurance
        elif not fitness(view.level, criticality, self._thresholds):
            refused[view.name] = Reason.ASSURANCE_TOO_LOW
        else:
            scores[view.name] = score_assurance(
                view.level,
                criticality=criticality,
                threshold=self._thresholds.required(criticality),
            )

    def _forget(self, name: str) -> None:
        with suppress(KeyError):
            del self._entries[name]
            del self._views[name]
            for criticality in _CLASSES:
                self._refused[criticality].pop(name, None)
                self._scores[criticality].pop(name, None)
            self._note_change()

    def _note_change(self) -> None:
        self._changed = True
        self._version += 1
        self._lock.notify_all()

    def _copy(self) -> Snapshot:
        former = self._snapshot
        loads: Mapping[str, int] = former.loads
        if self._loads.changed:
            loads = dict(self._loads.by_node)
            self._loads.changed = False
        if not self._changed:
            return Snapshot(
                nodes=former.nodes,
                real_time=former.real_time,
                refused=former.refused,
                scores=former.scores,
                loads=loads,
                version=former.version,
            )
        self._changed = False
        return Snapshot(
            nodes=dict(self._views),
            real_time={name: view for name, view in self._views.items() if view.real_time},
            refused={c: dict(table) for c, table in self._refused.items()},
            scores={c: dict(table) for c, table in self._scores.items()},
            loads=loads,
            version=self._version,
        )


def _faults(entry: NodeEntry) -> tuple[str, str]:
    return entry.assurance.fault, entry.cpu.fault


class Feed(Generic[R]):
    """What one informer calls."""

    def __init__(
        self,
        replace: Callable[[Sequence[R]], None],
        upsert: Callable[[R], None],
        delete: Callable[[str], None],
    ) -> None:
        self.replace = replace
        self.upsert = upsert
        self.delete = delete

"""Cache of Nodes, Leases and Pods from the informers, read as an immutable snapshot."""

import heapq
import logging
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress

from extender.cache.assurance_tables import AssuranceTables
from extender.cache.loads import Loads
from extender.cache.node_entry import (
    Heard,
    NodeEntry,
    StaleLabel,
    hear,
    read_entry,
    stale_labels,
    view_entry,
)
from extender.cache.snapshot import NodeView, Snapshot
from k40s.assurance.level import Thresholds
from k40s.kube.heartbeats import Heartbeats
from k40s.kube.records import LeaseRecord, NodeRecord, PodRecord
from k40s.kube.watching.feed import Feed
from k40s.reasons import Reason
from k40s.units import Clock, WallClock

_log = logging.getLogger(__name__)

_STALE = frozenset[Reason | None](
    {
        Reason.ASSURANCE_STALE,
        Reason.ASSURANCE_NO_LEASE,
        Reason.CPU_STATE_STALE,
        Reason.CPU_NO_LEASE,
        Reason.NETWORK_STATE_STALE,
        Reason.NETWORK_NO_DAEMON,
    }
)


class NodeCache:
    """Fed by three informers, whose handlers are ``nodes``, ``leases`` and ``pods``.

    Any thread may call. ``snapshot`` copies only the tables that have changed since its last call,
    so any number of changes between two calls costs one copy.
    """

    def __init__(
        self,
        *,
        thresholds: Thresholds,
        clock: Clock,
        wall: WallClock,
    ) -> None:
        self.nodes = Feed(self.replace_nodes, self.merge_nodes, self.upsert_node, self.delete_node)
        self.leases = Feed(
            self.replace_leases, self.merge_leases, self.upsert_lease, self.delete_lease
        )
        self.pods = Feed(self.replace_pods, self.merge_pods, self.upsert_pod, self.delete_pod)
        self._clock = clock
        self._lock = threading.Condition()
        self._heartbeats = Heartbeats(clock=clock, wall=wall)
        self._loads = Loads()
        self._entries: dict[str, NodeEntry] = {}
        self._views: dict[str, NodeView] = {}
        self._assurance = AssuranceTables(thresholds)
        self._expiries: list[tuple[int, str]] = []
        self._version = self._beside = 0
        self._changed = True
        self._snapshot = Snapshot(nodes={}, real_time={}, refused={}, scores={}, loads={})

    def snapshot(self) -> Snapshot:
        """All nodes now; a daemon whose Lease has expired is stale."""
        with self._lock:
            now = self._clock()
            due = set()
            while self._expiries and self._expiries[0][0] <= now:
                due.add(heapq.heappop(self._expiries)[1])
            for name in due:
                self._refresh(name, now)
            at = self._snapshot.version, self._snapshot.beside
            if self._changed or self._loads.changed or at != (self._version, self._beside):
                self._snapshot = self._copy()
            return self._snapshot

    def wait_for_newer(self, seen: Snapshot, *, timeout: float, beside: bool = False) -> Snapshot:
        """The next snapshot with changed nodes, or the current one after ``timeout`` seconds.

        ``beside``: a change beside the nodes ends the wait as well.
        """

        def is_newer() -> bool:
            return self._version != seen.version or (beside and self._beside != seen.beside)

        with self._lock:
            self._lock.wait_for(is_newer, timeout)
            return self.snapshot()

    def touch(self) -> None:
        """Something beside the nodes has changed: wakes those that wait for that too."""
        with self._lock:
            self._beside += 1
            self._lock.notify_all()

    def stale_labels(self) -> tuple[StaleLabel, ...]:
        """Labels of nodes whose daemon is stale, as far as the watches have reported."""
        with self._lock:
            now, expiry = self._clock(), self._heartbeats.expiry
            return tuple(
                label
                for entry in self._entries.values()
                for label in stale_labels(entry, now=now, expiry=expiry)
            )

    def heard(self, names: Sequence[str]) -> dict[str, Heard]:
        """What was last heard of these nodes, usable or not; those that exist."""
        with self._lock:
            now, seen = self._clock(), self._heartbeats.seen
            return {
                name: hear(entry, now=now, seen=seen)
                for name in names
                if (entry := self._entries.get(name)) is not None
            }

    def assume(self, uid: str, node: str) -> None:
        """Counts a pod on the node it was just bound to, before the watch reports it."""
        with self._lock:
            self._loads.assume(uid, node)

    def replace_nodes(self, records: Sequence[NodeRecord]) -> None:
        """Replaces all nodes."""
        with self._lock:
            now = self._clock()
            for name in self._entries.keys() - {record.name for record in records}:
                self._remove(name)
            for record in records:
                self._put(record, now)

    def merge_nodes(self, records: Sequence[NodeRecord]) -> None:
        """Adds or updates nodes from an incomplete list."""
        with self._lock:
            now = self._clock()
            for record in records:
                self._put(record, now)

    def upsert_node(self, record: NodeRecord) -> None:
        """Adds or updates a node."""
        with self._lock:
            self._put(record, self._clock())

    def delete_node(self, name: str) -> None:
        """Removes a node."""
        with self._lock:
            self._remove(name)

    def replace_leases(self, records: Sequence[LeaseRecord]) -> None:
        """Replaces all leases of the namespace."""
        self._list_leases(records, complete=True)

    def merge_leases(self, records: Sequence[LeaseRecord]) -> None:
        """Adds or updates leases from an incomplete list."""
        self._list_leases(records, complete=False)

    def upsert_lease(self, record: LeaseRecord) -> None:
        """Takes a daemon's heartbeat."""
        with self._lock:
            self._heartbeats.upsert(record)
            self._refresh_if_stale(record.name.partition("-")[2])

    def delete_lease(self, name: str) -> None:
        """Removes a daemon's Lease."""
        with self._lock:
            self._heartbeats.delete(name)
            node = name.partition("-")[2]
            if node in self._entries:
                self._refresh(node, self._clock())

    def replace_pods(self, records: Sequence[PodRecord]) -> None:
        """Replaces all pods."""
        with self._lock:
            self._loads.replace(records)

    def merge_pods(self, records: Sequence[PodRecord]) -> None:
        """Adds or updates pods from an incomplete list."""
        with self._lock:
            for record in records:
                self._loads.upsert(record)

    def upsert_pod(self, record: PodRecord) -> None:
        """Adds or updates a pod."""
        with self._lock:
            self._loads.upsert(record)

    def delete_pod(self, uid: str) -> None:
        """Removes a pod."""
        with self._lock:
            self._loads.delete(uid)

    def _list_leases(self, records: Sequence[LeaseRecord], *, complete: bool) -> None:
        with self._lock:
            self._heartbeats.replace(records, complete=complete)
            now = self._clock()
            for name in self._entries:
                self._refresh(name, now)

    def _put(self, record: NodeRecord, now: int) -> None:
        former = self._entries.get(record.name)
        entry = read_entry(record, former)
        if entry == former:
            return
        for cause in set(entry.faults).difference(former.faults if former else ()):
            _log.warning("node annotation refused", extra={"node": record.name, "cause": cause})
        self._entries[record.name] = entry
        self._refresh(record.name, now)

    def _refresh_if_stale(self, node: str) -> None:
        """A renewal changes a view only if the daemon was stale."""
        view = self._views.get(node)
        if view is None:
            return
        has_stations = self._entries[node].stations.value is not None
        silent = view.station_refusal if has_stations else None
        if not _STALE.isdisjoint((view.assurance, view.cpu_refusal, silent)):
            self._refresh(node, self._clock())

    def _refresh(self, name: str, now: int) -> None:
        entry = self._entries.get(name)
        if entry is None:
            return
        view, until = view_entry(entry, now=now, expiry=self._heartbeats.expiry)
        if until is not None:
            heapq.heappush(self._expiries, (until, name))
        if view == self._views.get(name):
            return
        self._views[name] = view
        self._mark_changed()
        self._assurance.put(name, view.level, view.assurance, reduced=view.reduced)

    def _remove(self, name: str) -> None:
        with suppress(KeyError):
            del self._entries[name]
            del self._views[name]
            self._assurance.remove(name)
            self._mark_changed()

    def _mark_changed(self) -> None:
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
                version=self._version,
                beside=self._beside,
            )
        self._changed = False
        return Snapshot(
            nodes=dict(self._views),
            real_time={name: view for name, view in self._views.items() if view.real_time},
            refused={c: dict(table) for c, table in self._assurance.refused.items()},
            scores={c: dict(table) for c, table in self._assurance.scores.items()},
            loads=loads,
            version=self._version,
            beside=self._beside,
        )

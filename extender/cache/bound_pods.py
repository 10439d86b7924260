"""Every bound pod as preemption sees it: its node, its criticality, whether it may be a victim.

A pod that is not here is unknown, whatever it is. One that was deleted a moment ago stays known as
gone, because what its node publishes still counts it.
"""

import threading
from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from extender.cache.workloads import WorkloadCache
from k40s.criticality import Criticality
from k40s.kube.records import PodRecord
from k40s.kube.watching.feed import Feed
from k40s.units import NS_PER_S, Clock

_DECISIVE = frozenset({"labels", "annotations"})
"""Fields of a record that a pod's criticality depends on."""
_MIRROR = "kubernetes.io/config.mirror"
"""Annotation of a static pod's image at the API server."""
_SYSTEM_CLASS = "system-"
_SYSTEM_NAMESPACE = "kube-system"
_GONE_FOR = 60 * NS_PER_S
"""How long a node may take to publish that a pod's reservation has ended."""
_MOST_GONE = 10_000
_ENDING_FOR = 600 * NS_PER_S
"""How long room is awaited of a pod that is ending. Its grace period is its author's to choose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundPod:
    """A bound pod. ``criticality`` is None where it cannot be told.

    ``system``: it belongs to the cluster or to k40s, or is a static pod. ``since`` is when it was
    first seen to be ending (monotonic ns).
    """

    uid: str
    namespace: str
    name: str
    node: str
    criticality: Criticality | None
    deleting: bool = False
    system: bool = False
    since: int = 0


class BoundPods:
    """Fed by an informer; any thread may read."""

    def __init__(
        self, workloads: WorkloadCache, *, namespaces: Collection[str], clock: Clock
    ) -> None:
        """``namespaces`` are those of k40s; kube-system is always one of the system's."""
        self._workloads = workloads
        self._namespaces = frozenset({*namespaces, _SYSTEM_NAMESPACE})
        self._clock = clock
        self._lock = threading.Lock()
        self._by_uid: dict[str, BoundPod] = {}
        self._by_node: dict[str, dict[str, BoundPod]] = {}
        self._gone: OrderedDict[str, tuple[str, int]] = OrderedDict()  # UID -> node, when
        self.feed = Feed(self.replace, self.merge, self.upsert, self.delete)

    def find(self, uid: str) -> BoundPod | None:
        """The bound pod with that UID."""
        with self._lock:
            return self._by_uid.get(uid)

    def on(self, node: str) -> list[BoundPod]:
        """The pods that are bound to a node."""
        with self._lock:
            return list(self._by_node.get(node, {}).values())

    def ending_on(self, node: str) -> list[str]:
        """UIDs of pods that are ending on a node, and have not been for minutes."""
        since = self._clock() - _ENDING_FOR
        return [pod.uid for pod in self.on(node) if pod.deleting and pod.since > since]

    def gone_from(self, node: str) -> list[str]:
        """UIDs of pods that have left the node a moment ago."""
        since = self._clock() - _GONE_FOR
        with self._lock:
            return [uid for uid, (was, at) in self._gone.items() if was == node and at > since]

    def replace(self, records: Sequence[PodRecord]) -> None:
        """Takes all pods; those that were known and are missing are gone."""
        with self._lock:
            for uid in self._by_uid.keys() - {record.uid for record in records}:
                self._remove(uid)
        self.merge(records)

    def merge(self, records: Sequence[PodRecord]) -> None:
        """Adds or updates pods from an incomplete list."""
        for record in records:
            self.upsert(record)

    def upsert(self, record: PodRecord) -> None:
        """Takes a pod. A bound one stays bound until it ends."""
        with self._lock:
            former = self._by_uid.get(record.uid)
            node = record.node or (former.node if former else "")
            if record.ended:
                self._remove(record.uid)
            elif node:
                pod = self._read(record, node)
                if former is not None and any(f.field in _DECISIVE for f in record.faults):
                    pod = replace(pod, criticality=former.criticality, system=former.system)
                if pod.deleting:
                    began = former.since if former and former.deleting else self._clock()
                    pod = replace(pod, since=began)
                self._by_uid[pod.uid] = pod
                self._by_node.setdefault(node, {})[pod.uid] = pod

    def delete(self, uid: str) -> None:
        """Removes a pod: it is gone."""
        with self._lock:
            self._remove(uid)

    def _remove(self, uid: str) -> None:
        pod = self._by_uid.pop(uid, None)
        if pod is None:
            return
        on_node = self._by_node[pod.node]
        del on_node[uid]
        if not on_node:
            del self._by_node[pod.node]
        self._gone[uid] = (pod.node, self._clock())
        if len(self._gone) > _MOST_GONE:
            self._gone.popitem(last=False)

    def _read(self, record: PodRecord, node: str) -> BoundPod:
        workload = None
        if not any(fault.field in _DECISIVE for fault in record.faults):
            workload = self._workloads.read_pod(record, held=True).workload
        return BoundPod(
            uid=record.uid,
            namespace=record.namespace,
            name=record.name,
            node=node,
            criticality=None if workload is None else workload.criticality,
            deleting=record.deleting,
            system=record.namespace in self._namespaces
            or record.priority_class.startswith(_SYSTEM_CLASS)
            or _MIRROR in record.annotations,
        )

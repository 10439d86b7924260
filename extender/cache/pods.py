"""Watched pods: the version that bind may rely on, and bound pods that need admission."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace

from extender.cache.workloads import ObservedPod, WorkloadCache
from k40s.annotations import ALLOCATION_KEY, NETWORK_GRANT_KEY
from k40s.criticality import Criticality
from k40s.kube.records import PodRecord
from k40s.kube.watching.feed import Feed

_READ = frozenset(
    {
        *("labels", "annotations", "node", "runtime_class"),
        *("containers", "sidecars", "init_containers"),
    }
)
"""Fields of a record that a pod's workload and its isolation depend on."""


class PodTable:
    """Fed by an informer; any thread may read.

    Keeps pods that have not ended: bound ones with a criticality other than NO, real-time tasks,
    requirements of networks or invalid annotations, and unbound ones as long as the annotations
    that state them have fewer than ``characters`` characters in total. Users may leave any number
    of pods unbound; bind asks the API server for one that is not kept.

    An unreadable pod keeps its last known workload, without a version.
    """

    def __init__(self, workloads: WorkloadCache, *, characters: int = 16 << 20) -> None:
        self._workloads = workloads
        self._characters = characters
        self._lock = threading.Lock()
        self._pods = _Kept(characters)
        self.feed = Feed(self.replace, self.merge, self.upsert, self.delete)

    def replace(self, records: Sequence[PodRecord]) -> None:
        """Replaces all pods."""
        kept = _Kept(self._characters)
        for record in records:
            kept.put(record.uid, self._read(record))
        with self._lock:
            self._pods = kept

    def merge(self, records: Sequence[PodRecord]) -> None:
        """Adds or updates pods from an incomplete list."""
        for record in records:
            self.upsert(record)

    def upsert(self, record: PodRecord) -> None:
        """Adds or updates a pod."""
        pod = self._read(record)
        with self._lock:
            self._pods.put(record.uid, pod)

    def delete(self, uid: str) -> None:
        """Removes a pod."""
        with self._lock:
            self._pods.put(uid, None)

    def find(self, uid: str) -> ObservedPod | None:
        """The pod, if it is kept."""
        with self._lock:
            return self._pods.bound.get(uid) or self._pods.unbound.get(uid)

    def bound(self) -> list[ObservedPod]:
        """The bound pods that are kept."""
        with self._lock:
            return list(self._pods.bound.values())

    def _read(self, record: PodRecord) -> ObservedPod | None:
        """The pod, if it is to be kept."""
        if record.ended:
            return None
        if any(fault.field in _READ for fault in record.faults):
            pod = self.find(record.uid) or observe_pod(record, self._workloads)
            pod = replace(pod, resource_version="")
        else:
            pod = observe_pod(record, self._workloads)
        return pod if not pod.node or _needs_admission(pod) else None


class _Kept:
    """Pods by UID; the oldest unbound ones are evicted when their tasks are too long in total."""

    def __init__(self, characters: int) -> None:
        self.bound: dict[str, ObservedPod] = {}
        self.unbound: OrderedDict[str, ObservedPod] = OrderedDict()
        self._characters = characters
        self._held = 0

    def put(self, uid: str, pod: ObservedPod | None) -> None:
        """Stores a pod; None removes it."""
        self.bound.pop(uid, None)
        self._drop(uid)
        if pod is None:
            return
        if pod.node:
            self.bound[uid] = pod
            return
        self.unbound[uid] = pod
        self._held += pod.length
        while self._held > self._characters:
            self._drop(next(iter(self.unbound)))

    def _drop(self, uid: str) -> None:
        former = self.unbound.pop(uid, None)
        if former is not None:
            self._held -= former.length


def observe_pod(record: PodRecord, workloads: WorkloadCache) -> ObservedPod:
    """Reads a watched pod. A bound one may ask for more than a new one may."""
    return ObservedPod(
        uid=record.uid,
        namespace=record.namespace,
        name=record.name,
        resource_version=record.resource_version,
        contract=workloads.read_pod(record, held=bool(record.node)),
        node=record.node,
        granted=ALLOCATION_KEY in record.annotations,
        network_granted=NETWORK_GRANT_KEY in record.annotations,
        runtime_class=record.runtime_class,
    )


def _needs_admission(pod: ObservedPod) -> bool:
    workload = pod.contract.workload
    if workload is None or pod.contract.requirements:
        return True
    return workload.criticality is not Criticality.NO

"""The pods of the cluster: those that may have to move, to wait or to go for others."""

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from controller.cluster.watched_pods import WatchedPod, watch_pod
from k40s.assurance.migration.candidates import PlacedPod
from k40s.assurance.migration.record import Phase
from k40s.criticality import Criticality
from k40s.kube.objects.managed_pods import ManagedPodRecord

_REPLACES_AT_ONCE = ("ReplicaSet", "ReplicationController", "Job")
"""Controllers that replace a pod as soon as it is ending; a StatefulSet waits for its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodView:
    """All watched pods at one instant."""

    pods: Mapping[str, WatchedPod]

    @property
    def placed(self) -> list[PlacedPod]:
        """LOW and HI pods that no move has begun for, and that are not ending."""
        return [
            one.placed
            for one in self.pods.values()
            if one.placed is not None
            and not one.record.pod.deleting
            and not one.record.pod.ended
            and (one.release is None or one.release.phase is Phase.RETURNED)
        ]

    @property
    def released(self) -> list[WatchedPod]:
        """Pods that are released from their owner and not yet gone, in the order of their time."""
        found = [
            (one.release.at, one)
            for one in self.pods.values()
            if one.release is not None and one.release.phase is Phase.RELEASED
        ]
        return [one for _, one in sorted(found, key=lambda pair: pair[0])]

    @property
    def claiming(self) -> list[WatchedPod]:
        """Pods with an annotation about a preemption, in the order of their claims."""
        found = [one for one in self.pods.values() if one.claiming]
        return sorted(found, key=lambda one: (one.claim.at if one.claim else 0, one.record.key))

    def waiting(self, scheduler: str) -> list[WatchedPod]:
        """LOW and HI pods of this scheduler that no node would take, and that may preempt."""
        return [
            one
            for one in self.pods.values()
            if one.record.unschedulable
            and not one.record.pod.node
            and one.criticality in (Criticality.LOW, Criticality.HI)
            and one.record.preempts
            and one.record.created is not None
            and one.record.pod.scheduler == scheduler
            and not (one.record.pod.deleting or one.record.pod.ended)
        ]

    def siblings(self, controller: str, *, beside: str) -> list[ManagedPodRecord]:
        """Pods of a controller, by its UID, but for ``beside``, ended and replaced ones."""
        return [
            one.record
            for uid, one in self.pods.items()
            if uid != beside
            and one.record.controller is not None
            and one.record.controller.uid == controller
            and _counts(one.record)
        ]

    def ready(self, controller: str, *, beside: str) -> int:
        """How many of these are ready and not ending."""
        return sum(_serves(one) for one in self.siblings(controller, beside=beside))

    def is_settled(self, owner: str) -> bool:
        """Whether all pods of an owner are ready and none is ending; one without pods is gone."""
        own = [one.record for one in self.pods.values() if one.owner == owner]
        return all(_serves(one) for one in own if not one.pod.ended)

    def requested_millis(self) -> Mapping[str, int]:
        """CPU requested on each node."""
        requested: Counter[str] = Counter()
        for one in self.pods.values():
            if not one.record.pod.ended:
                requested[one.record.pod.node] += one.record.pod.cpu_request_millis
        return requested


class PodTable:
    """Handler of Pods. Any thread may call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pods: dict[str, WatchedPod] = {}

    def view(self) -> PodView:
        """A copy that does not change."""
        with self._lock:
            return PodView(pods=dict(self._pods))

    def replace(self, records: Sequence[ManagedPodRecord]) -> None:
        """All Pods."""
        found = [watch_pod(one) for one in records]
        with self._lock:
            self._pods = {one.record.key: one for one in found if _is_kept(one)}

    def merge(self, records: Sequence[ManagedPodRecord]) -> None:
        """Some of them."""
        for record in records:
            self.upsert(record)

    def upsert(self, record: ManagedPodRecord) -> None:
        """A Pod is new or has changed."""
        pod = watch_pod(record)
        with self._lock:
            if _is_kept(pod):
                self._pods[record.key] = pod
            else:
                self._pods.pop(record.key, None)

    def delete(self, key: str) -> None:
        """A Pod is gone."""
        with self._lock:
            self._pods.pop(key, None)


def _counts(record: ManagedPodRecord) -> bool:
    """Whether a pod is one of those that its controller wants, although it may be ending."""
    owner = record.controller
    replaced = record.pod.deleting and owner is not None and owner.kind in _REPLACES_AT_ONCE
    return not record.pod.ended and not replaced


def _serves(record: ManagedPodRecord) -> bool:
    return record.ready and not record.pod.deleting


def _is_kept(pod: WatchedPod) -> bool:
    record = pod.record.pod
    wanted = bool(record.node) or bool(pod.owner)
    return pod.release is not None or pod.claiming or (wanted and not record.ended)

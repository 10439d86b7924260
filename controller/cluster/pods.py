"""The pods of the cluster: those that may have to move, and those that are being moved."""

import logging
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from k40s.annotations import MIGRATION_KEY, TASKS_KEY, parse_release, read_workload
from k40s.annotations.migration import wall_nanoseconds
from k40s.assurance.migration.candidates import PlacedPod
from k40s.assurance.migration.record import Phase, Release
from k40s.criticality import Criticality
from k40s.errors import InvalidAnnotationError
from k40s.kube.objects.managed_pods import MIRROR_KEY, ControllerRef, ManagedPodRecord
from k40s.kube.pod_control import TEMPLATE_HASH_LABEL
from k40s.kube.records import ObjectRef

log = logging.getLogger(__name__)

_DECISIVE = frozenset({"labels", "annotations", "node", "phase", "controller", "created"})
"""Fields of a record without which nobody knows whether a pod may be moved."""
_REPLACES_AT_ONCE = ("ReplicaSet", "ReplicationController", "Job")
"""Controllers that replace a pod as soon as it is ending; a StatefulSet waits for its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedPod:
    """A pod that has not ended, or one that is being moved.

    ``owner`` is "" for a pod of criticality NO, one whose annotations are invalid, and one of which
    something decisive cannot be read: these are never moved. ``placed`` is None for them, and for
    a pod without a node.
    """

    record: ManagedPodRecord
    owner: str
    placed: PlacedPod | None
    release: Release | None

    @property
    def reference(self) -> ObjectRef:
        """For events."""
        pod = self.record.pod
        return ObjectRef(kind="Pod", namespace=pod.namespace, name=pod.name, uid=pod.uid)

    @property
    def real_time(self) -> bool:
        """Whether it declares real-time tasks."""
        return TASKS_KEY in self.record.pod.annotations


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


def watch_pod(record: ManagedPodRecord) -> WatchedPod:
    """Read what a record says."""
    release = _read_release(record)
    criticality = _read_criticality(record)
    return WatchedPod(
        record=record,
        owner="" if criticality is Criticality.NO else owner_of(record),
        placed=_place(record, release, criticality),
        release=release,
    )


def owner_of(record: ManagedPodRecord) -> str:
    """Kind, namespace and name of whoever decides on a pod's replicas.

    A Deployment's name is that of its ReplicaSet without the hash of the template, which is on the
    pod as a label: so a rollout does not make another owner of it.
    """
    controller, pod = record.controller, record.pod
    if controller is None:
        return f"Pod {pod.namespace}/{pod.name}"
    name = deployment_of(controller, pod.labels)
    if name:
        return f"Deployment {pod.namespace}/{name}"
    return f"{controller.kind} {pod.namespace}/{controller.name}"


def deployment_of(controller: ControllerRef, labels: Mapping[str, str]) -> str:
    """The name of the Deployment that a pod's ReplicaSet seems to belong to, or ""."""
    ending = f"-{labels.get(TEMPLATE_HASH_LABEL, '')}"
    if controller.kind == "ReplicaSet" and len(ending) > 1 and controller.name.endswith(ending):
        return controller.name.removesuffix(ending)
    return ""


def _counts(record: ManagedPodRecord) -> bool:
    """Whether a pod is one of those that its controller wants, although it may be ending."""
    owner = record.controller
    replaced = record.pod.deleting and owner is not None and owner.kind in _REPLACES_AT_ONCE
    return not record.pod.ended and not replaced


def _serves(record: ManagedPodRecord) -> bool:
    return record.ready and not record.pod.deleting


def _is_kept(pod: WatchedPod) -> bool:
    record = pod.record.pod
    wanted = bool(record.node) or (bool(pod.owner) and pod.record.controller is not None)
    return pod.release is not None or (wanted and not record.ended)


def _read_criticality(record: ManagedPodRecord) -> Criticality:
    """The criticality; NO where it is unknown, since such a pod is not moved."""
    pod = record.pod
    if any(fault.field in _DECISIVE for fault in record.faults):
        return Criticality.NO
    try:
        return read_workload(
            labels=pod.labels,
            annotations=pod.annotations,
            containers=pod.containers,
            sidecars=pod.sidecars,
            init_containers=pod.init_containers,
            held=True,
        ).criticality
    except InvalidAnnotationError:
        return Criticality.NO


def _place(
    record: ManagedPodRecord, release: Release | None, criticality: Criticality
) -> PlacedPod | None:
    pod = record.pod
    if criticality is Criticality.NO or not pod.node or record.created is None:
        return None
    returned = release is not None and release.phase is Phase.RETURNED
    return PlacedPod(
        uid=pod.uid,
        namespace=pod.namespace,
        name=pod.name,
        node=pod.node,
        criticality=criticality,
        kind="" if record.controller is None else record.controller.kind,
        owner=owner_of(record),
        created=wall_nanoseconds(record.created),
        static=MIRROR_KEY in pod.annotations,
        returned=release.at if release is not None and returned else None,
    )


def _read_release(record: ManagedPodRecord) -> Release | None:
    text = record.pod.annotations.get(MIGRATION_KEY)
    if text is None:
        return None
    try:
        return parse_release(text)
    except InvalidAnnotationError as error:
        extra = {"pod": f"{record.pod.namespace}/{record.pod.name}", "cause": str(error)}
        log.error("annotation of a move refused", extra=extra)  # noqa: TRY400  # the text says it all
        return None

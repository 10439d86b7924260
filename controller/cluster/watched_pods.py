"""A pod of the cluster, as moving and preempting need it: its owner, criticality and claims."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from k40s.annotations import (
    MIGRATION_KEY,
    PREEMPTION_KEY,
    TASKS_KEY,
    Claim,
    parse_claim,
    parse_release,
    read_workload,
)
from k40s.annotations.wall_times import wall_nanoseconds
from k40s.assurance.migration.candidates import PlacedPod
from k40s.assurance.migration.record import Phase, Release
from k40s.criticality import Criticality
from k40s.errors import InvalidAnnotationError
from k40s.kube.objects.managed_pods import MIRROR_KEY, ControllerRef, ManagedPodRecord
from k40s.kube.records import ObjectRef
from k40s.kube.writing.pod_control import TEMPLATE_HASH_LABEL

log = logging.getLogger(__name__)

_DECISIVE = frozenset({"labels", "annotations", "node", "phase", "controller", "created"})
"""Fields of a record without which nobody knows whether a pod may be moved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedPod:
    """A pod that has not ended, or one that is being moved.

    ``owner`` is "" for a pod of criticality NO, one whose annotations are invalid, and one of which
    something decisive cannot be read: these are never moved. ``placed`` is None for them, and for
    a pod without a node. ``criticality`` is None where it is unknown. A pod whose annotation about
    a preemption cannot be read is ``claiming`` without a ``claim``.
    """

    record: ManagedPodRecord
    owner: str
    placed: PlacedPod | None
    release: Release | None
    criticality: Criticality | None = None
    claiming: bool = False
    claim: Claim | None = None

    @property
    def reference(self) -> ObjectRef:
        """For events."""
        pod = self.record.pod
        return ObjectRef(kind="Pod", namespace=pod.namespace, name=pod.name, uid=pod.uid)

    @property
    def static(self) -> bool:
        """Whether it is a static pod of its node, which no API server starts or ends."""
        controller = self.record.controller
        mirrored = MIRROR_KEY in self.record.pod.annotations
        return mirrored or (controller is not None and controller.kind == "Node")

    @property
    def real_time(self) -> bool:
        """Whether it declares real-time tasks."""
        return TASKS_KEY in self.record.pod.annotations


def watch_pod(record: ManagedPodRecord) -> WatchedPod:
    """Read what a record says."""
    release = _read_release(record)
    criticality = _read_criticality(record)
    return WatchedPod(
        record=record,
        owner="" if not criticality else owner_of(record),
        placed=_place(record, release, criticality or Criticality.NO),
        release=release,
        criticality=criticality,
        claiming=PREEMPTION_KEY in record.pod.annotations,
        claim=_read_claim(record),
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


def _read_criticality(record: ManagedPodRecord) -> Criticality | None:
    """The criticality; None where it is unknown: such a pod is not moved, and makes no room."""
    if any(fault.field in _DECISIVE for fault in record.faults):
        return None
    return criticality_of(record)


def criticality_of(record: ManagedPodRecord) -> Criticality | None:
    """What the annotations say, None where they are invalid; whatever else cannot be read."""
    pod = record.pod
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
        return None


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


def _read_claim(record: ManagedPodRecord) -> Claim | None:
    text = record.pod.annotations.get(PREEMPTION_KEY)
    if text is None:
        return None
    try:
        return parse_claim(text)
    except InvalidAnnotationError as error:
        extra = {"pod": f"{record.pod.namespace}/{record.pod.name}", "cause": str(error)}
        log.error("annotation of a preemption refused", extra=extra)  # noqa: TRY400  # the text says it all
        return None

"""A pod that is to be moved: read at one version, and released from its ReplicaSet."""

from dataclasses import dataclass

from controller.cluster.watched_pods import watch_pod
from controller.migration.method import RELEASED, Plan
from controller.migration.ports import Control
from k40s.annotations import format_release
from k40s.assurance.migration.candidates import PlacedPod
from k40s.assurance.migration.record import Phase, Release
from k40s.errors import UnreadableError
from k40s.kube.objects.fields import JsonObject, NamelessError
from k40s.kube.objects.managed_pods import ManagedPodRecord, managed_pod_record
from k40s.kube.transport import ConflictError, NotFoundError

_TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A pod that is to be moved, at one version, and how."""

    pod: PlacedPod
    item: JsonObject
    record: ManagedPodRecord
    plan: Plan
    why: str
    ready_siblings: int
    """Ready pods of the same controller without this one."""


def read_pod(control: Control, pod: PlacedPod) -> tuple[JsonObject, ManagedPodRecord] | None:
    """Its object as the API server has it now; None if it is no longer the one that was seen.

    Raises ``UnavailableError``, of which ``UnreadableError`` is about the object.
    """
    try:
        item = control.pod(pod.namespace, pod.name)
        record = managed_pod_record(item)
    except NotFoundError:
        return None
    except NamelessError as error:
        raise UnreadableError(str(error)) from error
    current = watch_pod(record)
    moving = current.release is not None and current.release.phase is Phase.RELEASED
    if record.pod.uid != pod.uid or record.pod.deleting or moving or current.placed != pod:
        return None
    return item, record


def release(control: Control, case: Case, now: int) -> None:
    """In one write: its ReplicaSet loses it, and it says how its move is to be finished.

    A pod whose status was written meanwhile is read again. Raises ``ConflictError`` when it is
    another one by now, ``NotFoundError``, and ``UnavailableError``: then it may have happened.
    """
    pod, plan, replica_set = case.record.pod, case.plan, case.plan.replica_set
    if replica_set is None:
        raise ValueError("a surge without a ReplicaSet")
    written = Release(
        phase=Phase.RELEASED,
        at=now,
        node=pod.node,
        owner=case.pod.owner,
        replica_set=replica_set.name,
        replica_set_uid=replica_set.uid,
        template_hash=plan.template_hash,
        wanted=min(replica_set.replicas, case.ready_siblings + 1),
    )
    for left in reversed(range(_TRIES)):
        try:
            control.mark(
                pod.namespace,
                pod.name,
                uid=pod.uid,
                resource_version=pod.resource_version,
                template_hash=plan.template_hash + RELEASED,
                migration=format_release(written),
            )
        except ConflictError:
            read = read_pod(control, case.pod) if left else None
            if read is None:
                raise
            pod = read[1].pod
        else:
            return

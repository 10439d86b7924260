"""JSON of the API server -> records.

Every object that has its names becomes a record, whose faults are its unreadable fields. Without
its names it raises ``NamelessError``.
"""

from datetime import UTC, datetime

from k40s.annotations import ENFORCED_CONDITION
from k40s.kube.objects.containers import (
    container_ids,
    container_names,
    container_states,
    ephemeral_container_names,
    init_container_names,
)
from k40s.kube.objects.fields import Fields, JsonObject, NamelessError, names, version
from k40s.kube.objects.pod_requests import cpu_request_millis
from k40s.kube.objects.quantity import NANO, parse_quantity
from k40s.kube.records import LeaseRecord, NodeRecord, PodCondition, PodRecord
from k40s.units import NS_PER_S, Nanoseconds

__all__ = [
    "JsonObject",
    "NamelessError",
    "lease_record",
    "node_record",
    "parse_cpu_millis",
    "pod_record",
    "version",
]

_LONGEST_LEASE_S = (1 << 31) - 1
_OF_SPEC = (
    *("node", "scheduler", "cpu_request_millis", "priority_class", "runtime_class"),
    *("containers", "sidecars", "init_containers", "ephemeral_containers"),
)
_OF_STATUS = ("phase", "container_ids", "states", "address")


def node_record(item: JsonObject) -> NodeRecord:
    """Read a Node, or the PartialObjectMetadata of one. One without labels is not real-time."""
    (name,) = names(item, "name")
    fields = Fields()
    meta = _part(item, "metadata")
    return NodeRecord(
        name=name,
        labels=fields.texts("labels", "metadata.labels", meta.get("labels")),
        annotations=fields.texts("annotations", "metadata.annotations", meta.get("annotations")),
        resource_version=version(item),
        faults=fields.faults,
    )


def pod_record(item: JsonObject) -> PodRecord:
    """Read a Pod; init containers are not among ``containers``, but count for the CPU request.

    One whose phase cannot be read has not ended.
    """
    uid, namespace, name = names(item, "uid", "namespace", "name")
    fields = Fields()
    meta = _part(item, "metadata")
    spec, status = _part(item, "spec"), _part(item, "status")
    if not _is_object(item, "spec"):
        for field in _OF_SPEC:
            fields.refuse(field, "spec", item.get("spec"), "an object")
    if not _is_object(item, "status") and item.get("status") is not None:
        for field in _OF_STATUS:
            fields.refuse(field, "status", item["status"], "an object")
    return PodRecord(
        uid=uid,
        namespace=namespace,
        name=name,
        node=fields.text("node", "spec.nodeName", spec.get("nodeName")),
        phase=fields.text("phase", "status.phase", status.get("phase")),
        labels=fields.texts("labels", "metadata.labels", meta.get("labels")),
        annotations=fields.texts("annotations", "metadata.annotations", meta.get("annotations")),
        containers=container_names(fields, spec),
        sidecars=init_container_names(fields, spec, restartable=True),
        init_containers=init_container_names(fields, spec, restartable=False),
        ephemeral_containers=ephemeral_container_names(fields, spec),
        container_ids=container_ids(fields, status),
        states=container_states(fields, status),
        deleting=bool(meta.get("deletionTimestamp")),
        cpu_request_millis=cpu_request_millis(fields, spec, status),
        scheduler=fields.text("scheduler", "spec.schedulerName", spec.get("schedulerName")),
        resource_version=version(item),
        enforced=_condition(fields, status, ENFORCED_CONDITION),
        priority_class=fields.text(
            "priority_class", "spec.priorityClassName", spec.get("priorityClassName")
        ),
        address=fields.text("address", "status.podIP", status.get("podIP")),
        host_network=spec.get("hostNetwork") not in (None, False),
        runtime_class=fields.text(
            "runtime_class", "spec.runtimeClassName", spec.get("runtimeClassName")
        ),
        faults=fields.faults,
    )


def lease_record(item: JsonObject) -> LeaseRecord:
    """Read a coordination.k8s.io/v1 Lease. An unreadable renewal counts as none, the safe side."""
    (name,) = names(item, "name")
    fields = Fields()
    spec = fields.part("renewed", "spec", item.get("spec"))
    return LeaseRecord(
        name=name,
        holder=fields.text("holder", "spec.holderIdentity", spec.get("holderIdentity")),
        renewed=_renewed(fields, spec),
        duration=_duration(fields, spec),
        faults=fields.faults,
    )


def parse_cpu_millis(quantity: str) -> int:
    """Read a CPU quantity (``"250m"``, ``"1.5"``) as thousandths, rounded up as kubelet does.

    Raises ``ValueError`` for what is none.
    """
    return -(-parse_quantity(quantity) // (NANO // 1000))


def _is_object(item: JsonObject, key: str) -> bool:
    return isinstance(item.get(key), dict)


def _part(item: JsonObject, key: str) -> JsonObject:
    part = item.get(key)
    return part if isinstance(part, dict) else {}


def _condition(fields: Fields, status: JsonObject, kind: str) -> PodCondition | None:
    """Our condition of the pod; an unreadable one counts as none, and will be written again."""
    for path, condition in fields.parts("enforced", "status.conditions", status.get("conditions")):
        if condition.get("type") == kind:
            return PodCondition(
                status=condition.get("status") == "True",
                reason=fields.text("enforced", f"{path}.reason", condition.get("reason")),
                message=fields.text("enforced", f"{path}.message", condition.get("message")),
            )
    return None


def _renewed(fields: Fields, spec: JsonObject) -> datetime | None:
    """RFC 3339, in upper or lower case; digits beyond microseconds are cut off."""
    text = fields.text("renewed", "spec.renewTime", spec.get("renewTime"))
    if not text:
        return None
    try:
        renewed = datetime.fromisoformat(text.upper())
        if renewed.utcoffset() is not None:
            return renewed.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    fields.refuse("renewed", "spec.renewTime", text, "a time with its zone, in RFC 3339")
    return None


def _duration(fields: Fields, spec: JsonObject) -> Nanoseconds:
    path, found = "spec.leaseDurationSeconds", spec.get("leaseDurationSeconds")
    if found is None:
        return Nanoseconds(0)
    if isinstance(found, int) and not isinstance(found, bool) and 0 <= found <= _LONGEST_LEASE_S:
        return Nanoseconds(found * NS_PER_S)
    fields.refuse("duration", path, found, f"a whole number from 0 to {_LONGEST_LEASE_S}")
    return Nanoseconds(0)

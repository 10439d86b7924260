"""Pods with what moving or preempting one depends on: controller, readiness, age, condition."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from k40s.kube.objects.fields import Fields, JsonObject
from k40s.kube.objects.read import pod_record
from k40s.kube.records import Fault, PodRecord
from k40s.units import NS_PER_S, Nanoseconds

MIRROR_KEY = "kubernetes.io/config.mirror"
"""Annotation on the API object of a static pod."""
_KIND = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,62}", re.ASCII)
_NAME = re.compile(r"[!-.0-~]{1,253}", re.ASCII)
_UID = re.compile(r"[!-~]{1,128}", re.ASCII)
_DEFAULT_GRACE_S = 30
_LONGEST_GRACE_S = (1 << 31) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerRef:
    """The controller of an object: the owner that creates another one in its place."""

    kind: str
    name: str
    uid: str
    api_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagedPodRecord:
    """A Pod. ``created`` is None where it cannot be read; ``controller`` where there is none.

    ``unschedulable``: its scheduler has said that no node would take it. ``preempts`` is False with
    the preemptionPolicy Never, and where that cannot be read. ``grace`` is what it asks for itself.
    """

    pod: PodRecord
    controller: ControllerRef | None
    ready: bool
    created: datetime | None
    unschedulable: bool = False
    preempts: bool = True
    grace: Nanoseconds = Nanoseconds(_DEFAULT_GRACE_S * NS_PER_S)
    faults: tuple[Fault, ...] = ()

    @property
    def key(self) -> str:
        """The key of an informer's ``delete``."""
        return self.pod.uid


def managed_pod_record(item: JsonObject) -> ManagedPodRecord:
    """Read a Pod. Raises ``NamelessError``."""
    pod = pod_record(item)
    fields = Fields()
    meta = fields.part("metadata", "metadata", item.get("metadata"))
    spec, status = _part(item, "spec"), _part(item, "status")
    policy = fields.text("preempts", "spec.preemptionPolicy", spec.get("preemptionPolicy"))
    preempts = policy != "Never" and not any(one.field == "preempts" for one in fields.faults)
    return ManagedPodRecord(
        pod=pod,
        controller=read_controller(fields, meta),
        ready=_is_ready(fields, status),
        created=_created(fields, meta),
        unschedulable=_is_unschedulable(fields, status),
        preempts=preempts,
        grace=_grace(fields, spec),
        faults=(*pod.faults, *fields.faults),
    )


def read_controller(fields: Fields, meta: JsonObject) -> ControllerRef | None:
    """The owner with ``controller: true``, None for none.

    The API server takes any text as kind, name and UID of an owner from whoever creates the object:
    one that no object can have is refused, because it is written down with the moves of pods.
    """
    path = "metadata.ownerReferences"
    for place, owner in fields.parts("controller", path, meta.get("ownerReferences")):
        if owner.get("controller") is True:
            return ControllerRef(
                kind=_matching(fields, f"{place}.kind", owner.get("kind"), _KIND, "a kind"),
                name=_matching(
                    fields, f"{place}.name", owner.get("name"), _NAME, "an object's name"
                ),
                uid=_matching(fields, f"{place}.uid", owner.get("uid"), _UID, "a UID"),
                api_version=fields.text(
                    "controller", f"{place}.apiVersion", owner.get("apiVersion")
                ),
            )
    return None


def _matching(
    fields: Fields, path: str, value: object, form: re.Pattern[str], expected: str
) -> str:
    text = fields.text("controller", path, value)
    if form.fullmatch(text) is None:
        fields.refuse("controller", path, value, expected)
    return text


def _is_ready(fields: Fields, status: JsonObject) -> bool:
    conditions = fields.parts("ready", "status.conditions", status.get("conditions"))
    return any(one.get("type") == "Ready" and one.get("status") == "True" for _, one in conditions)


def _part(item: JsonObject, key: str) -> JsonObject:
    """A part whose absence ``pod_record`` has noted."""
    part = item.get(key)
    return part if isinstance(part, Mapping) else {}


def _is_unschedulable(fields: Fields, status: JsonObject) -> bool:
    conditions = fields.parts("unschedulable", "status.conditions", status.get("conditions"))
    return any(
        (one.get("type"), one.get("status"), one.get("reason"))
        == ("PodScheduled", "False", "Unschedulable")
        for _, one in conditions
    )


def _grace(fields: Fields, spec: JsonObject) -> Nanoseconds:
    path, found = "spec.terminationGracePeriodSeconds", spec.get("terminationGracePeriodSeconds")
    if found is None:
        return Nanoseconds(_DEFAULT_GRACE_S * NS_PER_S)
    if isinstance(found, int) and not isinstance(found, bool) and 0 <= found <= _LONGEST_GRACE_S:
        return Nanoseconds(found * NS_PER_S)
    fields.refuse("grace", path, found, f"a whole number from 0 to {_LONGEST_GRACE_S}")
    return Nanoseconds(_DEFAULT_GRACE_S * NS_PER_S)


def _created(fields: Fields, meta: JsonObject) -> datetime | None:
    text = fields.text("created", "metadata.creationTimestamp", meta.get("creationTimestamp"))
    try:
        created = datetime.fromisoformat(text.upper()) if text else None
        if created is not None and created.utcoffset() is not None:
            return created.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    fields.refuse("created", "metadata.creationTimestamp", text, "a time with its zone")
    return None

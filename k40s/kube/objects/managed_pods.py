"""Pods with what moving one depends on: its controller, its readiness and its age."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from k40s.kube.objects.fields import Fields, JsonObject
from k40s.kube.objects.read import pod_record
from k40s.kube.records import Fault, PodRecord

MIRROR_KEY = "kubernetes.io/config.mirror"
"""Annotation on the API object of a static pod."""
_KIND = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,62}", re.ASCII)
_NAME = re.compile(r"[!-.0-~]{1,253}", re.ASCII)
_UID = re.compile(r"[!-~]{1,128}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerRef:
    """The controller of an object: the owner that creates another one in its place."""

    kind: str
    name: str
    uid: str
    api_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagedPodRecord:
    """A Pod. ``created`` is None where it cannot be read; ``controller`` where there is none."""

    pod: PodRecord
    controller: ControllerRef | None
    ready: bool
    created: datetime | None
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
    status = item.get("status")
    return ManagedPodRecord(
        pod=pod,
        controller=read_controller(fields, meta),
        ready=_is_ready(fields, status if isinstance(status, Mapping) else {}),
        created=_created(fields, meta),
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


def _created(fields: Fields, meta: JsonObject) -> datetime | None:
    text = fields.text("created", "metadata.creationTimestamp", meta.get("creationTimestamp"))
    try:
        created = datetime.fromisoformat(text.upper()) if text else None
    except ValueError:
        created = None
    if created is None or created.utcoffset() is None:
        fields.refuse("created", "metadata.creationTimestamp", text, "a time with its zone")
        return None
    return created.astimezone(UTC)

"""Nodes, Pods and Events with what an overview tells of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from k40s.annotations import ASSURANCE_REDUCED_CONDITION
from k40s.kube.objects.fields import Fields, JsonObject, names
from k40s.kube.objects.read import node_record, pod_record
from k40s.kube.records import Fault, NodeRecord, ObjectRef, PodRecord

_EVENT_TIMES = ("lastTimestamp", "eventTime", "firstTimestamp")


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedNode:
    """A Node. ``reduced`` is the text of its condition AssuranceReduced, "" where it is not True.

    ``reduced_since`` is when that last changed, None where it is not known.
    """

    node: NodeRecord
    ready: bool
    reduced: str = ""
    reduced_since: datetime | None = None
    faults: tuple[Fault, ...] = ()

    @property
    def key(self) -> str:
        """The key of an informer's ``delete``."""
        return self.node.name


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedPod:
    """A Pod. ``refused`` is why its scheduler found no node, "" where it has not said so.

    Times are None where they are unknown: of its creation, of the refusal, of kubelet's start.
    """

    pod: PodRecord
    created: datetime | None = None
    refused: str = ""
    refused_since: datetime | None = None
    started: datetime | None = None
    faults: tuple[Fault, ...] = ()

    @property
    def key(self) -> str:
        """The key of an informer's ``delete``."""
        return self.pod.uid


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRecord:
    """An Event of the API server. ``at`` is when it last happened, None where that is unreadable.

    ``uid`` is the Event's own.
    """

    uid: str
    about: ObjectRef
    component: str
    reason: str
    message: str
    at: datetime | None
    faults: tuple[Fault, ...] = ()

    @property
    def key(self) -> str:
        """The key of an informer's ``delete``."""
        return self.uid


def observed_node(item: JsonObject) -> ObservedNode:
    """Read a whole Node. Raises ``NamelessError``."""
    node = node_record(item)
    fields = Fields()
    conditions = _conditions(fields, item)
    reduced = conditions.get(ASSURANCE_REDUCED_CONDITION, {})
    told = reduced.get("status") == "True"
    message = fields.text("reduced", "status.conditions.message", reduced.get("message"))
    return ObservedNode(
        node=node,
        ready=conditions.get("Ready", {}).get("status") == "True",
        reduced=message if told else "",
        reduced_since=_since(fields, "reduced_since", reduced) if told else None,
        faults=(*node.faults, *fields.faults),
    )


def observed_pod(item: JsonObject) -> ObservedPod:
    """Read a Pod. Raises ``NamelessError``."""
    pod = pod_record(item)
    fields = Fields()
    meta = fields.part("created", "metadata", item.get("metadata"))
    status = item.get("status")
    status = status if isinstance(status, Mapping) else {}
    scheduled = _conditions(fields, item).get("PodScheduled", {})
    refused = (scheduled.get("status"), scheduled.get("reason")) == ("False", "Unschedulable")
    message = fields.text("refused", "status.conditions.message", scheduled.get("message"))
    return ObservedPod(
        pod=pod,
        created=_time(
            fields, "created", "metadata.creationTimestamp", meta.get("creationTimestamp")
        ),
        refused=(message or "no node takes it") if refused else "",
        refused_since=_since(fields, "refused_since", scheduled) if refused else None,
        started=_time(fields, "started", "status.startTime", status.get("startTime")),
        faults=(*pod.faults, *fields.faults),
    )


def event_record(item: JsonObject) -> EventRecord:
    """Read an Event of v1, as old and as new reporters write it. Raises ``NamelessError``."""
    (uid,) = names(item, "uid")
    fields = Fields()
    about = fields.part("about", "involvedObject", item.get("involvedObject"))
    source = fields.part("component", "source", item.get("source"))
    component = fields.text("component", "reportingComponent", item.get("reportingComponent"))
    return EventRecord(
        uid=uid,
        about=ObjectRef(
            kind=fields.text("about", "involvedObject.kind", about.get("kind")),
            namespace=fields.text("about", "involvedObject.namespace", about.get("namespace")),
            name=fields.text("about", "involvedObject.name", about.get("name")),
            uid=fields.text("about", "involvedObject.uid", about.get("uid")),
        ),
        component=component
        or fields.text("component", "source.component", source.get("component")),
        reason=fields.text("reason", "reason", item.get("reason")),
        message=fields.text("message", "message", item.get("message")),
        at=_event_time(fields, item),
        faults=fields.faults,
    )


def _event_time(fields: Fields, item: JsonObject) -> datetime | None:
    series = fields.part("at", "series", item.get("series"))
    last = _time(fields, "at", "series.lastObservedTime", series.get("lastObservedTime"))
    if last is not None:
        return last
    for key in _EVENT_TIMES:
        found = _time(fields, "at", key, item.get(key))
        if found is not None:
            return found
    return None


def _conditions(fields: Fields, item: JsonObject) -> dict[str, JsonObject]:
    """The conditions of a status by their type."""
    status = fields.part("conditions", "status", item.get("status"))
    found: dict[str, JsonObject] = {}
    for path, one in fields.parts("conditions", "status.conditions", status.get("conditions")):
        found[fields.text("conditions", f"{path}.type", one.get("type"))] = one
    return found


def _since(fields: Fields, field: str, condition: JsonObject) -> datetime | None:
    path = "status.conditions.lastTransitionTime"
    return _time(fields, field, path, condition.get("lastTransitionTime"))


def _time(fields: Fields, field: str, path: str, value: object) -> datetime | None:
    """RFC 3339, in UTC; None for none, and with a fault for what is not one."""
    text = fields.text(field, path, value)
    if not text:
        return None
    try:
        time = datetime.fromisoformat(text.upper())
        if time.utcoffset() is not None:
            return time.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    fields.refuse(field, path, text, "a time with its zone, in RFC 3339")
    return None

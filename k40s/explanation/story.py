"""The story of a bound pod: what it holds, what the kernel gave it, and how it came there. Pure.

Everything is in the pod's own object, its node's and their events; what cannot be understood is
told as such and never hides the rest.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from k40s.annotations import CRITICALITY_KEY, ENFORCED_CONDITION, TASKS_KEY
from k40s.assurance.level import DEFAULT_THRESHOLDS, Thresholds
from k40s.criticality import Criticality
from k40s.explanation.happenings import ENFORCED, StoryEvent, Subject, list_happenings
from k40s.explanation.held import read_networks, read_servers
from k40s.explanation.model import PodStory, StoryCondition, StoryServer
from k40s.kube.objects.conditions import read_conditions, text, whole
from k40s.kube.objects.fields import JsonObject
from k40s.ledger.conditions import Condition, Truth
from k40s.overview.happenings import format_instant

_PREFIX = "k40s.io/"
_SCHEDULED = "PodScheduled"
_OVERRUN = "Overrun"
_ACTS = {"SuspectThrottled": "throttled", "SuspectMoved": "moved", "SuspectFrozen": "frozen"}
_RELEASE = "SuspectReleased"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryNode:
    """The pod's node. ``level`` is None where its assurance is not usable."""

    level: int | None
    annotations: Mapping[str, str] = field(default_factory=dict)


def story(
    pod: JsonObject,
    *,
    node: StoryNode | None,
    events: Iterable[StoryEvent] = (),
    thresholds: Thresholds = DEFAULT_THRESHOLDS,
) -> PodStory:
    """The story of a Pod's JSON object; ``events`` are those about it and its node.

    What happened to the node before the pod was created is no part of it.
    """
    meta, spec, status = (_part(pod, name) for name in ("metadata", "spec", "status"))
    annotations, labels = _texts(meta, "annotations"), _texts(meta, "labels")
    uid, place = text(meta.get("uid")), text(spec.get("nodeName"))
    criticality = annotations.get(CRITICALITY_KEY, labels.get(CRITICALITY_KEY, "NO"))
    conditions = read_conditions(status.get("conditions"))
    created = text(meta.get("creationTimestamp"))
    told = sorted(
        (one for one in events if not one.about_node or one.at >= created), key=lambda one: one.at
    )
    servers, fault = read_servers(annotations, uid)
    enforced = conditions.get(ENFORCED_CONDITION)
    subject = Subject(
        namespace=text(meta.get("namespace")), pod=text(meta.get("name")), uid=uid, node=place
    )
    phase = text(status.get("phase"))
    where = f"It is {phase.lower() or 'bound'} on {place}"
    summary = f"{where}, and its allocation cannot be understood: {fault}."
    if not fault:
        asks = TASKS_KEY in annotations
        summary = _summary(where, servers, enforced, _act(told), asks=asks)
    return PodStory(
        namespace=subject.namespace,
        pod=subject.pod,
        pod_uid=uid,
        criticality=criticality,
        node=place,
        phase=phase,
        since=text(status.get("startTime")),
        summary=summary,
        level=None if node is None else node.level,
        level_needed=_needed(criticality, thresholds),
        servers=servers,
        networks=read_networks(annotations),
        enforced=None if enforced is None else enforced.status is Truth.TRUE,
        enforced_why="" if enforced is None else f"{enforced.reason}: {enforced.message}",
        enforced_since="" if enforced is None else format_instant(enforced.since),
        overruns=_overruns(told),
        conditions=tuple(
            _condition(one) for kind, one in sorted(conditions.items()) if _PREFIX in kind
        ),
        happenings=list_happenings(
            subject,
            annotations,
            {} if node is None else node.annotations,
            _moments(meta, status, conditions, place),
            told,
        ),
    )


def story_event(item: JsonObject) -> StoryEvent:
    """A core/v1 Event's JSON object as a story tells it."""
    series, source = _part(item, "series"), _part(item, "source")
    times = ("lastTimestamp", "eventTime", "firstTimestamp")
    at = text(series.get("lastObservedTime")) or next(
        (found for name in times if (found := text(item.get(name)))), ""
    )
    return StoryEvent(
        at=_to_second(at),
        reason=text(item.get("reason")),
        component=text(item.get("reportingComponent")) or text(source.get("component")),
        message=text(item.get("message")) or text(item.get("note")),
        times=max(whole(series.get("count")), whole(item.get("count"), absent=1), 1),
        about_node=text(_part(item, "involvedObject").get("kind")) == "Node",
    )


def _summary(
    where: str, held: tuple[StoryServer, ...], enforced: Condition | None, act: str, *, asks: bool
) -> str:
    """One sentence: how a pod is whose allocation can be understood."""
    if act:
        return f"{where}, and is {act} because it is held responsible for a hazard."
    if not held:
        if asks:
            return f"{where} without any reservation: any deadline may be missed."
        return f"{where}; it has no real-time tasks."
    if enforced is None:
        return f"{where}; its reservation is not enforced yet, as far as the node has said."
    if enforced.status is Truth.TRUE:
        return f"{where}, and the kernel enforces its reservation."
    return f"{where}, and its reservation is not enforced: {enforced.message or enforced.reason}."


def _act(events: Iterable[StoryEvent]) -> str:
    """What is done to it at present."""
    act = ""
    for one in events:
        if not one.about_node and (one.reason in _ACTS or one.reason == _RELEASE):
            act = "" if "dry run" in one.message else _ACTS.get(one.reason, "")
    return act


def _overruns(events: Iterable[StoryEvent]) -> str:
    found = [one for one in events if one.reason == _OVERRUN]
    if not found:
        return ""
    times = sum(one.times for one in found)
    last = found[-1]
    return f"reported {times} time{'s' * (times != 1)}, last {last.at}: {last.message}"


def _moments(
    meta: JsonObject, status: JsonObject, conditions: Mapping[str, Condition], node: str
) -> list[tuple[str, str]]:
    scheduled = conditions.get(_SCHEDULED)
    moments = [(text(meta.get("creationTimestamp")), "created")]
    if scheduled is not None and scheduled.status is Truth.TRUE:
        moments.append((format_instant(scheduled.since), f"bound to {node}"))
    moments.append((text(status.get("startTime")), "taken by kubelet"))
    moments.append((text(meta.get("deletionTimestamp")), "to be ended by then"))
    enforced = conditions.get(ENFORCED_CONDITION)
    if enforced is not None:
        word, unlike = ENFORCED
        if enforced.status is not Truth.TRUE:
            word = f"{unlike}: {enforced.reason}"
        moments.append((format_instant(enforced.since), word))
    return moments


def _condition(one: Condition) -> StoryCondition:
    return StoryCondition(
        kind=one.kind,
        status=one.status.value,
        reason=one.reason,
        message=one.message,
        since=format_instant(one.since),
    )


def _needed(criticality: str, thresholds: Thresholds) -> int:
    known = criticality in Criticality.__members__
    return thresholds.required(Criticality[criticality]) if known else 0


def _to_second(time: str) -> str:
    """RFC 3339 without a fraction of a second, so that texts are in the order of times."""
    return f"{time.partition('.')[0]}Z" if "." in time and time.endswith("Z") else time


def _part(item: JsonObject, name: str) -> JsonObject:
    found = item.get(name)
    return found if isinstance(found, Mapping) else {}


def _texts(meta: JsonObject, name: str) -> dict[str, str]:
    return {key: one for key, one in _part(meta, name).items() if isinstance(one, str)}

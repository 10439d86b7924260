"""Events of k40s's processes -> what happened, and what is done to whom at present. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from k40s.kube.objects.observed import EventRecord, ObservedNode
from k40s.overview.model import Happening

REPORTERS = (
    *("k40s-malacoda", "k40s-rubicante", "k40s-scarmiglione"),
    *("k40s-extender", "k40s-controller", "k40s-scheduler"),
)
"""Components whose Events an overview tells of: the values of a field selector of Events."""
MOST_HAPPENINGS = 1000
"""Of an overview: the newest."""
MOST_OF_NAMESPACE = 200
"""Of one namespace: whoever writes Events there does not drive out those of others."""

_KINDS = {
    **dict.fromkeys(("SuspectNamed", "NoSuspectNamed"), "suspect"),
    **dict.fromkeys(
        (
            *("SuspectThrottled", "SuspectMoved", "SuspectFrozen", "SuspectReleased"),
            *("SuspectEvictionAsked", "SuspectKilled"),
            *("ResponseFailed", "ActuatorUnreachable", "CulpritEvicted", "CulpritNotEvicted"),
        ),
        "act",
    ),
    **dict.fromkeys(("HarmReported", "AssuranceReduced"), "alarm"),
    **dict.fromkeys(("AssuranceUnknown", "AssuranceInvalid"), "level"),
    **dict.fromkeys(
        (
            *("MigrationStarted", "Migrated", "MigrationGivenUp", "NotMigrated"),
            "MigrationPlanned",
        ),
        "move",
    ),
    **dict.fromkeys(
        (
            *("Preempts", "PreemptedByMoreCritical", "PreemptionPlanned", "NotPreempting"),
            *("PreemptionHeldUp", "PreemptionFailed"),
        ),
        "preemption",
    ),
    **dict.fromkeys(("FailedScheduling", "NotAdmitted", "KeyReachesNoPod"), "refusal"),
    "MetricUnreadable": "other",
    "Scheduled": "other",
}
_KIND_OF_REPORTER = {"k40s-rubicante": "kernel", "k40s-scarmiglione": "network"}
_ACTS = {
    "SuspectNamed": "named",
    "SuspectThrottled": "throttled",
    "SuspectMoved": "moved",
    "SuspectFrozen": "frozen",
    "SuspectReleased": "",
    "SuspectEvictionAsked": "eviction asked",
    "CulpritEvicted": "evicted",
    "SuspectKilled": "killed",
}
HELD = ("throttled", "moved", "frozen")
"""Acts under which a pod does not run as it would."""
_DRY_RUN = "dry run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspicion:
    """The last that a node's monitor said of a pod and did to it; ``act`` is "" once it is over."""

    uid: str
    namespace: str
    pod: str
    node: str
    evidence: str
    act: str
    held: str = ""
    """How the kernel holds it: one of ``HELD``, whatever else was said since; "" once released."""


def list_happenings(
    events: Iterable[EventRecord], *, nodes: Iterable[ObservedNode], places: Mapping[str, str]
) -> tuple[Happening, ...]:
    """All happenings, oldest first; ``places`` are the nodes of pods by their UIDs.

    An Event about one pod that has a twin about its Node, or its owner, is told once.
    """
    groups: dict[tuple[str, str, str, str], list[Happening]] = {}
    for event in events:
        if event.component in REPORTERS:
            one = _happening(event, places)
            key = (event.component, event.reason, one.at, one.text.partition(";")[0])
            groups.setdefault(key, []).append(one)
    told = [one for group in groups.values() for one in _joined(group)]
    conditions = [
        Happening(
            at=format_instant(one.reduced_since),
            kind="alarm",
            node=one.node.name,
            namespace="",
            pod="",
            text=one.reduced,
        )
        for one in nodes
        if one.reduced
    ]
    ordered = sorted((*told, *conditions), key=lambda one: (one.at, one.node, one.text))
    return tuple(_newest(ordered))


def _newest(ordered: Sequence[Happening]) -> Sequence[Happening]:
    """The last ones of each namespace, and of these the last; those of nodes have no namespace."""
    left = Counter({one.namespace: MOST_OF_NAMESPACE for one in ordered if one.namespace})
    kept: list[Happening] = []
    for one in reversed(ordered):
        if one.namespace and not left[one.namespace]:
            continue
        left[one.namespace] -= 1
        kept.append(one)
        if len(kept) == MOST_HAPPENINGS:
            break
    return kept[::-1]


def find_suspicions(
    events: Iterable[EventRecord], *, happenings: Sequence[Happening]
) -> dict[str, Suspicion]:
    """By the pod's UID, what the newest Events about it say; ``happenings`` have their nodes."""
    nodes = {(one.namespace, one.pod, one.text): one.node for one in happenings}
    found: dict[str, Suspicion] = {}
    ours = [one for one in events if one.reason in _ACTS and one.about.kind == "Pod"]
    for event in sorted(ours, key=lambda one: format_instant(one.at)):
        about = event.about
        former = found.get(about.uid)
        evidence = event.message
        if event.reason != "SuspectNamed" and former is not None:
            evidence = former.evidence
        dry_run = _DRY_RUN in event.message.partition(":")[0]
        act = _DRY_RUN if dry_run else _ACTS[event.reason]
        before = "" if former is None else former.held
        found[about.uid] = Suspicion(
            uid=about.uid,
            namespace=about.namespace,
            pod=about.name,
            node=nodes.get((about.namespace, about.name, event.message), "")
            or (former.node if former else ""),
            evidence=evidence,
            act=act,
            held=act if act in ("", *HELD) else before,
        )
    return found


def kind_of(component: str, reason: str) -> str:
    """The kind of an Event, ``other`` for one that is not known here."""
    return _KINDS.get(reason) or _KIND_OF_REPORTER.get(component, "other")


def format_instant(time: datetime | None) -> str:
    """RFC 3339 in UTC to the second; "" for None."""
    return "" if time is None else time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _happening(event: EventRecord, places: Mapping[str, str]) -> Happening:
    about = event.about
    is_pod = about.kind == "Pod"
    node = about.name if about.kind == "Node" else places.get(about.uid, "")
    return Happening(
        at=format_instant(event.at),
        kind=kind_of(event.component, event.reason),
        node=node,
        namespace="" if about.kind == "Node" else about.namespace,
        pod=about.name if is_pod else "",
        text=event.message,
    )


def _joined(group: Sequence[Happening]) -> Sequence[Happening]:
    """Events of one time and text: that of the pod alone, with the node that another one names."""
    pods = [one for one in group if one.pod]
    if len(pods) != 1 or len(group) == 1:
        return group
    node = next((one.node for one in group if one.node), "")
    return [replace(pods[0], node=pods[0].node or node)]

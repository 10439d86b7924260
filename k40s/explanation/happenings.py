"""What happened to a pod, from its own object and from events: the chain of its story. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from k40s.annotations import CULPRITS_KEY, MIGRATION_KEY, PREEMPTION_KEY
from k40s.annotations.culprits import parse_culprits
from k40s.annotations.migration import parse_release
from k40s.annotations.preemption import parse_claim
from k40s.annotations.wall_times import format_time
from k40s.assurance.migration.record import Phase
from k40s.errors import InvalidAnnotationError
from k40s.overview.model import Happening

ENFORCED = ("enforced", "not enforced")
"""How the moment begins from which the kernel enforces, or no longer does."""
MOST = 100
"""Happenings of a story: the newest."""

_KINDS = (
    ("Suspect", "act"),
    ("NoSuspect", "suspect"),
    ("Culprit", "act"),
    ("Response", "act"),
    ("Actuator", "act"),
    ("Harm", "alarm"),
    ("AssuranceReduced", "alarm"),
    ("Assurance", "level"),
    ("Migrat", "move"),
    ("NotMigrated", "move"),
    ("Preempt", "preemption"),
    ("NotPreempting", "preemption"),
    ("FailedScheduling", "refusal"),
    ("NotAdmitted", "refusal"),
)
_KIND_OF_COMPONENT = {"k40s-rubicante": "kernel", "k40s-scarmiglione": "network"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Whose story it is."""

    namespace: str
    pod: str
    uid: str
    node: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryEvent:
    """An Event about the pod or its node. ``at`` is RFC 3339, empty where not known.

    ``times`` is how often it happened.
    """

    at: str
    reason: str
    component: str
    message: str
    times: int = 1
    about_node: bool = False


def list_happenings(
    subject: Subject,
    annotations: Mapping[str, str],
    node_annotations: Mapping[str, str],
    moments: Iterable[tuple[str, str]],
    events: Iterable[StoryEvent],
) -> tuple[Happening, ...]:
    """All of them, the oldest first. ``moments`` are times of the pod's own, each with a text.

    Times are whole seconds: what is of the same second stays in the order of ``moments`` and
    ``events``, and enforcement, which needs running threads, is the last of it.
    """
    found = [_happening(subject, at, "other", text) for at, text in moments if at]
    found += [_of_event(subject, event) for event in events]
    found += _of_records(subject, annotations)
    found += _of_culprits(subject, node_annotations)
    unique = dict.fromkeys(sorted(found, key=lambda one: (one.at, one.text.startswith(ENFORCED))))
    return tuple(unique)[-MOST:]


def _of_records(subject: Subject, annotations: Mapping[str, str]) -> list[Happening]:
    """What the controller has written on the pod itself."""
    found = []
    text = annotations.get(MIGRATION_KEY)
    if text is not None:
        try:
            release = parse_release(text)
        except InvalidAnnotationError as error:
            found.append(_happening(subject, "", "move", str(error)))
        else:
            what = "released from its owner: its replacement starts, then it is evicted"
            if release.phase is Phase.RETURNED:
                what = "given back to its owner: its replacement did not become ready"
            at = format_time(release.at)
            found.append(_happening(subject, at, "move", f"{what} ({release.owner})"))
    text = annotations.get(PREEMPTION_KEY)
    if text is not None:
        try:
            claim = parse_claim(text)
        except InvalidAnnotationError as error:
            found.append(_happening(subject, "", "preemption", str(error)))
        else:
            victims = len(claim.victims)
            what = f"claims room on {claim.node}; {victims} pod{'s' * (victims != 1)} must go"
            found.append(_happening(subject, format_time(claim.at), "preemption", what))
    return found


def _of_culprits(subject: Subject, annotations: Mapping[str, str]) -> list[Happening]:
    """The request of the node's monitor to evict this pod."""
    text = annotations.get(CULPRITS_KEY)
    if text is None:
        return []
    try:
        culprits = parse_culprits(text)
    except InvalidAnnotationError:
        return []
    return [
        _happening(
            subject,
            format_time(one.at),
            "suspect",
            f"held responsible for {', '.join(one.hazards) or 'a hazard'}, rule {one.rule}: "
            "its eviction is asked for",
        )
        for one in culprits
        if one.uid == subject.uid
    ]


def _of_event(subject: Subject, event: StoryEvent) -> Happening:
    kind = next((kind for start, kind in _KINDS if event.reason.startswith(start)), "")
    kind = kind or _KIND_OF_COMPONENT.get(event.component, "other")
    times = f" ({event.times} times)" if event.times > 1 else ""
    text = ": ".join(filter(None, (event.reason, event.message))) + times
    if event.about_node:
        return Happening(at=event.at, kind=kind, node=subject.node, namespace="", pod="", text=text)
    return _happening(subject, event.at, kind, text)


def _happening(subject: Subject, at: str, kind: str, text: str) -> Happening:
    return Happening(
        at=at,
        kind=kind,
        node=subject.node,
        namespace=subject.namespace,
        pod=subject.pod,
        text=text,
    )

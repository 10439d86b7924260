"""Mutating review: the defaults that the operator wants for pods by their criticality."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from k40s.annotations import CRITICALITY_KEY, ENFORCEMENT_KEY, NETWORK_KEY, TASKS_KEY, read_workload
from k40s.criticality import Criticality, parse_criticality
from k40s.errors import InvalidAnnotationError
from k40s.kube.objects.fields import JsonObject
from webhook.admission_review import ALLOWED, CREATE, JsonPatch, Review, Verdict
from webhook.pod_parts import PodPart, find_pod_part

DEFAULT_SCHEDULER = "default-scheduler"
"""What the API server has filled in for a pod that names none."""
OUR_SCHEDULER = "k40s-scheduler"
TOLERATIONS_FORM = "criticality=key[=value][:effect], such as HI=dedicated=real-time:NoSchedule"
_NOTHING = Criticality.NO.name
_DEMANDS = (TASKS_KEY, ENFORCEMENT_KEY, NETWORK_KEY)
_TOLERATION = re.compile(
    r"(?P<criticality>NO|LOW|HI)=(?P<key>[A-Za-z0-9][A-Za-z0-9./_-]{0,316})"
    r"(?:=(?P<value>[A-Za-z0-9._-]{0,63}))?(?::(?P<effect>NoSchedule|PreferNoSchedule|NoExecute))?",
    re.ASCII,
)

Tolerations = Mapping[Criticality, tuple[JsonObject, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What is filled in where a pod says nothing; each part may be absent."""

    scheduler: bool = False
    priority_classes: Mapping[Criticality, str] = field(default_factory=dict)
    runtime_classes: Mapping[Criticality, str] = field(default_factory=dict)
    tolerations: Tolerations = field(default_factory=dict)


def fill_in(review: Review, defaults: Defaults) -> Verdict:
    """Patch a new pod; one that names its node stays as it is.

    Of a pod whose contract is invalid only the scheduler is set, so that the user is told of the
    contract and not of the scheduler.
    """
    part = find_pod_part(review.group, review.kind, review.item)
    if part is None or part.where or review.operation != CREATE or part.spec.get("nodeName"):
        return ALLOWED
    patch: list[JsonObject] = []
    if defaults.scheduler and is_demanding(part) and scheduler_of(part) == DEFAULT_SCHEDULER:
        patch.append(_add("schedulerName", OUR_SCHEDULER))
    try:
        workload = read_workload(
            labels=part.metadata.labels,
            annotations=part.metadata.annotations,
            containers=part.containers,
            sidecars=part.sidecars,
            init_containers=part.init_containers,
        )
    except InvalidAnnotationError:
        return Verdict(patch=tuple(patch))
    patch += _patch(part.spec, workload.criticality, defaults)
    return Verdict(patch=tuple(patch))


def parse_tolerations(texts: Sequence[str]) -> Tolerations:
    """Read the setting's parts. Raises ``ValueError``.

    Without a value any is tolerated, and without an effect each.
    """
    found: dict[Criticality, list[JsonObject]] = {}
    for text in texts:
        match = _TOLERATION.fullmatch(text)
        if match is None:
            raise ValueError(
                f"K40S_DEFAULT_TOLERATIONS: found {text[:80]!r}, expected {TOLERATIONS_FORM}"
            )
        one = {"key": match["key"], "operator": "Exists"}
        if match["value"] is not None:
            one |= {"operator": "Equal", "value": match["value"]}
        if match["effect"] is not None:
            one["effect"] = match["effect"]
        found.setdefault(parse_criticality(match["criticality"]), []).append(one)
    return MappingProxyType({criticality: tuple(ones) for criticality, ones in found.items()})


def scheduler_of(part: PodPart) -> object:
    """Its scheduler; the API server has filled in the default one where the pod named none."""
    return part.spec.get("schedulerName")


def is_demanding(part: PodPart) -> bool:
    """Whether the policy for pods wants our scheduler."""
    annotations, labels = part.metadata.annotations, part.metadata.labels
    said = {texts.get(CRITICALITY_KEY, _NOTHING) for texts in (annotations, labels)}
    return said != {_NOTHING} or any(key in annotations for key in _DEMANDS)


def _patch(spec: JsonObject, criticality: Criticality, defaults: Defaults) -> Iterator[JsonObject]:
    priority_class = defaults.priority_classes.get(criticality)
    if priority_class and not spec.get("priorityClassName"):
        yield from _priority(spec, priority_class)
    runtime_class = defaults.runtime_classes.get(criticality)
    if runtime_class and not spec.get("runtimeClassName"):
        yield _add("runtimeClassName", runtime_class)
    yield from _tolerate(spec, defaults.tolerations.get(criticality, ()))


def _priority(spec: JsonObject, name: str) -> JsonPatch:
    """Name the class, and take back what the API server computed for a pod without one.

    Its Priority plugin runs again after a webhook that has changed the pod, and refuses a pod whose
    priority is not that of its class.
    """
    computed = [one for one in ("priority", "preemptionPolicy") if one in spec]
    removals = [{"op": "remove", "path": f"/spec/{one}"} for one in computed]
    return [*removals, _add("priorityClassName", name)]


def _tolerate(spec: JsonObject, wanted: Sequence[JsonObject]) -> Iterator[JsonObject]:
    present = spec.get("tolerations") or []
    missing = [one for one in wanted if one not in present]
    if missing and not present:
        yield _add("tolerations", missing)
        return
    for one in missing:
        yield _add("tolerations/-", one)


def _add(path: str, value: object) -> JsonObject:
    return {"op": "add", "path": f"/spec/{path}", "value": value}

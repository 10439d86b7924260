"""Requests of kube-scheduler's extender protocol: JSON -> values. Replies are in ``verbs``.

Keys are Go field names (k8s.io/kube-scheduler/extender/v1/types.go carries no json tags), unknown
keys are ignored. An invalid body raises ``InvalidInputError`` with source "request body".
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from k40s.errors import InvalidInputError
from k40s.reasons import Reason

SOURCE = "request body"
encode = json.JSONEncoder(separators=(",", ":")).encode
"""Compact JSON of a reply."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodFacts:
    """The part of a Pod that the extender reads."""

    uid: str
    namespace: str
    name: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    containers: tuple[str, ...]
    sidecars: tuple[str, ...] = ()
    init_containers: tuple[str, ...] = ()
    resource_version: str = ""
    runtime_class: str = ""
    """Name of its RuntimeClass; "" is the node's default runtime."""
    group: str = ""
    """Name of the PodGroup that it is scheduled with; "" if it is scheduled alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtenderArgs:
    """A pod and the candidate nodes. ``items`` are the Node objects, if they were sent."""

    pod: PodFacts
    names: Sequence[str]
    items: Sequence[object] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BindingArgs:
    """A pod to be bound to a node."""

    uid: str
    namespace: str
    name: str
    node: str

    @property
    def facts(self) -> dict[str, object]:
        """Fields for log lines about this bind."""
        return {
            "namespace": self.namespace,
            "pod": self.name,
            "uid": self.uid,
            "node": self.node,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenVictims:
    """Pods that kube-scheduler would end on a node. ``violations`` of disruption budgets."""

    uids: frozenset[str]
    violations: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PreemptionArgs:
    """A pod, and by node whom kube-scheduler would end for it."""

    pod: PodFacts
    victims: Mapping[str, GivenVictims]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanArgs:
    """A pod that waits, and the UIDs of pods that must not be victims."""

    uid: str
    namespace: str
    name: str
    protected: frozenset[str]


ParseArgs = Callable[[bytes], ExtenderArgs]
"""Reads the body of filter and prioritize. Raises ``InvalidInputError``."""


def parse_repeated_args() -> ParseArgs:
    """A parser that caches its last result: prioritize often gets the same bytes as filter."""
    return lru_cache(maxsize=1)(parse_extender_args)


def parse_extender_args(body: bytes) -> ExtenderArgs:
    """Read the body of filter and prioritize (``ExtenderArgs``)."""
    whole = _read_object(_decode(body), "$")
    pod = _read_pod(_read_object(whole.get("Pod"), "$.Pod"))
    names = whole.get("NodeNames")
    if names is not None:
        return ExtenderArgs(pod=pod, names=_read_strings(names, "$.NodeNames"))
    nodes = whole.get("Nodes")
    if nodes is None:
        return ExtenderArgs(pod=pod, names=())
    items = _read_list(_read_object(nodes, "$.Nodes").get("items"), "$.Nodes.items")
    found = [_read_metadata(item, f"$.Nodes.items[{i}]") for i, item in enumerate(items)]
    named = [
        _read_text(meta.get("name"), f"$.Nodes.items[{i}].metadata.name")
        for i, meta in enumerate(found)
    ]
    return ExtenderArgs(pod=pod, names=named, items=items)


def parse_binding_args(body: bytes) -> BindingArgs:
    """Read the body of bind (``ExtenderBindingArgs``)."""
    whole = _read_object(_decode(body), "$")
    return BindingArgs(
        uid=_read_text(whole.get("PodUID"), "$.PodUID"),
        namespace=_read_text(whole.get("PodNamespace"), "$.PodNamespace"),
        name=_read_text(whole.get("PodName"), "$.PodName"),
        node=_read_text(whole.get("Node"), "$.Node"),
    )


def parse_preemption_args(body: bytes) -> PreemptionArgs:
    """Read the body of preempt (``ExtenderPreemptionArgs``); pods are named by their UIDs."""
    whole = _read_object(_decode(body), "$")
    pod = _read_pod(_read_object(whole.get("Pod"), "$.Pod"))
    field = "NodeNameToMetaVictims"
    named = whole.get(field)
    if named is None:
        field = "NodeNameToVictims"
        named = whole.get(field) or {}
    nodes = _read_object(named, f"$.{field}")
    has_pods = field == "NodeNameToVictims"
    victims = {
        name: _read_victims(value, f"$.{field}.{name}", has_pods=has_pods)
        for name, value in nodes.items()
    }
    return PreemptionArgs(pod=pod, victims=victims)


def parse_plan_args(body: bytes) -> PlanArgs:
    """Read the controller's question for a preemption plan."""
    whole = _read_object(_decode(body), "$")
    return PlanArgs(
        uid=_read_text(whole.get("PodUID"), "$.PodUID"),
        namespace=_read_text(whole.get("PodNamespace"), "$.PodNamespace"),
        name=_read_text(whole.get("PodName"), "$.PodName"),
        protected=frozenset(_read_strings(whole.get("Protected") or [], "$.Protected")),
    )


def refusal_text(reason: Reason) -> str:
    """The text of a refusal in replies and events: its code and its constant text."""
    return f"{reason.value}: {reason.text}"


def _decode(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _invalid("$", "what is not JSON", f"JSON ({error})") from None


def _read_pod(pod: Mapping[str, Any]) -> PodFacts:
    meta = _read_metadata(pod, "$.Pod")
    spec = _read_object(pod.get("spec"), "$.Pod.spec")
    containers = _read_containers(spec.get("containers"), "$.Pod.spec.containers")
    initial = _read_containers(spec.get("initContainers") or [], "$.Pod.spec.initContainers")
    group = _read_object(spec.get("schedulingGroup") or {}, "$.Pod.spec.schedulingGroup")
    return PodFacts(
        uid=_read_text(meta.get("uid"), "$.Pod.metadata.uid"),
        namespace=_read_text(meta.get("namespace"), "$.Pod.metadata.namespace"),
        name=_read_text(meta.get("name"), "$.Pod.metadata.name"),
        labels=_read_map(meta.get("labels"), "$.Pod.metadata.labels"),
        annotations=_read_map(meta.get("annotations"), "$.Pod.metadata.annotations"),
        containers=tuple(containers),
        sidecars=tuple(name for name, restarts in initial.items() if restarts),
        init_containers=tuple(name for name, restarts in initial.items() if not restarts),
        resource_version=str(meta.get("resourceVersion") or ""),
        runtime_class=str(spec.get("runtimeClassName") or ""),
        group=str(group.get("podGroupName") or ""),
    )


def _read_victims(value: object, path: str, *, has_pods: bool) -> GivenVictims:
    """``has_pods``: whole pods are listed, and not their UIDs alone."""
    victims = _read_object(value, path)
    uids = set()
    for index, item in enumerate(_read_list(victims.get("Pods") or [], f"{path}.Pods")):
        place = f"{path}.Pods[{index}]"
        if has_pods:
            uids.add(_read_text(_read_metadata(item, place).get("uid"), f"{place}.metadata.uid"))
        else:
            uids.add(_read_text(_read_object(item, place).get("UID"), f"{place}.UID"))
    violations = victims.get("NumPDBViolations") or 0
    if not isinstance(violations, int) or isinstance(violations, bool):
        raise _invalid(f"{path}.NumPDBViolations", violations, "a whole number")
    return GivenVictims(uids=frozenset(uids), violations=violations)


def _read_containers(value: object, path: str) -> dict[str, bool]:
    """Name -> whether its restartPolicy is Always, which makes an init container a sidecar."""
    found = {}
    for index, item in enumerate(_read_list(value, path)):
        container = _read_object(item, f"{path}[{index}]")
        name = _read_text(container.get("name"), f"{path}[{index}].name")
        found[name] = container.get("restartPolicy") == "Always"
    return found


def _read_metadata(value: object, path: str) -> Mapping[str, Any]:
    return _read_object(_read_object(value, path).get("metadata"), f"{path}.metadata")


def _read_map(value: object, path: str) -> Mapping[str, str]:
    if value is None:
        return {}
    members = _read_object(value, path)
    if not {str}.issuperset(map(type, members.values())):
        raise _invalid(path, value, "an object of strings")
    return members


def _read_strings(value: object, path: str) -> Sequence[str]:
    items = _read_list(value, path)
    try:
        "".join(items)
    except TypeError:
        raise _invalid(path, items, "an array of strings") from None
    return items


def _read_list(value: object, path: str) -> list[Any]:
    if not isinstance(value, list):
        raise _invalid(path, value, "an array")
    return value


def _read_object(value: object, path: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _invalid(path, value, "an object")
    return value


def _read_text(value: object, path: str) -> str:
    if not isinstance(value, str) or not value:
        raise _invalid(path, value, "a string that is not empty")
    return value


def _invalid(path: str, found: object, expected: str) -> InvalidInputError:
    return InvalidInputError(source=SOURCE, path=path, found=found, expected=expected)

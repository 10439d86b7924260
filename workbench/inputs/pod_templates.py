"""Finds the pods and pod templates in the objects of a manifest."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from k40s.strict_json import Json

Steps = tuple[str | int, ...]
"""Fields and indices that lead from an object to what has a pod's metadata and spec."""

_GROUPS = ("v1", "apps", "batch", "extensions")
_KNOWN: Mapping[str, Steps] = MappingProxyType(
    {
        "Pod": (),
        "PodTemplate": ("template",),
        "Deployment": ("spec", "template"),
        "ReplicaSet": ("spec", "template"),
        "ReplicationController": ("spec", "template"),
        "StatefulSet": ("spec", "template"),
        "DaemonSet": ("spec", "template"),
        "Job": ("spec", "template"),
        "CronJob": ("spec", "jobTemplate", "spec", "template"),
    }
)
"""Kinds of Kubernetes itself that hold a pod, and where."""


def find_templates(whole: Json) -> list[Steps]:
    """The steps to each pod or pod template of an object; none where it holds no pod.

    Objects of Kubernetes' own kinds hold one, which may not be absent. In those of others each
    mapping whose spec has containers is one. Raises the element's error.
    """
    members = whole.members()
    kind, version = str(members["kind"].value), str(members["apiVersion"].value)
    if version.partition("/")[0] in _GROUPS:
        _check_kind(members["kind"], kind)
        if kind in _KNOWN:
            steps = _KNOWN[kind]
            holder = whole
            for step in steps:
                holder = member_of(holder, str(step))
            member_of(holder, "spec")
            return [steps]
    return list(_like_pods(whole.value))


def member_of(element: Json, name: str) -> Json:
    """A field that has to be there. Raises the element's error."""
    members = element.members()
    if name not in members:
        raise element.invalid(f"a field {name}", found="none")
    return members[name]


def step_to(element: Json, steps: Steps) -> Json:
    """The element to which steps lead."""
    for step in steps:
        if isinstance(step, int):
            element = element.items(at_most=step + 1_000_000)[step]
        else:
            element = element.members()[step]
    return element


def _check_kind(element: Json, kind: str) -> None:
    for known in (*_KNOWN, "List"):
        if kind.lower() == known.lower() and kind != known:
            raise element.invalid(known)


def _like_pods(value: object) -> Iterator[Steps]:
    waiting: list[tuple[Steps, object]] = [((), value)]
    while waiting:
        steps, found = waiting.pop()
        if isinstance(found, dict):
            if _is_pod(found.get("spec")):
                yield steps
                continue
            parts: list[tuple[str | int, object]] = list(found.items())
        elif isinstance(found, list):
            parts = list(enumerate(found))
        else:
            continue
        waiting += [((*steps, step), part) for step, part in reversed(parts)]


def _is_pod(spec: object) -> bool:
    containers = spec.get("containers") if isinstance(spec, dict) else None
    return (
        isinstance(containers, list)
        and bool(containers)
        and all(isinstance(c, dict) and isinstance(c.get("name"), str) for c in containers)
    )

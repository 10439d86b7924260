"""Pods in Kubernetes manifests: Pods, and whatever makes them from a template."""

from collections.abc import Mapping, Sequence

from k40s.annotations import read_workload
from k40s.errors import InvalidAnnotationError, InvalidInputError
from k40s.strict_json import Json
from workbench.pods import Pod

_TEMPLATES: Mapping[str, tuple[str, ...]] = {
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
"""Kinds that hold a pod, and where."""

_MAX_ITEMS = 500


def is_manifest(place: Json) -> bool:
    """Whether a document is a Kubernetes object."""
    return isinstance(place.value, dict) and {"apiVersion", "kind"} <= set(place.value)


def read_manifest_pods(documents: Sequence[Json]) -> tuple[Pod, ...]:
    """One pod of each object that holds one with real-time tasks; other objects are left out.

    Raises ``InvalidInputError``; also where there is no such pod.
    """
    objects = [item for document in documents for item in _objects(document)]
    found = [pod for pod in map(_read_object, objects) if pod is not None]
    if found:
        names = [pod.name for pod in found]
        return tuple(
            Pod(name=_distinct(names, index), workload=pod.workload)
            for index, pod in enumerate(found)
        )
    kinds = ", ".join(str(item.members()["kind"].value) for item in objects)
    raise documents[0].invalid(
        "an object with a pod that has real-time tasks in k40s.io/tasks, such as a Pod, "
        "a Deployment, a DaemonSet or a Job",
        found=kinds or "nothing",
    )


def _objects(document: Json) -> list[Json]:
    if not is_manifest(document):
        raise document.invalid("a Kubernetes object with apiVersion and kind", found="none")
    members = document.members()
    if members["kind"].value != "List":
        return [document]
    entries = _member(document, "items").items(at_most=_MAX_ITEMS)
    return [item for entry in entries for item in _objects(entry)]


def _read_object(place: Json) -> Pod | None:
    members = place.members()
    kind = members["kind"].value
    if not isinstance(kind, str) or kind not in _TEMPLATES:
        return None
    holder = place
    for step in _TEMPLATES[kind]:
        holder = _member(holder, step)
    metadata = holder.members().get("metadata")
    labels = _texts(metadata, "labels")
    annotations = _texts(metadata, "annotations")
    containers = _container_names(_member(holder, "spec"))
    try:
        workload = read_workload(labels=labels, annotations=annotations, containers=containers)
    except InvalidAnnotationError as error:
        raise _placed(holder, error) from error
    if not workload.is_real_time:
        return None
    return Pod(name=_name(place), workload=workload)


def _container_names(spec: Json) -> tuple[str, ...]:
    names = []
    for container in _member(spec, "containers").items(at_least=1, at_most=_MAX_ITEMS):
        name = _member(container, "name")
        if not isinstance(name.value, str):
            raise name.invalid("a container's name")
        names.append(name.value)
    return tuple(names)


def _texts(metadata: Json | None, part: str) -> dict[str, str]:
    """Labels or annotations, whose values have to be text."""
    held = None if metadata is None else metadata.members().get(part)
    if held is None or held.value is None:
        return {}
    found: dict[str, str] = {}
    for key, member in held.members().items():
        if not isinstance(member.value, str):
            raise member.invalid('a text: put it into quotes, as "NO" and "1" are no text without')
        found[key] = member.value
    return found


def _name(place: Json) -> str:
    metadata = place.members().get("metadata")
    given = {} if metadata is None else metadata.members()
    for key in ("name", "generateName"):
        if key in given and isinstance(given[key].value, str):
            return str(given[key].value)
    return "pod"


def _distinct(names: Sequence[str], index: int) -> str:
    """The name, with a number where several objects have the same one."""
    name = names[index]
    if names.count(name) == 1:
        return name
    return f"{name}-{names[: index + 1].count(name)}"


def _member(place: Json, name: str) -> Json:
    members = place.members()
    if name not in members:
        raise place.invalid(f"a field {name}", found="none")
    return members[name]


def _placed(holder: Json, error: InvalidAnnotationError) -> InvalidInputError:
    """The annotation's error, with the file and the path of the pod before it."""
    source = f"{holder.source} at {holder.path}: {error.source}"
    place = Json(value=None, source=source, error=InvalidInputError, path=error.path)
    return place.invalid(error.expected, found=error.found)

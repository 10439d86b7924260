"""The part of an object that becomes a pod: the pod itself, or the template of its owner."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from k40s.kube.objects.containers import container_names, init_container_names
from k40s.kube.objects.fields import Fields, JsonObject
from k40s.kube.objects.pod_templates import POD_OWNERS

_POD = ("", "Pod")
_TEMPLATE = ("spec", "template")
_JOB = ("spec", "jobTemplate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """Labels and annotations of one level of an object."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PodPart:
    """A pod's texts. ``where`` is the template's place, "" for a pod.

    ``above`` are the owner's own levels, which reach no pod; the outermost first.
    """

    where: str
    metadata: Metadata
    spec: JsonObject
    containers: tuple[str, ...]
    sidecars: tuple[str, ...]
    init_containers: tuple[str, ...]
    above: tuple[Metadata, ...] = ()


def _steps(kind: str) -> tuple[tuple[str, ...], ...]:
    return (_JOB, _TEMPLATE) if kind == "CronJob" else (_TEMPLATE,)


_PLACES: Mapping[tuple[str, str], tuple[tuple[str, ...], ...]] = MappingProxyType(
    {_POD: ()}
    | {
        (api_version.rpartition("/")[0], kind): _steps(kind)
        for kind, (api_version, _) in POD_OWNERS.items()
    }
)
"""API group and kind -> the steps from the object to what has the pod's metadata and spec."""


def find_pod_part(group: str, kind: str, item: JsonObject) -> PodPart | None:
    """The pod in an object of this kind; None for a kind without one.

    A field of another form than Kubernetes' counts as absent, and a text that is none as "", which
    no key of k40s allows.
    """
    places = _PLACES.get((group, kind))
    if places is None:
        return None
    fields = Fields()
    levels = [item]
    for steps in places:
        below = levels[-1]
        for step in steps:
            below = fields.part("template", step, below.get(step))
        levels.append(below)
    pod = levels[-1]
    spec = fields.part("spec", "spec", pod.get("spec"))
    return PodPart(
        where=".".join(step for steps in places for step in steps),
        metadata=_metadata(fields, pod),
        spec=spec,
        containers=container_names(fields, spec),
        sidecars=init_container_names(fields, spec, restartable=True),
        init_containers=init_container_names(fields, spec, restartable=False),
        above=tuple(_metadata(fields, level) for level in levels[:-1]),
    )


def _metadata(fields: Fields, level: JsonObject) -> Metadata:
    metadata = fields.part("metadata", "metadata", level.get("metadata"))
    return Metadata(
        labels=fields.texts("labels", "metadata.labels", metadata.get("labels")),
        annotations=fields.texts(
            "annotations", "metadata.annotations", metadata.get("annotations")
        ),
    )

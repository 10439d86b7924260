"""Owners of pods with a template (Deployment, Job, …): the k40s keys that their template lacks."""

from collections.abc import Mapping
from types import MappingProxyType

from k40s.annotations import unreached_keys
from k40s.kube.objects.fields import Fields, JsonObject, names
from k40s.kube.records import ObjectRef, PodOwnerRecord

POD_OWNERS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "Deployment": ("apps/v1", "deployments"),
        "StatefulSet": ("apps/v1", "statefulsets"),
        "DaemonSet": ("apps/v1", "daemonsets"),
        "ReplicaSet": ("apps/v1", "replicasets"),
        "ReplicationController": ("v1", "replicationcontrollers"),
        "Job": ("batch/v1", "jobs"),
        "CronJob": ("batch/v1", "cronjobs"),
    }
)
"""Kind -> API version and resource."""

_JOB = ("spec", "jobTemplate")
_POD = ("spec", "template")


def pod_owner_record(kind: str, api_version: str, item: JsonObject) -> PodOwnerRecord:
    """Read one, as it stands in a list of its ``kind``. Raises ``NamelessError``."""
    uid, namespace, name = names(item, "uid", "namespace", "name")
    fields = Fields()
    levels = [item]
    if kind == "CronJob":
        levels.append(_below(fields, item, _JOB))
    pod = _metadata(fields, _below(fields, levels[-1], _POD))
    unreached = {
        key: None
        for level in levels
        for key in unreached_keys(
            labels=_texts(fields, _metadata(fields, level), "labels"),
            annotations=_texts(fields, _metadata(fields, level), "annotations"),
            pod_labels=_texts(fields, pod, "labels"),
            pod_annotations=_texts(fields, pod, "annotations"),
        )
    }
    owners = fields.parts(
        "controlled", "metadata.ownerReferences", _metadata(fields, item).get("ownerReferences")
    )
    return PodOwnerRecord(
        about=ObjectRef(
            kind=kind, api_version=api_version, namespace=namespace, name=name, uid=uid
        ),
        unreached=tuple(unreached),
        controlled=any(map(_controls, (owner for _, owner in owners))),
        faults=fields.faults,
    )


def _controls(owner: JsonObject) -> bool:
    """Whether it is a controller of a kind that is watched as well."""
    made_by = owner.get("kind"), owner.get("apiVersion")
    return owner.get("controller") is True and any(
        made_by == (kind, api_version) for kind, (api_version, _) in POD_OWNERS.items()
    )


def _metadata(fields: Fields, item: JsonObject) -> JsonObject:
    return fields.part("unreached", "metadata", item.get("metadata"))


def _texts(fields: Fields, metadata: JsonObject, part: str) -> Mapping[str, str]:
    return fields.texts("unreached", f"metadata.{part}", metadata.get(part))


def _below(fields: Fields, item: JsonObject, steps: tuple[str, ...]) -> JsonObject:
    for step in steps:
        item = fields.part("unreached", ".".join(steps), item.get(step))
    return item

"""Pods to be explained, from manifests: a Pod, or what a Deployment's template would give."""

from dataclasses import dataclass
from typing import Any

from k40s.errors import InvalidInputError
from k40s.strict_json import Json
from workbench.inputs.document import read_documents
from workbench.inputs.manifests import Remark, list_objects
from workbench.inputs.misplaced_keys import check_keys
from workbench.inputs.pod_templates import find_templates, step_to

_COPIED = ("labels", "annotations")


@dataclass(frozen=True, slots=True, kw_only=True)
class PodManifest:
    """A pod of an object. ``namespace`` is the object's, "" where it names none."""

    title: str
    namespace: str
    pod: dict[str, Any]


def read_pod_manifests(text: str, *, source: str) -> list[PodManifest]:
    """All pods and templates of a text. Raises ``InvalidInputError``, also where there is none."""
    remarks: list[Remark] = []
    found: list[PodManifest] = []
    for document in read_documents(text, source=source):
        for whole in list_objects(document, remarks):
            found += _read(whole)
    if not found:
        raise Json(value=None, source=source, error=InvalidInputError).invalid(
            "a Pod, or an object with a template of pods", found="no pod"
        )
    return found


def _read(whole: Json) -> list[PodManifest]:
    holders = find_templates(whole)
    if not holders:
        return []
    check_keys(whole, holders)
    kind = str(whole.members()["kind"].value)
    own = _mapping(whole, "metadata")
    name = str(own.get("name") or own.get("generateName") or kind.lower())
    manifests = []
    for steps in holders:
        holder = step_to(whole, steps)
        metadata = _mapping(holder, "metadata")
        named = {key: metadata[key] for key in _COPIED if key in metadata}
        manifests.append(
            PodManifest(
                title=f"{kind} {name}",
                namespace=str(own.get("namespace") or ""),
                pod={
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "metadata": {"name": name.rstrip("-"), **named},
                    "spec": holder.members()["spec"].value,
                },
            )
        )
    return manifests


def _mapping(element: Json, name: str) -> dict[str, Any]:
    found = element.members().get(name)
    return found.value if found is not None and isinstance(found.value, dict) else {}

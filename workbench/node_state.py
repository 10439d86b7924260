"""A node as it stands: the CPU state that it publishes, and the criticality that it is fit for."""

from collections.abc import Mapping
from dataclasses import dataclass

from k40s.annotations import ASSURANCE_CLASS_LABEL, CPU_STATE_KEY, CpuState, parse_cpu_state
from k40s.criticality import Criticality, parse_criticality
from k40s.errors import InvalidInputError
from k40s.strict_json import Json
from workbench.document import read_document
from workbench.manifests import is_manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeState:
    """``fit_for`` is None where it is not known, as in a bare annotation."""

    name: str
    state: CpuState
    fit_for: Criticality | None


def read_node_state(text: str, *, source: str) -> NodeState:
    """Read the text of the annotation, or a saved Node object as YAML or JSON.

    Raises ``InvalidInputError``.
    """
    place = read_document(text, source=source)
    if not is_manifest(place):
        return NodeState(name=source, state=parse_cpu_state(text.strip()), fit_for=None)
    members = place.members()
    if members["kind"].value != "Node":
        raise members["kind"].invalid("Node")
    parts = members["metadata"].members() if "metadata" in members else {}
    name = parts["name"].value if "name" in parts else source
    return node_state(
        str(name),
        labels=_texts(parts.get("labels")),
        annotations=_texts(parts.get("annotations")),
        source=source,
    )


def node_state(
    name: str, *, labels: Mapping[str, str], annotations: Mapping[str, str], source: str
) -> NodeState:
    """The state of a node from its labels and annotations. Raises ``InvalidInputError``."""
    text = annotations.get(CPU_STATE_KEY)
    if text is None:
        place = Json(value=None, source=source, error=InvalidInputError)
        raise place.invalid(
            f"the annotation {CPU_STATE_KEY}, which rubicante publishes on real-time nodes",
            found="none",
        )
    return NodeState(
        name=name, state=parse_cpu_state(text), fit_for=_class(labels.get(ASSURANCE_CLASS_LABEL))
    )


def _class(label: str | None) -> Criticality | None:
    try:
        return None if label is None else parse_criticality(label)
    except ValueError:
        return None


def _texts(place: Json | None) -> dict[str, str]:
    if place is None or place.value is None:
        return {}
    return {
        key: member.value
        for key, member in place.members().items()
        if isinstance(member.value, str)
    }

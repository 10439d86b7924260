"""A node's published CPU state, and the criticality that it is fit for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from k40s.annotations import (
    ASSURANCE_CLASS_LABEL,
    ASSURANCE_KEY,
    CPU_STATE_KEY,
    REAL_TIME_LABEL,
    CpuState,
    parse_cpu_state,
    parse_node_assurance,
)
from k40s.criticality import Criticality, parse_criticality
from k40s.errors import InvalidAnnotationError, InvalidInputError
from k40s.node_api.messages import AdmissionAnswer, ReservationRequest
from k40s.strict_json import Json
from workbench.inputs.document import read_document
from workbench.inputs.manifests import is_manifest
from workbench.inputs.pod_templates import member_of


class NodeQuery(Protocol):
    """Asks a node's daemon whether it would admit a pod, without reserving anything."""

    def __call__(self, endpoint: str, request: ReservationRequest, /) -> AdmissionAnswer:
        """Raises ``UnavailableError``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeState:
    """``fit_for`` is None where it is unknown: the CPU state alone does not contain it.

    A node without a valid assurance annotation is not ``assured``; one without the real-time label
    is not ``real_time``. The scheduler refuses both.
    """

    name: str
    state: CpuState
    fit_for: Criticality | None
    assured: bool = True
    real_time: bool = True


def read_node_state(text: str, *, source: str) -> NodeState:
    """Read the text of the annotation, or a saved Node object as YAML or JSON.

    Raises ``InvalidInputError``.
    """
    element = read_document(text, source=source)
    if not is_manifest(element):
        return NodeState(name=source, state=parse_cpu_state(text.strip()), fit_for=None)
    kind = member_of(element, "kind")
    if kind.value != "Node":
        raise kind.invalid("Node")
    members = element.members()
    metadata = members.get("metadata")
    parts = {} if metadata is None or metadata.value is None else metadata.members()
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
        element = Json(value=None, source=source, error=InvalidInputError)
        raise element.invalid(
            f"the annotation {CPU_STATE_KEY}, which rubicante publishes on real-time nodes",
            found="none",
        )
    return NodeState(
        name=name,
        state=parse_cpu_state(text),
        fit_for=_class(labels.get(ASSURANCE_CLASS_LABEL)),
        assured=_is_assured(annotations.get(ASSURANCE_KEY)),
        real_time=labels.get(REAL_TIME_LABEL) == "true",
    )


def _is_assured(text: str | None) -> bool:
    try:
        return text is not None and parse_node_assurance(text) is not None
    except InvalidAnnotationError:
        return False


def _class(label: str | None) -> Criticality | None:
    try:
        return None if label is None else parse_criticality(label)
    except ValueError:
        return None


def _texts(element: Json | None) -> dict[str, str]:
    if element is None or element.value is None:
        return {}
    return {
        key: member.value
        for key, member in element.members().items()
        if isinstance(member.value, str)
    }

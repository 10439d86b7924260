"""A task-set file as a whole: pods for a node, or a bare task set."""

from dataclasses import dataclass

from k40s.cpu.model import CpuNode
from k40s.strict_json import Json
from workbench.document import read_document
from workbench.node_file import read_node
from workbench.plain_set import PlainSet, read_plain_set
from workbench.pods import Pod, read_pods


@dataclass(frozen=True, slots=True, kw_only=True)
class PodSet:
    """Pods that ask one node for admission, in this order. ``stated`` tells if the file has it."""

    node: CpuNode
    pods: tuple[Pod, ...]
    stated: bool = True


Problem = PodSet | PlainSet


def read_problem(text: str, *, source: str) -> Problem:
    """Read a task-set file. Raises ``InvalidInputError``."""
    return problem_of(read_document(text, source=source))


def problem_of(place: Json) -> Problem:
    """Read a task-set document. Raises the place's error."""
    members = place.members()
    if "pods" in members:
        field = place.fields(("pods",), ("node",))
        return PodSet(
            node=read_node(field.get("node")), pods=read_pods(field["pods"]), stated="node" in field
        )
    if "tasks" not in members:
        raise place.invalid(
            "a field pods (admission to a node), or a field tasks (a bare task set)",
            found="neither",
        )
    return read_plain_set(place.fields(("tasks",), ("server", "above", "tick", "scheduling")))

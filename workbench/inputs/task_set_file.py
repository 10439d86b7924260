"""A task-set file as a whole: pods for a node, or a bare task set."""

from dataclasses import dataclass

from k40s.cpu.model import CpuNode
from k40s.strict_json import Json
from workbench.inputs.bare_task_set import BareTaskSet, read_bare_task_set
from workbench.inputs.document import read_document
from workbench.inputs.manifests import is_manifest
from workbench.inputs.node_file import read_node
from workbench.inputs.pods import Pod, read_pods


@dataclass(frozen=True, slots=True, kw_only=True)
class PodSet:
    """Pods to admit to one node, in this order. ``stated``: the file describes the node."""

    node: CpuNode
    pods: tuple[Pod, ...]
    stated: bool = True


TaskSetFile = PodSet | BareTaskSet


def read_task_set_file(text: str, *, source: str) -> TaskSetFile:
    """Read a task-set file. Raises ``InvalidInputError``."""
    return parse_task_set_file(read_document(text, source=source))


def parse_task_set_file(element: Json) -> TaskSetFile:
    """Read a task-set document. Raises the element's error."""
    if is_manifest(element):
        raise element.invalid(
            "a task-set file; k40s analyze reads manifests, with --node or --state",
            found="a Kubernetes manifest",
        )
    members = element.members()
    if "pods" in members and "tasks" in members:
        raise element.invalid("either of them", found="the fields pods and tasks")
    if "pods" in members:
        field = element.fields(("pods",), ("node",))
        return PodSet(
            node=read_node(field.get("node")), pods=read_pods(field["pods"]), stated="node" in field
        )
    if "tasks" not in members:
        raise element.invalid(
            "a field pods (admission to a node), or a field tasks (a bare task set)",
            found="neither",
        )
    return read_bare_task_set(element.fields(("tasks",), ("server", "above", "tick", "scheduling")))

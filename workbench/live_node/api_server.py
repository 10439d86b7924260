"""A node's state from the API server."""

from k40s.errors import InvalidInputError
from k40s.kube.connect import connect
from workbench.inputs.node_state import NodeState, node_state


def fetch_node(name: str, *, kubeconfig: str) -> NodeState:
    """A node's published state from the API server. ``UnavailableError``, ``InvalidInputError``."""
    found = connect(kubeconfig=kubeconfig).get_node(name)
    if found is None:
        raise InvalidInputError(
            source="--node", path="$", found=name, expected="the name of a node of the cluster"
        )
    return node_state(
        found.name, labels=found.labels, annotations=found.annotations, source=f"node {name}"
    )

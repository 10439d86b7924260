"""What the nodes' monitors ask for, and what the cluster says about it."""

from collections.abc import Collection, Mapping

from controller.cluster.node_annotations import NodeAnnotations
from controller.cluster.nodes import NodeLevel
from controller.cluster.pods import PodView
from controller.cluster.watched_pods import criticality_of, owner_of
from k40s.annotations import CULPRITS_KEY, Culprit, parse_culprits
from k40s.assurance.eviction import NodePod
from k40s.kube.objects.managed_pods import MIRROR_KEY, ManagedPodRecord

_SYSTEM_NAMESPACE = "kube-system"
_SYSTEM_CLASS = "system-"
"""Begins the names of Kubernetes' own priority classes; the API server refuses others with it."""


class CulpritTable(NodeAnnotations[tuple[Culprit, ...]]):
    """The nodes' requests. Handler of Nodes; any thread may call."""

    def __init__(self) -> None:
        super().__init__(key=CULPRITS_KEY, parse=parse_culprits)

    def asked(self, levels: Mapping[str, NodeLevel]) -> list[tuple[str, Culprit]]:
        """Each request with its node; of nodes whose monitor is alive, the oldest first."""
        alive = {name for name, one in levels.items() if one.level is not None}
        found = [
            (name, culprit)
            for name, published in self.published().items()
            if name in alive
            for culprit in published.value or ()
        ]
        return sorted(found, key=lambda pair: (pair[1].at, pair[0], pair[1].uid))


def node_pods(view: PodView, node: str, own: Collection[str]) -> dict[str, NodePod]:
    """The pods of a node that have not ended, by UID; pods in the namespaces ``own`` are system."""
    protected = {_SYSTEM_NAMESPACE, *own}
    return {
        one.record.pod.uid: read_node_pod(one.record, protected)
        for one in view.pods.values()
        if one.record.pod.node == node and not one.record.pod.ended
    }


def read_node_pod(record: ManagedPodRecord, protected: Collection[str]) -> NodePod:
    """What a record says about a pod; one of which anything cannot be read has no criticality."""
    pod = record.pod
    return NodePod(
        uid=pod.uid,
        namespace=pod.namespace,
        name=pod.name,
        node=pod.node,
        criticality=None if record.faults else criticality_of(record),
        kind="" if record.controller is None else record.controller.kind,
        owner=owner_of(record),
        system=pod.namespace in protected or pod.priority_class.startswith(_SYSTEM_CLASS),
        static=MIRROR_KEY in pod.annotations,
        ending=pod.deleting,
    )

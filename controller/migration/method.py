"""How a pod may leave: surge where its Deployment allows it, else eviction."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from controller.cluster.watched_pods import owner_of
from controller.metrics import Method
from k40s.errors import UnreadableError
from k40s.kube.objects.managed_pods import ControllerRef, ManagedPodRecord
from k40s.kube.records import ObjectRef
from k40s.kube.writing.pod_control import TEMPLATE_HASH_LABEL, DeploymentRecord, ReplicaSetRecord

_LONGEST_HASH = 53
"""With the ending that releases the pod it is a label's value of at most 63 characters."""
RELEASED = "-migrating"
"""Follows the hash in the label of a released pod."""


class OwnerSource(Protocol):
    """Owners of pods and the Services in front of them. Methods raise ``UnavailableError``."""

    def replica_set(self, namespace: str, name: str) -> ReplicaSetRecord | None:
        """The ReplicaSet."""
        ...

    def deployment(self, namespace: str, name: str) -> DeploymentRecord | None:
        """The Deployment."""
        ...

    def service_selectors(self, namespace: str) -> list[tuple[str, Mapping[str, str]]]:
        """Name and selector of each Service."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How to move a pod. ``replica_set`` is there for a surge; ``note`` says why there is none."""

    method: Method
    owner: str
    about: ObjectRef
    controller: ControllerRef
    replica_set: ReplicaSetRecord | None = None
    template_hash: str = ""
    note: str = ""


class Methods:
    """Decides how pods may be moved."""

    def __init__(self, source: OwnerSource) -> None:
        self._source = source

    def find(self, record: ManagedPodRecord) -> Plan:
        """The plan for a pod with a controller.

        Raises ``UnreadableError`` where the controller is gone or wants no pod: it will delete the
        pod by itself; and ``UnavailableError``.
        """
        controller, pod = record.controller, record.pod
        if controller is None:
            raise UnreadableError(f"{pod.namespace}/{pod.name} has no controller")
        evict = Plan(
            method=Method.EVICT,
            owner=owner_of(record),
            about=_reference(controller, pod.namespace),
            controller=controller,
        )
        if controller.kind != "ReplicaSet":
            return evict
        replica_set = self._source.replica_set(pod.namespace, controller.name)
        if replica_set is None or replica_set.uid != controller.uid or not replica_set.replicas:
            raise UnreadableError(f"ReplicaSet {controller.name} wants no pod")
        return self._of_replica_set(record, replica_set, evict)

    def _of_replica_set(
        self, record: ManagedPodRecord, replica_set: ReplicaSetRecord, evict: Plan
    ) -> Plan:
        pod, above = record.pod, replica_set.controller
        if above is None or above.kind != "Deployment":
            return evict
        about = _reference(above, pod.namespace)
        owner = f"Deployment {pod.namespace}/{above.name}"
        template_hash = pod.labels.get(TEMPLATE_HASH_LABEL, "")
        note = self._find_hindrance(pod.namespace, above, pod.labels, template_hash)
        return Plan(
            method=Method.EVICT if note else Method.SURGE,
            owner=owner,
            about=about,
            controller=evict.controller,
            replica_set=None if note else replica_set,
            template_hash=template_hash,
            note=note,
        )

    def _find_hindrance(
        self, namespace: str, above: ControllerRef, labels: Mapping[str, str], template_hash: str
    ) -> str:
        """Why the pod cannot be released before it is replaced, or ""."""
        if not 1 <= len(template_hash) <= _LONGEST_HASH:
            return f"its label {TEMPLATE_HASH_LABEL} is not one of a Deployment"
        deployment = self._source.deployment(namespace, above.name)
        if deployment is None or not deployment.surges:
            return f"Deployment {above.name} allows no pod beyond its replicas"
        for name, selector in self._source.service_selectors(namespace):
            if TEMPLATE_HASH_LABEL in selector and selector.items() <= labels.items():
                return f"Service {name} selects {TEMPLATE_HASH_LABEL}"
        return ""


def _reference(owner: ControllerRef, namespace: str) -> ObjectRef:
    return ObjectRef(
        kind=owner.kind,
        namespace=namespace,
        name=owner.name,
        uid=owner.uid,
        api_version=owner.api_version,
    )

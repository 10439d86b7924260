"""Owners of pods, Services and Nodes as moving a pod needs them, and the one write to a pod."""

from collections.abc import Mapping
from dataclasses import dataclass

from k40s.annotations import MIGRATION_KEY
from k40s.assurance.migration.placement import NodeOffer
from k40s.errors import UnavailableError, UnreadableError
from k40s.kube.objects.fields import Fields, JsonObject, NamelessError
from k40s.kube.objects.managed_pods import ControllerRef, read_controller
from k40s.kube.objects.scheduling import node_offer
from k40s.kube.transport import MERGE_PATCH, ApiTransport, NotFoundError
from k40s.units import NS_PER_S, Nanoseconds

TEMPLATE_HASH_LABEL = "pod-template-hash"
"""Pod label by which a ReplicaSet of a Deployment knows its pods."""
_NO_SURGE = (0, "0", "0%")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaSetRecord:
    """A ReplicaSet: how many pods it keeps, and its Deployment.

    A pod counts as available once it has been ready for ``min_ready``.
    """

    name: str
    uid: str
    replicas: int
    min_ready: Nanoseconds
    controller: ControllerRef | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentRecord:
    """A Deployment; ``surges``: its rollout strategy allows more pods than replicas."""

    name: str
    uid: str
    surges: bool


class PodControl:
    """Requests to the API server about pods that may be moved.

    Every method raises ``UnavailableError``, of which ``UnreadableError`` is about the object.
    """

    def __init__(self, api: ApiTransport) -> None:
        self._api = api

    def pod(self, namespace: str, name: str) -> JsonObject:
        """The pod's object as it is. Raises ``NotFoundError``."""
        return self._api.request("GET", _pod(namespace, name))

    def replica_set(self, namespace: str, name: str) -> ReplicaSetRecord | None:
        """The ReplicaSet, None when there is none."""
        found = self._find(f"/apis/apps/v1/namespaces/{namespace}/replicasets/{name}")
        if found is None:
            return None
        fields, meta, spec = _parts(found)
        record = ReplicaSetRecord(
            name=fields.text("name", "metadata.name", meta.get("name")),
            uid=fields.text("uid", "metadata.uid", meta.get("uid")),
            replicas=_whole(fields, "replicas", spec.get("replicas"), default=1),
            min_ready=Nanoseconds(
                _whole(fields, "minReadySeconds", spec.get("minReadySeconds"), default=0) * NS_PER_S
            ),
            controller=read_controller(fields, meta),
        )
        _check(fields, record.name)
        return record

    def deployment(self, namespace: str, name: str) -> DeploymentRecord | None:
        """The Deployment, None when there is none."""
        found = self._find(f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}")
        if found is None:
            return None
        fields, meta, spec = _parts(found)
        strategy = fields.part("strategy", "spec.strategy", spec.get("strategy"))
        rolling = fields.part(
            "strategy", "spec.strategy.rollingUpdate", strategy.get("rollingUpdate")
        )
        record = DeploymentRecord(
            name=fields.text("name", "metadata.name", meta.get("name")),
            uid=fields.text("uid", "metadata.uid", meta.get("uid")),
            surges=strategy.get("type") == "RollingUpdate"
            and rolling.get("maxSurge", 1) not in _NO_SURGE,
        )
        _check(fields, record.name)
        return record

    def service_selectors(self, namespace: str) -> list[tuple[str, Mapping[str, str]]]:
        """Name and selector of every Service of the namespace that has a selector."""
        answer = self._api.request("GET", f"/api/v1/namespaces/{namespace}/services")
        fields = Fields()
        found = []
        for path, item in fields.parts("items", "items", answer.get("items")):
            meta = fields.part("items", f"{path}.metadata", item.get("metadata"))
            spec = fields.part("items", f"{path}.spec", item.get("spec"))
            selector = fields.part("items", f"{path}.spec.selector", spec.get("selector"))
            name = fields.text("items", f"{path}.metadata.name", meta.get("name"))
            if selector:
                found.append((name, fields.texts("items", f"{path}.spec.selector", selector)))
        _check(fields, f"Services of {namespace}")
        return found

    def nodes(self) -> list[NodeOffer]:
        """What every Node offers to pods."""
        answer = self._api.request("GET", "/api/v1/nodes")
        items = answer.get("items")
        if not isinstance(items, list):
            raise UnavailableError("GET /api/v1/nodes: unexpected list, without items")
        found = []
        for item in items:
            try:
                found.append(node_offer(item))
            except (NamelessError, AttributeError):
                continue  # nobody can be bound to a node without a name
        return found

    def mark(
        self,
        namespace: str,
        name: str,
        *,
        uid: str,
        resource_version: str,
        template_hash: str,
        migration: str,
    ) -> None:
        """Set the label ``pod-template-hash`` and the annotation about the move in one write.

        Raises ``ConflictError`` when the pod is at another version, or is another one of that name,
        and ``NotFoundError`` when it is gone.
        """
        metadata = {
            "uid": uid,
            "resourceVersion": resource_version,
            "labels": {TEMPLATE_HASH_LABEL: template_hash},
            "annotations": {MIGRATION_KEY: migration},
        }
        self._api.request(
            "PATCH", _pod(namespace, name), {"metadata": metadata}, content_type=MERGE_PATCH
        )

    def _find(self, path: str) -> JsonObject | None:
        try:
            return self._api.request("GET", path)
        except NotFoundError:
            return None


def _pod(namespace: str, name: str) -> str:
    return f"/api/v1/namespaces/{namespace}/pods/{name}"


def _parts(item: JsonObject) -> tuple[Fields, JsonObject, JsonObject]:
    fields = Fields()
    meta = fields.part("metadata", "metadata", item.get("metadata"))
    return fields, meta, fields.part("spec", "spec", item.get("spec"))


def _whole(fields: Fields, field: str, found: object, *, default: int) -> int:
    """A number of ``spec``, with what it is where it is absent."""
    if found is None:
        return default
    if isinstance(found, int) and not isinstance(found, bool) and found >= 0:
        return found
    fields.refuse(field, f"spec.{field}", found, "a whole number from 0")
    return 0


def _check(fields: Fields, what: str) -> None:
    if fields.faults:
        raise UnreadableError(f"{what}: {fields.faults[0].text}")

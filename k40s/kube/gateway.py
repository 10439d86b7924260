"""Reads and writes what k40s needs of the API server, as plain JSON.

The client library's typed objects cost more CPU than the scheduler's throughput leaves.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

from k40s.errors import UnreadableError
from k40s.kube.objects import write
from k40s.kube.objects.networks import (
    NETWORKS,
    network_record,
    reservations_patch,
)
from k40s.kube.objects.pod_templates import POD_OWNERS, pod_owner_record
from k40s.kube.objects.read import (
    JsonObject,
    NamelessError,
    lease_record,
    node_record,
    pod_record,
)
from k40s.kube.objects.runtimes import (
    CLASSES_PATH,
    NodeRuntimes,
    RuntimeClassRecord,
    node_runtimes,
    runtime_class_record,
)
from k40s.kube.records import (
    LeaseRecord,
    NetworkRecord,
    NodeCondition,
    NodeRecord,
    ObjectRef,
    PodCondition,
    PodOwnerRecord,
    PodRecord,
)
from k40s.kube.transport import (
    MERGE_PATCH,
    STRATEGIC_MERGE_PATCH,
    ApiTransport,
    NotFoundError,
)
from k40s.kube.watching.sources import METADATA_ONLY, ApiSource, label_query
from k40s.network.model import NetworkReservation
from k40s.network.objects import NetworkReader
from k40s.units import Nanoseconds, WallClock

_NOTHING: Mapping[str, str | None] = {}


class KubeGateway:
    """Reads and writes what k40s needs. Every method raises ``UnavailableError`` on failure."""

    def __init__(
        self,
        transport: ApiTransport,
        *,
        now: WallClock = lambda: datetime.now(UTC),
    ) -> None:
        self._api = transport
        self._now = now

    @property
    def api(self) -> ApiTransport:
        """The connection, for requests that one process alone makes."""
        return self._api

    def nodes(self, *, labels: str = "", name: str = "") -> ApiSource[NodeRecord]:
        """List and watch Nodes (metadata alone), by label selector or one by name."""
        query = label_query(labels=labels, fields=f"metadata.name={name}" if name else "")
        return ApiSource(self._api, "/api/v1/nodes", query, node_record, METADATA_ONLY)

    def node_runtimes(self) -> ApiSource[NodeRuntimes]:
        """List and watch the runtime handlers of all Nodes, by whole objects."""
        return ApiSource(self._api, "/api/v1/nodes", "", node_runtimes)

    def runtime_classes(self) -> ApiSource[RuntimeClassRecord]:
        """List and watch RuntimeClasses."""
        return ApiSource(self._api, CLASSES_PATH, "", runtime_class_record)

    def pods(
        self, *, namespace: str = "", node: str = "", labels: str = ""
    ) -> ApiSource[PodRecord]:
        """List and watch Pods, of one namespace or all, of one node or all."""
        path = f"/api/v1/namespaces/{namespace}/pods" if namespace else "/api/v1/pods"
        query = label_query(labels=labels, fields=f"spec.nodeName={node}" if node else "")
        return ApiSource(self._api, path, query, pod_record)

    def leases(self, *, namespace: str) -> ApiSource[LeaseRecord]:
        """List and watch the Leases of one namespace."""
        return ApiSource(self._api, f"{_LEASES}/{namespace}/leases", "", lease_record)

    def pod_owners(self, kind: str) -> ApiSource[PodOwnerRecord]:
        """List and watch one of ``POD_OWNERS``, in all namespaces."""
        api_version, plural = POD_OWNERS[kind]
        root = "/apis" if "/" in api_version else "/api"
        record = partial(pod_owner_record, kind, api_version)
        return ApiSource(self._api, f"{root}/{api_version}/{plural}", "", record)

    def networks(self) -> ApiSource[NetworkRecord]:
        """List and watch Networks; one that is declared wrongly has a fault."""
        record = partial(network_record, parse=NetworkReader().read)
        return ApiSource(self._api, NETWORKS, "", record)

    def get_network(self, name: str, *, timeout: Nanoseconds | None = None) -> NetworkRecord | None:
        """The Network, or None when there is none; one that is declared wrongly has a fault."""
        try:
            answer = self._api.request("GET", f"{NETWORKS}/{name}", timeout=timeout)
        except NotFoundError:
            return None
        return _network(answer)

    def update_network_reservations(
        self,
        name: str,
        reservations: Sequence[NetworkReservation],
        *,
        version: str,
        timeout: Nanoseconds | None = None,
    ) -> NetworkRecord:
        """Replace the reservations of a Network that is still at this version.

        Raises ``ConflictError`` when it is not, ``NotFoundError`` when it is gone.
        """
        body = reservations_patch(reservations, version=version)
        return self._patch_network(name, body, timeout=timeout)

    def get_node(self, name: str) -> NodeRecord | None:
        """The node's metadata, or None when there is none. May raise ``UnreadableError``."""
        try:
            return _read(node_record, self._api.request("GET", _node(name), accept=METADATA_ONLY))
        except NotFoundError:
            return None

    def get_pod(
        self, namespace: str, name: str, *, timeout: Nanoseconds | None = None
    ) -> PodRecord | None:
        """The pod, or None when there is no such pod. May raise ``UnreadableError``."""
        try:
            answer = self._api.request("GET", _pod(namespace, name), timeout=timeout)
            return _read(pod_record, answer)
        except NotFoundError:
            return None

    def patch_node(
        self,
        name: str,
        *,
        labels: Mapping[str, str | None] = _NOTHING,
        annotations: Mapping[str, str | None] = _NOTHING,
        condition: NodeCondition | None = None,
    ) -> NodeRecord:
        """Set these keys, and remove those that are None; all others stay as they are.

        With a ``condition`` that is set in the same write, which is one of the Node's status.
        Raises ``NotFoundError`` when there is no such node.
        """
        body = write.node_metadata(labels, annotations)
        path, form = _node(name), MERGE_PATCH
        if condition is not None:
            path, form = f"{path}/status", STRATEGIC_MERGE_PATCH
            body |= write.node_condition(condition)
        answer = self._api.request("PATCH", path, body, content_type=form, accept=METADATA_ONLY)
        return _read(node_record, answer)

    def get_lease(self, namespace: str, name: str) -> LeaseRecord | None:
        """The Lease, or None when there is none. May raise ``UnreadableError``."""
        try:
            path = f"{_LEASES}/{namespace}/leases/{name}"
            return _read(lease_record, self._api.request("GET", path))
        except NotFoundError:
            return None

    def remove_labels(self, name: str, labels: Sequence[str], *, version: str) -> None:
        """Remove labels of a node that is still at this version.

        Raises ``ConflictError`` when it is not, ``NotFoundError`` when there is no such node.
        """
        metadata = {"resourceVersion": version, "labels": dict.fromkeys(labels)}
        self._api.request(
            "PATCH",
            _node(name),
            {"metadata": metadata},
            content_type=MERGE_PATCH,
            accept=METADATA_ONLY,
        )

    def create_binding(
        self,
        *,
        namespace: str,
        name: str,
        uid: str,
        resource_version: str,
        node: str,
        annotations: Mapping[str, str],
        timeout: Nanoseconds | None = None,
    ) -> None:
        """Bind the pod, as it is at that version, to the node; annotate it in the same write.

        Raises ``ConflictError`` when the pod is at another version, bound already (by an earlier
        call as well), ends, or is another one of that name; ``NotFoundError`` when it is gone.
        """
        body = write.binding(
            namespace=namespace,
            name=name,
            uid=uid,
            resource_version=resource_version,
            node=node,
            annotations=annotations,
        )
        self._api.request("POST", _pod(namespace, name) + "/binding", body, timeout=timeout)

    def create_event(
        self,
        about: ObjectRef,
        *,
        reason: str,
        message: str,
        component: str,
        warning: bool = False,
        once: str = "",
    ) -> None:
        """Create an Event about an object; Node events go to namespace ``default``.

        ``once`` makes the Event unique: a repeat, by any process, raises ``ConflictError``.
        """
        namespace = about.namespace or "default"
        body = write.event(
            about,
            namespace=namespace,
            reason=reason,
            message=message,
            component=component,
            warning=warning,
            once=once,
            now=self._now(),
        )
        self._api.request("POST", f"/api/v1/namespaces/{namespace}/events", body)

    def set_pod_condition(
        self, pod: ObjectRef, kind: str, condition: PodCondition, *, turned: bool
    ) -> None:
        """Set the condition ``kind`` of the pod, and nothing else of its status.

        ``turned``: its status has changed, so now is its last transition.
        Raises ``NotFoundError`` when the pod is gone; a new one of the same name is not touched.
        """
        transition = self._now() if turned else None
        body = write.pod_condition(pod, kind, condition, transition=transition)
        path = _pod(pod.namespace, pod.name) + "/status"
        self._api.request("PATCH", path, body, content_type=STRATEGIC_MERGE_PATCH)

    def renew_lease(self, namespace: str, name: str, *, holder: str, duration: Nanoseconds) -> None:
        """Renew the Lease now; one that does not exist is created."""
        renewal = write.lease_renewal(holder=holder, duration=duration, now=self._now())
        leases = f"{_LEASES}/{namespace}/leases"
        try:
            self._api.request("PATCH", f"{leases}/{name}", renewal, content_type=MERGE_PATCH)
        except NotFoundError:
            self._api.request("POST", leases, write.new_lease(namespace, name, renewal))

    def _patch_network(
        self, name: str, body: JsonObject, *, timeout: Nanoseconds | None = None
    ) -> NetworkRecord:
        path = f"{NETWORKS}/{name}/status"
        answer = self._api.request("PATCH", path, body, content_type=MERGE_PATCH, timeout=timeout)
        return _network(answer)

    def delete_lease(self, namespace: str, name: str) -> None:
        """Remove the Lease; one that does not exist is no error."""
        try:
            self._api.request("DELETE", f"{_LEASES}/{namespace}/leases/{name}")
        except NotFoundError:
            return


R = TypeVar("R", NodeRecord, PodRecord, LeaseRecord)
_LEASES = "/apis/coordination.k8s.io/v1/namespaces"


_UNUSED_FIELDS = frozenset(
    {
        *("cpu_request_millis", "scheduler", "enforced", "priority_class"),
        *("container_ids", "states", "ephemeral_containers", "address"),
    }
)
"""Fields of a pod that no caller of ``get_pod`` reads."""


def _read(record: Callable[[JsonObject], R], answer: JsonObject) -> R:
    """The record, without faults: a caller that gets one object would trust a default."""
    try:
        found = record(answer)
    except NamelessError as error:
        raise UnreadableError(f"unexpected object from the API server: {error}") from error
    for fault in found.faults:
        if fault.field not in _UNUSED_FIELDS:
            raise UnreadableError(f"{found.key}: {fault.text}")
    return found


def _network(answer: JsonObject) -> NetworkRecord:
    try:
        return network_record(answer)
    except NamelessError as error:
        raise UnreadableError(f"unexpected object from the API server: {error}") from error


def _node(name: str) -> str:
    return f"/api/v1/nodes/{name}"


def _pod(namespace: str, name: str) -> str:
    return f"/api/v1/namespaces/{namespace}/pods/{name}"

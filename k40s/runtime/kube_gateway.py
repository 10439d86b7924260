"""Reads and writes what k40s needs of the API server, as plain JSON.

The client library's typed objects cost more CPU than the scheduler's throughput leaves.
"""

import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TypeVar

from k40s.errors import UnavailableError
from k40s.runtime.kube_objects import JsonObject, lease_record, node_record, pod_record
from k40s.runtime.kube_sources import METADATA_ONLY, ApiSource, label_query
from k40s.runtime.kube_transport import (
    MERGE_PATCH,
    ApiTransport,
    ConflictError,
    NotFoundError,
)
from k40s.runtime.records import LeaseRecord, NodeRecord, ObjectRef, PodRecord
from k40s.units import NS_PER_S, Nanoseconds

_EVENT_TEXT = 1024
_NOTHING: Mapping[str, str | None] = {}


class KubeGateway:
    """Reads and writes what k40s needs. Every method raises ``UnavailableError`` on failure."""

    def __init__(
        self,
        transport: ApiTransport,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._api = transport
        self._now = now

    def nodes(self, *, labels: str = "", name: str = "") -> ApiSource[NodeRecord]:
        """List and watch Nodes (metadata alone), by label selector or one by name."""
        query = label_query(labels=labels, fields=f"metadata.name={name}" if name else "")
        return ApiSource(self._api, "/api/v1/nodes", query, node_record, METADATA_ONLY)

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

    def get_node(self, name: str) -> NodeRecord | None:
        """The node's metadata, or None when there is no such node."""
        try:
            return _read(node_record, self._api.request("GET", _node(name), accept=METADATA_ONLY))
        except NotFoundError:
            return None

    def get_pod(self, namespace: str, name: str) -> PodRecord | None:
        """The pod, or None when there is no such pod."""
        try:
            return _read(pod_record, self._api.request("GET", _pod(namespace, name)))
        except NotFoundError:
            return None

    def patch_node(
        self,
        name: str,
        *,
        labels: Mapping[str, str | None] = _NOTHING,
        annotations: Mapping[str, str | None] = _NOTHING,
    ) -> NodeRecord:
        """Set these keys, and remove those that are None; all others stay as they are.

        Raises ``NotFoundError`` when there is no such node.
        """
        metadata = {"labels": dict(labels), "annotations": dict(annotations)}
        body = {"metadata": {part: keys for part, keys in metadata.items() if keys}}
        answer = self._api.request(
            "PATCH", _node(name), body, content_type=MERGE_PATCH, accept=METADATA_ONLY
        )
        return _read(node_record, answer)

    def create_binding(
        self,
        *,
        namespace: str,
        name: str,
        uid: str,
        node: str,
        annotations: Mapping[str, str],
        timeout: Nanoseconds | None = None,
    ) -> None:
        """Bind the pod to the node, and annotate it in the same write.

        A repeat for the same pod and node changes nothing. Raises ``ConflictError`` when the pod is
        bound elsewhere, ends, or is another one of that name; ``NotFoundError`` when it is gone.
        """
        body = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {
                "name": name,
                "namespace": namespace,
                "uid": uid,
                "annotations": dict(annotations),
            },
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        try:
            self._api.request("POST", _pod(namespace, name) + "/binding", body, timeout=timeout)
        except ConflictError:
            pod = self.get_pod(namespace, name)
            if pod is None or pod.uid != uid or pod.node != node:
                raise

    def create_event(
        self,
        about: ObjectRef,
        *,
        reason: str,
        message: str,
        component: str,
        warning: bool = False,
    ) -> None:
        """Tell people something about an object; Node events go to namespace ``default``."""
        namespace = about.namespace or "default"
        moment = self._now().strftime("%Y-%m-%dT%H:%M:%SZ")
        body = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{about.name}.{secrets.token_hex(8)}", "namespace": namespace},
            "involvedObject": {
                "apiVersion": "v1",
                "kind": about.kind,
                "namespace": about.namespace,
                "name": about.name,
                "uid": about.uid,
            },
            "reason": reason,
            "message": message[:_EVENT_TEXT],
            "type": "Warning" if warning else "Normal",
            "source": {"component": component},
            "reportingComponent": component,
            "firstTimestamp": moment,
            "lastTimestamp": moment,
            "count": 1,
        }
        self._api.request("POST", f"/api/v1/namespaces/{namespace}/events", body)

    def renew_lease(self, namespace: str, name: str, *, holder: str, duration: Nanoseconds) -> None:
        """Renew the Lease at this moment; one that does not exist is created."""
        spec = {
            "holderIdentity": holder,
            "leaseDurationSeconds": max(1, -(-duration // NS_PER_S)),
            "renewTime": self._now().strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        }
        leases = f"{_LEASES}/{namespace}/leases"
        try:
            self._api.request("PATCH", f"{leases}/{name}", {"spec": spec}, content_type=MERGE_PATCH)
        except NotFoundError:
            body = {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"name": name, "namespace": namespace},
                "spec": spec | {"acquireTime": spec["renewTime"]},
            }
            self._api.request("POST", leases, body)


R = TypeVar("R")
_LEASES = "/apis/coordination.k8s.io/v1/namespaces"


def _read(record: Callable[[JsonObject], R], answer: JsonObject) -> R:
    try:
        return record(answer)
    except (KeyError, TypeError, ValueError) as error:
        raise UnavailableError(f"unexpected object from the API server: {error!r}") from error


def _node(name: str) -> str:
    return f"/api/v1/nodes/{name}"


def _pod(namespace: str, name: str) -> str:
    return f"/api/v1/namespaces/{namespace}/pods/{name}"

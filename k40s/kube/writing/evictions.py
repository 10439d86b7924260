"""The Eviction API: a pod is asked to end, and PodDisruptionBudgets hold.

For every process that makes a pod leave its node; what may be evicted is decided by its caller.
"""

from typing import Protocol

from k40s.kube.transport import ApiTransport


class Evictor(Protocol):
    """Evicts pods; implemented by ``Evictions``."""

    def evict(self, namespace: str, name: str, *, uid: str, dry_run: bool = False) -> None:
        """Evict the pod with this UID; ``dry_run`` only asks whether that is allowed now.

        Raises ``TooManyRequestsError`` when a budget forbids it for now, ``NotFoundError`` when
        there is no such pod, ``ConflictError`` when the name is that of another one, and
        ``UnavailableError``: then it may have happened. Repeating it does no harm.
        """
        ...


class Evictions:
    """Evicts pods at the API server, with the grace period that they ask for themselves."""

    def __init__(self, api: ApiTransport) -> None:
        self._api = api

    def evict(self, namespace: str, name: str, *, uid: str, dry_run: bool = False) -> None:
        """See ``Evictor``."""
        options: dict[str, object] = {"preconditions": {"uid": uid}}
        if dry_run:
            options["dryRun"] = ["All"]
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"namespace": namespace, "name": name},
            "deleteOptions": options,
        }
        self._api.request("POST", f"/api/v1/namespaces/{namespace}/pods/{name}/eviction", body)

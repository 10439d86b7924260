"""What preempting needs of the API server: a pod's claim, Nodes, the budgets of a namespace."""

from k40s.annotations import PREEMPTION_KEY
from k40s.assurance.migration.placement import NodeOffer
from k40s.errors import UnreadableError
from k40s.kube.objects.budgets import BudgetRecord, budget_records
from k40s.kube.objects.fields import JsonObject, NamelessError
from k40s.kube.objects.scheduling import node_offer
from k40s.kube.transport import MERGE_PATCH, ApiTransport, NotFoundError


class PreemptionControl:
    """Requests to the API server. Every method raises ``UnavailableError``.

    Of which ``UnreadableError`` is about the object.
    """

    def __init__(self, api: ApiTransport) -> None:
        self._api = api

    def pod(self, namespace: str, name: str) -> JsonObject:
        """The pod's object as it is. Raises ``NotFoundError``."""
        return self._api.request("GET", _pod(namespace, name))

    def node(self, name: str) -> NodeOffer | None:
        """What a Node offers to pods at present; None when there is none."""
        path = f"/api/v1/nodes/{name}"
        try:
            return node_offer(self._api.request("GET", path))
        except NotFoundError:
            return None
        except NamelessError as error:
            raise UnreadableError(f"GET {path}: {error}") from error

    def set_claim(
        self, namespace: str, name: str, *, uid: str, resource_version: str, claim: str | None
    ) -> None:
        """Set the annotation about a preemption, None removes it.

        Raises ``ConflictError`` when the pod is at another version, or is another one of that name,
        and ``NotFoundError`` when it is gone.
        """
        metadata = {
            "uid": uid,
            "resourceVersion": resource_version,
            "annotations": {PREEMPTION_KEY: claim},
        }
        self._api.request(
            "PATCH", _pod(namespace, name), {"metadata": metadata}, content_type=MERGE_PATCH
        )

    def budgets(self, namespace: str) -> tuple[BudgetRecord, ...]:
        """All PodDisruptionBudgets of a namespace."""
        path = f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets"
        try:
            return budget_records(self._api.request("GET", path))
        except NamelessError as error:
            raise UnreadableError(f"GET {path}: {error}") from error


def _pod(namespace: str, name: str) -> str:
    return f"/api/v1/namespaces/{namespace}/pods/{name}"

"""What preemption needs of the cluster and of the other replicas."""

from typing import Protocol

from controller.cluster.pods import PodView
from k40s.assurance.migration.placement import NodeOffer
from k40s.kube.objects.budgets import BudgetRecord
from k40s.kube.objects.fields import JsonObject


class WatchedPods(Protocol):
    """The pods as the informer has them; it may lag behind. Implemented by ``PodTable``."""

    def view(self) -> PodView:
        """All pods."""
        ...


class Control(Protocol):
    """Requests about single objects; implemented by ``PreemptionControl``."""

    def pod(self, namespace: str, name: str) -> JsonObject:
        """The pod's object. Raises ``NotFoundError``, ``UnavailableError``."""
        ...

    def node(self, name: str) -> NodeOffer | None:
        """What a Node offers to pods; None when there is none. Raises ``UnavailableError``."""
        ...

    def set_claim(
        self, namespace: str, name: str, *, uid: str, resource_version: str, claim: str | None
    ) -> None:
        """Set or remove the annotation. Raises ``ConflictError``, ``NotFoundError``."""
        ...

    def budgets(self, namespace: str) -> tuple[BudgetRecord, ...]:
        """All PodDisruptionBudgets of a namespace. Raises ``UnavailableError``."""
        ...

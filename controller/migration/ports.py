"""What moving pods needs of the cluster and of the other replicas."""

from collections.abc import Mapping
from typing import Protocol

from controller.cluster.nodes import NodeLevel
from controller.cluster.pods import PodView
from controller.migration.method import OwnerSource
from k40s.assurance.migration.placement import NodeOffer
from k40s.kube.objects.fields import JsonObject


class WatchedCluster(Protocol):
    """The cluster as the informers have it."""

    def levels(self) -> Mapping[str, NodeLevel]:
        """Every node's level now."""
        ...

    def pods(self) -> PodView:
        """All pods."""
        ...


class Control(OwnerSource, Protocol):
    """Requests about single objects; implemented by ``PodControl``."""

    def nodes(self) -> list[NodeOffer]:
        """What every Node offers to pods. Raises ``UnavailableError``."""
        ...

    def pod(self, namespace: str, name: str) -> JsonObject:
        """The pod's object. Raises ``NotFoundError``, ``UnavailableError``."""
        ...

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
        """Set label and annotation at once. Raises ``ConflictError``, ``NotFoundError``."""
        ...

"""What collection needs of the cluster."""

from collections.abc import Mapping
from typing import Protocol

from k40s.kube.objects.network_status import WatchedNetwork
from k40s.kube.records import PodRecord
from k40s.network.collection import PodFact
from k40s.network.model import NetworkReservation, NetworkState
from k40s.network.status import NetworkSummary


class Surroundings(Protocol):
    """The cluster as the informers have it; they may lag behind."""

    def networks(self) -> Mapping[str, WatchedNetwork]:
        """All Networks, by name."""
        ...

    def pods(self) -> Mapping[str, PodFact]:
        """All pods, by UID."""
        ...

    def nodes(self) -> frozenset[str]:
        """The names of all Nodes."""
        ...

    def health(self) -> Mapping[str, Mapping[str, str]]:
        """By network, the code that each living daemon publishes of its node."""
        ...


class PodSource(Protocol):
    """The API server's own answer, which is not older than the question."""

    def get_pod(self, namespace: str, name: str) -> PodRecord | None:
        """The pod of that name, None when there is none.

        Raises ``UnavailableError``, of which ``UnreadableError`` is about this pod alone.
        """
        ...


class StatusWriter(Protocol):
    """Writes the status of a Network that is still at the version of ``state``."""

    def write(
        self,
        state: NetworkState,
        summary: NetworkSummary,
        reservations: tuple[NetworkReservation, ...] | None,
    ) -> None:
        """``reservations``: the entries as they are to be, None to leave them as they are.

        Raises ``ConflictError`` when it is at another version, ``NotFoundError`` when it is gone,
        and ``UnavailableError``: then it may have happened.
        """
        ...


class Leadership(Protocol):
    """The one replica that acts; implemented by ``LeaderElection``."""

    @property
    def leading(self) -> bool:
        """Whether this process may act now."""
        ...

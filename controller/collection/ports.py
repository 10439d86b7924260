"""What collection needs of the cluster."""

from collections.abc import Hashable, Mapping
from datetime import datetime
from typing import Protocol, TypeVar

from k40s.kube.objects.network_status import WatchedNetwork
from k40s.kube.records import PodRecord
from k40s.ledger.collection import CollectionPlan
from k40s.ledger.entry import Entry
from k40s.network.model import NetworkReservation, NetworkState
from k40s.network.status import NetworkSummary

E = TypeVar("E", bound=Entry)
S = TypeVar("S")


class Surroundings(Protocol):
    """The cluster as the informers have it; they may lag behind."""

    def networks(self) -> Mapping[str, WatchedNetwork]:
        """All Networks, by name."""
        ...

    def nodes(self) -> frozenset[str]:
        """The names of all Nodes."""
        ...

    def health(self) -> Mapping[str, Mapping[str, str]]:
        """By network, the code that each living daemon publishes of its node."""
        ...

    def held(self) -> Mapping[str, Mapping[str, str]]:
        """By network, the digest of what each living daemon's station has read back."""
        ...


class PodSource(Protocol):
    """The API server's own answer, which is not older than the question."""

    def get_pod(self, namespace: str, name: str) -> PodRecord | None:
        """The pod of that name, None when there is none.

        Raises ``UnavailableError``, of which ``UnreadableError`` is about this pod alone.
        """
        ...


class Ledger(Protocol[E, S]):
    """One object whose status is a ledger, as a watch has shown it.

    Its summary is what the status says of itself beside the entries.
    """

    @property
    def version(self) -> str:
        """The version of the object."""
        ...

    @property
    def reservations(self) -> tuple[E, ...] | None:
        """Its entries, None where they cannot be read."""
        ...

    @property
    def summary(self) -> S:
        """What its status says of itself."""
        ...

    @property
    def question(self) -> Hashable:
        """What a summary depends on beside the version and the entries."""
        ...

    def complete(self, plan: CollectionPlan[E]) -> CollectionPlan[E]:
        """The plan with the entries that are missing."""
        ...

    def summarize(self, reservations: tuple[E, ...] | None, now: datetime) -> S:
        """What is to be said; of entries that are None nothing new."""
        ...

    def write(self, summary: S, reservations: tuple[E, ...] | None) -> None:
        """``reservations``: the entries as they are to be, None to leave them as they are.

        Raises ``ConflictError`` when it is at another version, ``NotFoundError`` when it is gone,
        and ``UnavailableError``: then it may have happened.
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
        """As ``Ledger.write``."""
        ...


class Leadership(Protocol):
    """The one replica that acts; implemented by ``LeaderElection``."""

    @property
    def leading(self) -> bool:
        """Whether this process may act now."""
        ...

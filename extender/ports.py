"""What binding needs of the world. Adapters: ``RubicanteClient`` and ``KubeGateway``."""

from collections.abc import Mapping
from typing import Protocol

from k40s.node_api import AdmissionAnswer, ReservationRequest
from k40s.runtime.records import PodRecord
from k40s.units import Nanoseconds


class CpuReservations(Protocol):
    """The book of a node's CPU reservations, reached at the endpoint that the node publishes."""

    def reserve(self, endpoint: str, request: ReservationRequest) -> AdmissionAnswer:
        """Reserve, idempotently by UID. Raises ``UnavailableError``: then it may have happened."""

    def release(self, endpoint: str, uid: str) -> None:
        """Give back whatever the pod holds. Raises ``UnavailableError``."""


class PodBindings(Protocol):
    """The pods of the cluster."""

    def get_pod(self, namespace: str, name: str) -> PodRecord | None:
        """The pod, or None when there is no such pod. Raises ``UnavailableError``."""

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
        """Bind, idempotently; the annotations reach the pod in the same write.

        Raises ``ConflictError`` or ``NotFoundError`` when it certainly did not happen, and
        ``UnavailableError`` when it may have.
        """

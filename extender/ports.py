"""Ports of binding. Adapters: the nodes' clients, ``KubeGateway`` and ``TenantLedgers``."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from k40s.kube.records import NetworkRecord, PodRecord, TenantRecord
from k40s.network.model import NetworkReservation
from k40s.node_api.messages import AdmissionAnswer, ReservationRequest
from k40s.node_api.network_messages import SlotsAnswer, SlotsRequest
from k40s.tenants.ledger import TenantReservation
from k40s.units import Nanoseconds


class CpuReservations(Protocol):
    """A node's reservations, at the endpoint that the node publishes."""

    def reserve(
        self, endpoint: str, request: ReservationRequest, *, attempt: str
    ) -> AdmissionAnswer:
        """Reserves in a named attempt, idempotently by UID. Raises ``DaemonError``."""

    def withdraw(self, endpoint: str, uid: str, *, attempt: str, timeout: Nanoseconds) -> None:
        """Withdraws an attempt, even if its request arrives later.

        The pod keeps what it holds by another attempt or as a bound pod. Raises ``DaemonError``.
        """


class Networks(Protocol):
    """The Networks of the cluster, with what is reserved on them."""

    def get_network(self, name: str, *, timeout: Nanoseconds | None = None) -> NetworkRecord | None:
        """The Network, or None if it does not exist. Raises ``UnavailableError``."""

    def update_network_reservations(
        self,
        name: str,
        reservations: Sequence[NetworkReservation],
        *,
        version: str,
        timeout: Nanoseconds | None = None,
    ) -> NetworkRecord:
        """Replaces the reservations of a Network that is still at this version.

        Raises ``ConflictError`` (another version), ``NotFoundError`` or ``RefusedError`` if it
        certainly did not happen, and another ``UnavailableError`` if it may have.
        """


class Tenants(Protocol):
    """The Tenants of the cluster, with what their pods hold."""

    def get_tenant(self, name: str, *, timeout: Nanoseconds | None = None) -> TenantRecord | None:
        """The Tenant, or None if it does not exist. Raises ``UnavailableError``."""

    def update_tenant_reservations(
        self,
        name: str,
        reservations: Sequence[TenantReservation],
        *,
        version: str,
        timeout: Nanoseconds | None = None,
    ) -> TenantRecord:
        """Replaces the entries of a Tenant that is still at this version.

        Raises as ``Networks.update_network_reservations``.
        """


class NetworkStations(Protocol):
    """Nodes' slots on networks, at the endpoint that the node publishes."""

    def apply(
        self,
        endpoint: str,
        request: SlotsRequest,
        *,
        attempt: str,
        timeout: Nanoseconds | None = None,
    ) -> SlotsAnswer:
        """Sets up all slots of a pod in a named attempt, idempotently. Raises ``DaemonError``."""

    def withdraw(self, endpoint: str, uid: str, *, attempt: str, timeout: Nanoseconds) -> None:
        """Withdraws an attempt, even if its request arrives later. Raises ``DaemonError``."""


class PodBindings(Protocol):
    """The pods of the cluster."""

    def get_pod(
        self, namespace: str, name: str, *, timeout: Nanoseconds | None = None
    ) -> PodRecord | None:
        """The pod, or None if it does not exist. Raises ``UnavailableError``."""

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
        """Binds the pod at that version; the annotations are part of the same write.

        Raises ``ConflictError`` (another version, or bound already), ``NotFoundError`` or
        ``RefusedError`` if it certainly did not happen, and another ``UnavailableError`` if it may
        have.
        """

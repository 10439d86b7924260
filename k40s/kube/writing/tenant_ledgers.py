"""Tenants as extender and controller read and write them at the API server."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from k40s.errors import UnavailableError, UnreadableError
from k40s.kube.list_watch import Listing
from k40s.kube.objects.fields import JsonObject, NamelessError
from k40s.kube.objects.tenants import (
    DEFINITION,
    TENANTS,
    WatchedTenant,
    declared_tenant,
    entries_patch,
    tenant_record,
    tenant_status_patch,
    watched_tenant,
)
from k40s.kube.records import TenantRecord
from k40s.kube.transport import MERGE_PATCH, ApiTransport, NotFoundError
from k40s.kube.watching.sources import ApiSource, Record
from k40s.tenants.ledger import TenantReservation, TenantState
from k40s.tenants.summary import TenantSummary
from k40s.units import Nanoseconds

R = TypeVar("R", bound=Record)


class InstalledSource(ApiSource[R]):
    """A source of Tenants that lists none where their definition is not installed.

    An API server that has just started knows of a definition before it serves its objects. That is
    unavailability, and not the absence of all bounds: so the definition itself is asked for.
    """

    def __init__(self, api: ApiTransport, record: Callable[[JsonObject], R]) -> None:
        super().__init__(api, TENANTS, "", record)
        self._transport = api

    def list(self) -> Listing[R]:
        """All records at one version. Raises ``UnavailableError``."""
        try:
            return super().list()
        except UnavailableError as error:
            if not isinstance(error.__cause__, NotFoundError) or self._is_defined():
                raise
            return Listing(records=(), resource_version="")

    def _is_defined(self) -> bool:
        try:
            self._transport.request("GET", DEFINITION)
        except NotFoundError:
            return False
        return True


class TenantLedgers:
    """The Tenants of a cluster. Every method raises ``UnavailableError`` on failure."""

    def __init__(self, api: ApiTransport) -> None:
        self._api = api

    def tenants(self) -> ApiSource[TenantRecord]:
        """List and watch Tenants; one that cannot be used has a fault."""
        return InstalledSource(self._api, tenant_record)

    def declared(self) -> ApiSource[TenantRecord]:
        """The same without what is in their status."""
        return InstalledSource(self._api, declared_tenant)

    def watched(self) -> ApiSource[WatchedTenant]:
        """The same with what their status says."""
        return InstalledSource(self._api, watched_tenant)

    def get_tenant(self, name: str, *, timeout: Nanoseconds | None = None) -> TenantRecord | None:
        """The Tenant, or None when there is none."""
        try:
            answer = self._api.request("GET", f"{TENANTS}/{name}", timeout=timeout)
        except NotFoundError:
            return None
        return _record(answer)

    def update_tenant_reservations(
        self,
        name: str,
        reservations: Sequence[TenantReservation],
        *,
        version: str,
        timeout: Nanoseconds | None = None,
    ) -> TenantRecord:
        """Replace the entries of a Tenant that is still at this version.

        Raises ``ConflictError`` when it is not, ``NotFoundError`` when it is gone.
        """
        body = entries_patch(reservations, version=version)
        path = f"{TENANTS}/{name}/status"
        return _record(
            self._api.request("PATCH", path, body, content_type=MERGE_PATCH, timeout=timeout)
        )

    def write(
        self,
        state: TenantState,
        summary: TenantSummary,
        reservations: tuple[TenantReservation, ...] | None,
    ) -> None:
        """Write what is said of a Tenant that is still at the version of ``state``.

        ``reservations`` are left as they are where None. Raises as ``update_tenant_reservations``.
        """
        body = tenant_status_patch(summary, reservations, version=state.resource_version)
        path = f"{TENANTS}/{state.name}/status"
        self._api.request("PATCH", path, body, content_type=MERGE_PATCH)


def _record(answer: JsonObject) -> TenantRecord:
    try:
        return tenant_record(answer)
    except NamelessError as error:
        raise UnreadableError(f"unexpected object from the API server: {error}") from error

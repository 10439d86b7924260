"""The tenant's side of a bind: an entry in the status of the Tenant, if the pod counts.

Written under optimistic concurrency (``extender.binding.conditional_writes``), so that no two binds
of any replicas take the same room.
"""

import logging
import secrets
from collections.abc import Callable
from contextlib import ExitStack

from prometheus_client import Counter

from extender.binding.conditional_writes import Attempt, ConditionalWrites
from extender.binding.entry_lease import EntryLease
from extender.binding.ledger_entries import LedgerEntries
from extender.cache.tenants import TenantTable
from extender.ports import Tenants
from extender.protocol import BindingArgs
from k40s.cpu.workload import Workload
from k40s.ledger.entry import Owner
from k40s.reasons import Reason
from k40s.tenants.ledger import (
    TenantReservation,
    TenantState,
    find_booking,
)
from k40s.tenants.need import need_of
from k40s.units import Clock, Nanoseconds

_log = logging.getLogger(__name__)


class TenantEntries:
    """Writes and removes entries. Any thread may call, also twice at once for the same pod."""

    def __init__(
        self,
        *,
        table: TenantTable,
        tenants: Tenants,
        writes: ConditionalWrites,
        clock: Clock,
        lease: EntryLease,
        timeout: Nanoseconds,
        conflicts: Counter,
        name_attempt: Callable[[], str] = lambda: secrets.token_hex(8),
    ) -> None:
        """``timeout`` bounds the writes of one bind; ``conflicts`` counts refused ones."""
        self._table = table
        self._entries = LedgerEntries(
            table=table,
            entries=_entries_of,
            get=tenants.get_tenant,
            update=tenants.update_tenant_reservations,
            writes=writes,
            conflicts=conflicts,
            left_behind=_left_behind,
        )
        self._writes = writes
        self._clock = clock
        self._lease = lease
        self._timeout = timeout
        self._name_attempt = name_attempt

    def reserve(self, args: BindingArgs, workload: Workload, undo: ExitStack) -> Reason | None:
        """Writes the pod's entry, if it counts; returns why the tenant may not have the pod.

        ``undo`` gets the removal. Raises ``UnavailableError``: where the entry may have been
        written, it is removed before.
        """
        tenant = self._table.find(args.namespace)
        if tenant is None or isinstance(tenant, Reason):
            return tenant
        need = need_of(workload, uid=args.uid, namespace=args.namespace)
        if need.criticality not in tenant.bounds.criticalities:
            return Reason.TENANT_CRITICALITY
        if not tenant.bounds.counts(need):
            return None
        wanted = TenantReservation(
            owner=Owner(uid=args.uid, namespace=args.namespace, name=args.name),
            node=args.node,
            criticality=need.criticality,
            bandwidth=need.bandwidth,
        )
        name = tenant.name
        attempt = Attempt(
            args=args, name=self._name_attempt(), deadline=self._clock() + self._timeout
        )

        def act(state: TenantState | None) -> Reason | bool | None:
            return self._book(attempt, name, state, wanted, undo)

        found = self._writes.write(
            f"tenant {name}",
            attempt.deadline,
            first=lambda: self._entries.known(name),
            newest=lambda: self._entries.newest(name, attempt.deadline),
            act=act,
        )
        if found is None:
            return Reason.TENANT_CONFLICTS
        return found if isinstance(found, Reason) else None

    def _book(
        self,
        attempt: Attempt,
        name: str,
        state: TenantState | None,
        wanted: TenantReservation,
        undo: ExitStack,
    ) -> Reason | bool | None:
        """True if the pod has its entry in this version, None if there is a newer one."""
        namespace = attempt.args.namespace
        tenant = self._table.find(namespace)
        if isinstance(tenant, Reason):
            return tenant
        if state is None or tenant is None or tenant.name != name:
            return Reason.TENANT_CONFLICTS  # it has just changed hands; the next try sees whose
        if state.fault is not None:
            return Reason.TENANT_INVALID
        booking = find_booking(
            state,
            wanted,
            self._table.bound(state, namespace),
            attempt=attempt.name,
            until=self._lease.until(),
        )
        if isinstance(booking, Reason):
            return booking
        written = self._entries.write(
            attempt,
            state,
            own=booking.own,
            entry=booking.entry,
            created=booking.created,
            undo=undo,
        )
        return True if written else None


def _entries_of(state: TenantState) -> tuple[TenantReservation, ...]:
    return state.reservations


def _left_behind(attempt: Attempt, name: str, cause: str) -> None:
    facts = attempt.args.facts | {"tenant": name, "cause": cause}
    _log.warning("tenant's reservation not removed; it will expire", extra=facts)

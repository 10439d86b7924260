"""Tenants as ledgers: bound pods that have no entry get one, and the status says what is used."""

from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from k40s.kube.objects.tenants import WatchedTenant
from k40s.ledger.collection import CollectionPlan
from k40s.tenants.adoption import adopt
from k40s.tenants.assignment import Assignment
from k40s.tenants.ledger import TenantReservation, TenantState
from k40s.tenants.summary import TenantSummary, summarize


class TenantWriter(Protocol):
    """Writes the status of a Tenant that is still at the version of ``state``."""

    def write(
        self,
        state: TenantState,
        summary: TenantSummary,
        reservations: tuple[TenantReservation, ...] | None,
    ) -> None:
        """As ``Ledger.write``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantLedger:
    """One Tenant among all, with the bound pods that count, by namespace."""

    watched: WatchedTenant
    assignment: Assignment
    bound: Mapping[str, Collection[TenantReservation]]
    writer: TenantWriter

    @property
    def version(self) -> str:
        """The version of the object."""
        return self.watched.state.resource_version

    @property
    def reservations(self) -> tuple[TenantReservation, ...] | None:
        """Its entries, None where they cannot be read."""
        return self.watched.reservations

    @property
    def summary(self) -> TenantSummary:
        """What its status says of itself."""
        return self.watched.summary

    @property
    def question(self) -> Hashable:
        """The namespaces that another Tenant names too."""
        return self.assignment.rivals.get(self.watched.key, frozenset())

    def complete(
        self, plan: CollectionPlan[TenantReservation]
    ) -> CollectionPlan[TenantReservation]:
        """The plan with entries of pods that were bound before this Tenant was."""
        if self.watched.reservations is None:
            return plan
        return adopt(plan, self.watched.key, self.assignment, self.bound)

    def summarize(
        self, reservations: tuple[TenantReservation, ...] | None, now: datetime
    ) -> TenantSummary:
        """What is to be said."""
        return summarize(
            self.watched.state,
            reservations,
            rivals=self.assignment.rivals.get(self.watched.key, frozenset()),
            former=self.watched.summary,
            now=now,
        )

    def write(
        self, summary: TenantSummary, reservations: tuple[TenantReservation, ...] | None
    ) -> None:
        """Writes the status of this version."""
        self.writer.write(self.watched.state, summary, reservations)


def tenant_ledgers(
    tenants: Mapping[str, WatchedTenant],
    bound: Mapping[str, Collection[TenantReservation]],
    writer: TenantWriter,
) -> Mapping[str, TenantLedger]:
    """All Tenants, by name."""
    assignment = Assignment.of(one.state for one in tenants.values())
    return {
        name: TenantLedger(watched=watched, assignment=assignment, bound=bound, writer=writer)
        for name, watched in tenants.items()
    }

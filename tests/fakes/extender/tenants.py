"""Tenants at the API server in memory: writes are conditional on the version."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

from k40s.criticality import Criticality
from k40s.kube.list_watch import Listing, WatchEvent
from k40s.kube.records import TenantRecord
from k40s.kube.transport import ConflictError, NotFoundError
from k40s.tenants.ledger import DEFAULT, TenantReservation, TenantState
from k40s.tenants.model import Bounds
from k40s.units import Nanoseconds


def make_tenant(
    name: str = "line",
    namespaces: Iterable[str] = ("default",),
    *,
    cpus: str | None = None,
    hi_pods: int | None = None,
    criticalities: Iterable[Criticality] = Criticality,
    fault: str | None = None,
) -> TenantState:
    return TenantState(
        name=name,
        namespaces=None if name == DEFAULT else frozenset(namespaces),
        bounds=Bounds(
            criticalities=frozenset(criticalities),
            bandwidth=None if cpus is None else Fraction(cpus),
            hi_pods=hi_pods,
        ),
        generation=1,
        fault=fault,
    )


class FakeTenants:
    """``on_call`` is called before a write has its effect ("update") and after it ("updated")."""

    def __init__(self, journal: list[str] | None = None) -> None:
        self.journal = [] if journal is None else journal
        self.lock = threading.Lock()
        self.version = 100
        self.states: dict[str, TenantState] = {}
        self.on_call: Callable[[str], object] = lambda _call: None

    def declare(self, state: TenantState) -> TenantRecord:
        """A Tenant is created, or its spec is changed."""
        with self.lock:
            known = self.states.get(state.name)
            held = state.reservations if known is None else known.reservations
            return self._store(replace(state, reservations=held))

    def remove(self, name: str) -> None:
        del self.states[name]

    def records(self) -> list[TenantRecord]:
        return [TenantRecord(state=state) for state in self.states.values()]

    def held(self, name: str = "line") -> list[str]:
        return sorted(one.owner.uid for one in self.states[name].reservations)

    def get_tenant(self, name: str, *, timeout: Nanoseconds | None = None) -> TenantRecord | None:
        assert timeout is None or timeout > 0
        with self.lock:
            state = self.states.get(name)
            return None if state is None else TenantRecord(state=state)

    def update_tenant_reservations(
        self,
        name: str,
        reservations: Sequence[TenantReservation],
        *,
        version: str,
        timeout: Nanoseconds | None = None,
    ) -> TenantRecord:
        assert timeout is None or timeout > 0
        self.on_call("update")
        with self.lock:
            self.journal.append(f"write tenant {name}")
            state = self.states.get(name)
            if state is None:
                raise NotFoundError(name)
            if state.resource_version != version:
                raise ConflictError(name)
            record = self._store(replace(state, reservations=tuple(reservations)))
        self.on_call("updated")
        return record

    def _store(self, state: TenantState) -> TenantRecord:
        self.version += 1
        stored = replace(state, resource_version=str(self.version))
        self.states[state.name] = stored
        return TenantRecord(state=stored)

    def tenants(self) -> "FakeTenants":
        """Itself as a source that lists at once, and then has no news."""
        return self

    def list(self) -> Listing[TenantRecord]:
        return Listing(records=tuple(self.records()), resource_version="1")

    def watch(self, resource_version: str) -> Iterator[WatchEvent[TenantRecord]]:
        del resource_version
        return iter(())

"""The ledger in the status of a Tenant: entries, and the one that a bind writes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from fractions import Fraction

from k40s.criticality import Criticality
from k40s.ledger.entry import Entry
from k40s.ledger.entry_json import (
    MOST_ENTRIES,
    OPTIONAL,
    REQUIRED,
    entry_json,
    read_entry,
)
from k40s.reasons import Reason
from k40s.strict_json import Json
from k40s.tenants.cpus import format_cpus, read_cpus
from k40s.tenants.model import Bounds, Need, Usage, refuse
from k40s.tenants.room import Room

DEFAULT = "default"
"""The name of the Tenant that holds for each namespace that no other one names, by itself."""
_LEVELS: Mapping[str, Criticality] = {level.name: level for level in Criticality}
LEVELS_FORM = "one of NO, LOW and HI"


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantReservation(Entry):
    """What one pod counts: an entry of ``Tenant.status.reservations``."""

    criticality: Criticality
    bandwidth: Fraction = Fraction(0)

    @property
    def need(self) -> Need:
        """The same as a need."""
        return Need(
            uid=self.owner.uid,
            namespace=self.owner.namespace,
            criticality=self.criticality,
            bandwidth=self.bandwidth,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantState:
    """A Tenant with what its pods hold, at one version of the object.

    ``namespaces`` is None for the one named ``default``, and for one whose list cannot be read.
    ``fault`` is why it cannot be used, if it cannot: it names the field.
    """

    name: str
    namespaces: frozenset[str] | None = None
    bounds: Bounds = field(default_factory=Bounds)
    reservations: tuple[TenantReservation, ...] = ()
    resource_version: str = ""
    generation: int = 0
    fault: str | None = None

    def scope(self, namespace: str) -> frozenset[str]:
        """The namespaces that share the bounds with this one."""
        return frozenset({namespace}) if self.namespaces is None else self.namespaces


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """The entry of a bind. ``own`` is the one it replaces; ``created``: an undo has to remove it.

    ``entry`` is ``own`` where there is nothing to write.
    """

    entry: TenantReservation
    own: TenantReservation | None
    created: bool


def usage_of(state: TenantState, namespace: str, bound: Iterable[Need]) -> Usage:
    """What counts against the bounds of a namespace.

    ``bound`` are bound pods of the same namespaces: those that were there before the Tenant have
    no entry.
    """
    scope = state.scope(namespace)
    held = (one.need for one in state.reservations if one.owner.namespace in scope)
    return Usage.of((*held, *bound))


def find_booking(
    state: TenantState,
    wanted: TenantReservation,
    bound: Iterable[Need],
    *,
    attempt: str,
    until: datetime,
) -> Booking | Reason:
    """The entry of a pod on a node, or why its tenant may not have it.

    An entry without ``until`` is of a bound pod, which keeps what it has. One that expires is taken
    over and renewed: the pod may be bound with it already.
    """
    own = find_own(state, uid=wanted.owner.uid, node=wanted.node)
    if own is not None and own.until is None:
        same = own.need == wanted.need
        return Booking(entry=own, own=own, created=False) if same else Reason.POD_CHANGED
    refusal = refuse(state.bounds, usage_of(state, wanted.owner.namespace, bound), wanted.need)
    if refusal is not None:
        return refusal
    entry = replace(wanted, attempt=attempt, until=until)
    if own is None:
        room = Room.of(state.reservations, shared=state.name == DEFAULT)
        if not room.holds(entry):
            return Reason.TENANT_FULL
    return Booking(entry=entry, own=own, created=own is None or own.need != wanted.need)


def find_own(state: TenantState, *, uid: str, node: str) -> TenantReservation | None:
    """The entry of a pod on a node, if there is one."""
    return next((o for o in state.reservations if (o.owner.uid, o.node) == (uid, node)), None)


def read_entries(place: Json) -> tuple[TenantReservation, ...]:
    """The entries of a status, each pod once on a node. Raises the place's error."""
    read: dict[tuple[str, str], TenantReservation] = {}
    for item in place.items(at_most=MOST_ENTRIES):
        fields = item.fields((*REQUIRED, "criticality"), ("bandwidth", *OPTIONAL))
        entry = read_entry(fields)
        key = (entry.owner.uid, entry.node)
        if key in read:
            raise fields["pod"].invalid("each pod once on a node", found=f"{key[0]} again")
        read[key] = TenantReservation(
            owner=entry.owner,
            node=entry.node,
            attempt=entry.attempt,
            until=entry.until,
            criticality=read_criticality(fields["criticality"]),
            bandwidth=read_cpus(fields["bandwidth"]) if "bandwidth" in fields else Fraction(0),
        )
    return tuple(read.values())


def format_entries(entries: Iterable[TenantReservation]) -> list[dict[str, object]]:
    """The JSON of entries; ``read_entries`` gives back the same values."""
    return [_entry_json(one) for one in entries]


def read_criticality(place: Json) -> Criticality:
    """A criticality by its name. Raises the place's error."""
    level = _LEVELS.get(place.value) if isinstance(place.value, str) else None
    if level is None:
        raise place.invalid(LEVELS_FORM)
    return level


def _entry_json(one: TenantReservation) -> dict[str, object]:
    written = entry_json(one) | {"criticality": one.criticality.name}
    if one.bandwidth:
        written["bandwidth"] = format_cpus(one.bandwidth)
    return written

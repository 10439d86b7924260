"""Tenant objects of the API server -> values.

Whatever an object holds becomes a ``TenantState``: one that cannot be used has a ``fault``, which
names the field, what was found there and what would be right.
"""

from collections.abc import Mapping

from k40s.errors import InvalidInputError
from k40s.ledger.entry_json import NAME, NAME_FORM
from k40s.strict_json import Json
from k40s.tenants.cpus import read_cpus
from k40s.tenants.ledger import (
    DEFAULT,
    TenantReservation,
    TenantState,
    read_criticality,
    read_entries,
)
from k40s.tenants.model import Bounds

MOST_NAMESPACES = 1024
MOST_HI_PODS = 1_000_000


def parse_tenant(item: Mapping[str, object]) -> TenantState:
    """Read an object of kind Tenant that has its name. Never raises for what it holds."""
    meta = item.get("metadata")
    known: Mapping[str, object] = meta if isinstance(meta, dict) else {}
    name, version = str(known.get("name", "")), known.get("resourceVersion")
    generation = known.get("generation")
    namespaces: frozenset[str] | None = None
    bounds, fault = Bounds(), None
    entries: tuple[TenantReservation, ...] = ()
    try:
        namespaces = _lenient(item.get("spec"))
        spec = Json(value=item.get("spec"), source="Tenant", error=InvalidInputError, path="spec")
        bounds = read_spec(spec, name=name)
        entries = read_ledger(item.get("status"))
    except InvalidInputError as error:
        fault = f"{error.path}: found {error.found}, expected {error.expected}"
    return TenantState(
        name=name,
        namespaces=namespaces,
        bounds=bounds,
        reservations=entries,
        resource_version=version if isinstance(version, str) else "",
        generation=generation if isinstance(generation, int) else 0,
        fault=fault,
    )


def read_spec(spec: Json, *, name: str) -> Bounds:
    """Read the spec of a Tenant: its bounds. Raises the place's error."""
    field = spec.fields((), ("namespaces", "criticalities", "bandwidth", "hiPods"))
    if (name == DEFAULT) == ("namespaces" in field):
        found = "both" if name == DEFAULT else "neither"
        raise spec.invalid("namespaces, or the name default", found=found)
    if "namespaces" in field:
        _read_namespaces(field["namespaces"])
    levels = frozenset(Bounds().criticalities)
    if "criticalities" in field:
        places = field["criticalities"].items(at_least=1, at_most=3)
        levels = frozenset(read_criticality(place) for place in places)
    return Bounds(
        criticalities=levels,
        bandwidth=read_cpus(field["bandwidth"]) if "bandwidth" in field else None,
        hi_pods=field["hiPods"].integer(0, MOST_HI_PODS) if "hiPods" in field else None,
    )


def read_ledger(status: object) -> tuple[TenantReservation, ...]:
    """The entries of a status, if it has any. Raises ``InvalidInputError``."""
    place = Json(value=status or {}, source="Tenant", error=InvalidInputError, path="status")
    field = place.members()
    return read_entries(field["reservations"]) if "reservations" in field else ()


def _read_namespaces(place: Json) -> None:
    seen: set[str] = set()
    for item in place.items(at_least=1, at_most=MOST_NAMESPACES):
        name = item.text(NAME, NAME_FORM)
        if name in seen:
            raise item.invalid("each namespace once")
        seen.add(name)


def _lenient(spec: object) -> frozenset[str] | None:
    """The namespaces that a spec names, also where the rest of it cannot be read."""
    found = spec.get("namespaces") if isinstance(spec, Mapping) else None
    if not isinstance(found, list):
        return None
    return frozenset(one for one in found if isinstance(one, str))

"""Tenants of the API server -> records, and the bodies of what k40s writes of their status.

Entries are read on their own as well: bounds that cannot be used must not keep what gone pods hold
from being given back.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from k40s.errors import InvalidInputError
from k40s.kube.objects.conditions import conditions_json, read_conditions, text, whole
from k40s.kube.objects.fields import JsonObject, names
from k40s.kube.records import Fault, TenantRecord
from k40s.tenants.ledger import TenantReservation, TenantState, format_entries
from k40s.tenants.objects import parse_tenant, read_ledger
from k40s.tenants.summary import TenantSummary

TENANTS = "/apis/k40s.io/v1alpha1/tenants"
DEFINITION = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/tenants.k40s.io"


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedTenant:
    """A Tenant at one version. ``reservations`` are None where they cannot be read.

    ``summary`` is what its status says of itself; what of that cannot be read is as if it were
    absent, and is written anew.
    """

    state: TenantState
    reservations: tuple[TenantReservation, ...] | None
    summary: TenantSummary
    faults: tuple[Fault, ...] = ()

    @property
    def key(self) -> str:
        """The key of an informer's ``delete``."""
        return self.state.name


def tenant_record(item: JsonObject) -> TenantRecord:
    """Read a Tenant. Its fault is a fault of the record too; raises ``NamelessError``."""
    names(item, "name")
    state = parse_tenant(item)
    faults = () if state.fault is None else (Fault(field="state", text=state.fault),)
    return TenantRecord(state=state, faults=faults)


def declared_tenant(item: JsonObject) -> TenantRecord:
    """Read its spec alone: a full ledger takes 0.2 s. Raises ``NamelessError``."""
    return tenant_record({**item, "status": None})


def watched_tenant(item: JsonObject) -> WatchedTenant:
    """Read a Tenant with what its status says. Raises ``NamelessError``."""
    names(item, "name")
    status = item.get("status")
    known: JsonObject = status if isinstance(status, dict) else {}
    usage = known.get("usage")
    state = parse_tenant(item)
    return WatchedTenant(
        state=state,
        reservations=state.reservations if state.fault is None else _read_entries(status),
        summary=TenantSummary(
            observed_generation=whole(known.get("observedGeneration"), absent=-1),
            bandwidth=text(known.get("bandwidth")),
            hi_pods=whole(known.get("hiPods"), absent=-1),
            usage=tuple(map(str, usage)) if isinstance(usage, list) else (),
            conditions=read_conditions(known.get("conditions")),
        ),
    )


def entries_patch(entries: Sequence[TenantReservation], *, version: str) -> JsonObject:
    """A merge patch of the status that is refused unless the Tenant is at this version."""
    if not version:
        raise ValueError("a write of reservations without a version would undo those of others")
    return {
        "metadata": {"resourceVersion": version},
        "status": {"reservations": format_entries(entries)},
    }


def tenant_status_patch(
    summary: TenantSummary, entries: Sequence[TenantReservation] | None, *, version: str
) -> JsonObject:
    """The controller's merge patch; ``entries`` are left as they are where None."""
    if not version:
        raise ValueError("a status is written on the condition of a version")
    status: dict[str, object] = {
        "observedGeneration": summary.observed_generation,
        "bandwidth": summary.bandwidth,
        "hiPods": summary.hi_pods,
        "usage": list(summary.usage),
        "conditions": conditions_json(summary.conditions),
    }
    if entries is not None:
        status["reservations"] = format_entries(entries)
    return {"metadata": {"resourceVersion": version}, "status": status}


def _read_entries(status: object) -> tuple[TenantReservation, ...] | None:
    try:
        return read_ledger(status)
    except InvalidInputError:
        return None

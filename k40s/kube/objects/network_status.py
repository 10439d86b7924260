"""Networks with what their status says of themselves, and the controller's patch of it.

Reservations are read on their own as well: a declaration that cannot be used must not keep what
pods hold from being given back.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from k40s.errors import InvalidInputError
from k40s.kube.objects.conditions import conditions_json, read_conditions, text, whole
from k40s.kube.objects.fields import JsonObject, names
from k40s.kube.records import Fault
from k40s.network.model import NetworkReservation, NetworkState
from k40s.network.objects import parse_network
from k40s.network.reservations import format_reservations, read_reservations
from k40s.network.status import NetworkSummary
from k40s.strict_json import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedNetwork:
    """A Network at one version. ``reservations`` are None where they cannot be read.

    ``summary`` is what its status says of itself; what of that cannot be read is as if it were
    absent, and is written anew.
    """

    state: NetworkState
    reservations: tuple[NetworkReservation, ...] | None
    summary: NetworkSummary
    generation: int = 0
    faults: tuple[Fault, ...] = ()

    @property
    def key(self) -> str:
        """The key of an informer's ``delete``."""
        return self.state.network.name


def watched_network(item: JsonObject) -> WatchedNetwork:
    """Read a Network. Raises ``NamelessError``."""
    names(item, "name")
    meta = item.get("metadata")
    generation = meta.get("generation") if isinstance(meta, dict) else None
    status = item.get("status")
    known: JsonObject = status if isinstance(status, dict) else {}
    return WatchedNetwork(
        state=parse_network(item),
        reservations=_read_reservations(known.get("reservations")),
        summary=_read_summary(known),
        generation=whole(generation),
    )


def status_patch(
    state: NetworkState,
    summary: NetworkSummary,
    reservations: Sequence[NetworkReservation] | None,
) -> dict[str, object]:
    """A merge patch of the status of a Network that is still at the version of ``state``.

    ``reservations`` are left as they are where None.
    """
    if not state.resource_version:
        raise ValueError("a status is written on the condition of a version")
    status: dict[str, object] = {
        "observedGeneration": summary.observed_generation,
        "type": summary.kind,
        "members": summary.members,
        "slots": summary.slots,
        "utilization": summary.utilization,
        "slotTable": list(summary.slot_table),
        "freeTime": list(summary.free),
        "pathTable": list(summary.paths),
        "conditions": conditions_json(summary.conditions),
    }
    if reservations is not None:
        status["reservations"] = format_reservations(reservations)
    return {"metadata": {"resourceVersion": state.resource_version}, "status": status}


def _read_reservations(found: object) -> tuple[NetworkReservation, ...] | None:
    if found is None:
        return ()
    place = Json(value=found, source="Network", error=InvalidInputError, path="status.reservations")
    try:
        return read_reservations(place)
    except InvalidInputError:
        return None


def _read_summary(status: JsonObject) -> NetworkSummary:
    return NetworkSummary(
        observed_generation=whole(status.get("observedGeneration"), absent=-1),
        kind=text(status.get("type")),
        members=whole(status.get("members"), absent=-1),
        slots=whole(status.get("slots"), absent=-1),
        utilization=text(status.get("utilization")),
        slot_table=_lines(status.get("slotTable")),
        free=_lines(status.get("freeTime")),
        paths=_lines(status.get("pathTable")),
        conditions=read_conditions(status.get("conditions")),
    )


def _lines(found: object) -> tuple[str, ...]:
    return tuple(map(str, found)) if isinstance(found, list) else ()

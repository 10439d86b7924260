"""Networks with what their status says of themselves, and the controller's patch of it.

Reservations are read on their own as well: a declaration that cannot be used must not keep what
pods hold from being given back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from k40s.errors import InvalidInputError
from k40s.kube.objects.fields import JsonObject, names
from k40s.kube.records import Fault
from k40s.network.conditions import Condition, Truth
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
        generation=_whole(generation),
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
        "conditions": [_condition_json(one) for _, one in sorted(summary.conditions.items())],
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
    conditions = status.get("conditions")
    read = [_read_condition(one) for one in conditions] if isinstance(conditions, list) else []
    return NetworkSummary(
        observed_generation=_whole(status.get("observedGeneration"), absent=-1),
        kind=_text(status.get("type")),
        members=_whole(status.get("members"), absent=-1),
        slots=_whole(status.get("slots"), absent=-1),
        utilization=_text(status.get("utilization")),
        slot_table=_lines(status.get("slotTable")),
        free=_lines(status.get("freeTime")),
        paths=_lines(status.get("pathTable")),
        conditions={one.kind: one for one in read if one is not None},
    )


def _read_condition(found: object) -> Condition | None:
    if not isinstance(found, Mapping):
        return None
    kind, status = _text(found.get("type")), found.get("status")
    if not kind or status not in tuple(Truth):
        return None
    return Condition(
        kind=kind,
        status=Truth(status),
        reason=_text(found.get("reason")),
        message=_text(found.get("message")),
        generation=_whole(found.get("observedGeneration"), absent=-1),
        since=_read_time(_text(found.get("lastTransitionTime"))),
    )


def _condition_json(one: Condition) -> dict[str, object]:
    written: dict[str, object] = {
        "type": one.kind,
        "status": one.status.value,
        "reason": one.reason,
        "message": one.message,
        "observedGeneration": one.generation,
    }
    if one.since is not None:
        written["lastTransitionTime"] = one.since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return written


def _read_time(text: str) -> datetime | None:
    try:
        read = datetime.fromisoformat(text.upper()) if text else None
    except ValueError:
        return None
    return None if read is None or read.utcoffset() is None else read.astimezone(UTC)


def _text(found: object) -> str:
    return found if isinstance(found, str) else ""


def _whole(found: object, *, absent: int = 0) -> int:
    return found if isinstance(found, int) and not isinstance(found, bool) else absent


def _lines(found: object) -> tuple[str, ...]:
    return tuple(map(str, found)) if isinstance(found, list) else ()

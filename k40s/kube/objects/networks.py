"""Networks of the API server -> records, and the bodies of what k40s writes of their status."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from k40s.kube.objects.fields import Fields, JsonObject, names
from k40s.kube.records import Fault, NetworkCondition, NetworkRecord
from k40s.network.model import NetworkReservation, NetworkState
from k40s.network.objects import parse_network
from k40s.network.reservations import format_reservations
from k40s.network.usage import windows_of

NETWORKS = "/apis/k40s.io/v1alpha1/networks"
_MAX_MESSAGE = 1024
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


def network_record(
    item: JsonObject, *, parse: Callable[[JsonObject], NetworkState] = parse_network
) -> NetworkRecord:
    """Read a Network. Its fault is a fault of the record too; raises ``NamelessError``."""
    (name,) = names(item, "name")
    fields = Fields()
    meta = fields.part("uid", "metadata", item.get("metadata"))
    status = fields.part("state", "status", item.get("status"))
    state = parse(item)
    faults = fields.faults
    if state.fault is not None:
        faults = (*faults, Fault(field="state", text=state.fault))
    return NetworkRecord(
        name=name,
        uid=fields.text("uid", "metadata.uid", meta.get("uid")),
        state=state,
        generation=_whole(meta.get("generation")),
        conditions=_conditions(status),
        utilization=_text(status.get("utilization")),
        slots=_whole(status.get("slots")),
        observed_generation=_whole(status.get("observedGeneration")),
        faults=faults,
    )


def reservations_patch(reservations: Sequence[NetworkReservation], *, version: str) -> JsonObject:
    """A merge patch of the status that is refused unless the Network is at this version."""
    if not version:
        raise ValueError("a write of reservations without a version would undo those of others")
    return {
        "metadata": {"resourceVersion": version},
        "status": {
            "reservations": format_reservations(reservations),
            "slots": len(windows_of(reservations)),
        },
    }


def status_patch(
    record: NetworkRecord, conditions: Sequence[NetworkCondition], *, utilization: str
) -> JsonObject:
    """A merge patch of what the controller says of a Network, refused at another version."""
    network = record.state.network
    kind = "TDMA" if network.tdma is not None else "BestEffort" if network.members else "Unknown"
    return {
        "metadata": {"resourceVersion": record.state.resource_version},
        "status": {
            "type": kind,
            "members": len(network.members),
            "conditions": [_condition_json(one) for one in conditions],
            "utilization": utilization,
            "observedGeneration": record.generation,
        },
    }


def _condition_json(condition: NetworkCondition) -> dict[str, Any]:
    return {
        "type": condition.kind,
        "status": str(condition.status),
        "reason": condition.reason,
        "message": condition.message[:_MAX_MESSAGE],
        "lastTransitionTime": condition.since.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "observedGeneration": condition.generation,
    }


def _conditions(status: JsonObject) -> tuple[NetworkCondition, ...]:
    """Those that can be read; the controller, which alone writes them, writes others anew."""
    found = status.get("conditions")
    items = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    return tuple(
        NetworkCondition(
            kind=_text(one.get("type")),
            status=one.get("status") == "True",
            reason=_text(one.get("reason")),
            message=_text(one.get("message")),
            since=_time(one.get("lastTransitionTime")),
            generation=_whole(one.get("observedGeneration")),
        )
        for one in items
    )


def _text(found: object) -> str:
    return found if isinstance(found, str) else ""


def _whole(found: object) -> int:
    return found if isinstance(found, int) and not isinstance(found, bool) else 0


def _time(found: object) -> datetime:
    try:
        time = datetime.fromisoformat(_text(found))
    except ValueError:
        return _LONG_AGO
    return time.astimezone(UTC) if time.utcoffset() is not None else _LONG_AGO

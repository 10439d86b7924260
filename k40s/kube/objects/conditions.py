"""Conditions in a status that k40s writes; what cannot be read is as if it were absent."""

from collections.abc import Mapping
from datetime import UTC, datetime

from k40s.ledger.conditions import Condition, Truth


def read_conditions(found: object) -> dict[str, Condition]:
    """The conditions by their type."""
    read = [_read_condition(one) for one in found] if isinstance(found, list) else []
    return {one.kind: one for one in read if one is not None}


def conditions_json(conditions: Mapping[str, Condition]) -> list[dict[str, object]]:
    """The JSON of conditions; ``read_conditions`` gives back the same values."""
    return [_condition_json(one) for _, one in sorted(conditions.items())]


def _read_condition(found: object) -> Condition | None:
    if not isinstance(found, Mapping):
        return None
    kind, status = text(found.get("type")), found.get("status")
    if not kind or status not in tuple(Truth):
        return None
    return Condition(
        kind=kind,
        status=Truth(status),
        reason=text(found.get("reason")),
        message=text(found.get("message")),
        generation=whole(found.get("observedGeneration"), absent=-1),
        since=_read_time(text(found.get("lastTransitionTime"))),
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
        return None if read is None or read.utcoffset() is None else read.astimezone(UTC)
    except (ValueError, OverflowError):  # the latter for a year that UTC would put out of range
        return None


def text(found: object) -> str:
    """A text, "" for anything else."""
    return found if isinstance(found, str) else ""


def whole(found: object, *, absent: int = 0) -> int:
    """A whole number, ``absent`` for anything else."""
    return found if isinstance(found, int) and not isinstance(found, bool) else absent

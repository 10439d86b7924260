"""Instants and names in what the controller writes: ISO 8601 in UTC, and Kubernetes' names."""

import re
from datetime import UTC, datetime, timedelta

from k40s.strict_json import Json
from k40s.units import NS_PER_US

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{6})?Z", re.ASCII
)
_WORDS = re.compile(r"[!-~]+(?: [!-~]+)?", re.ASCII)


def wall_nanoseconds(time: datetime) -> int:
    """An instant in nanoseconds since 1970, exact to the microsecond."""
    return (time - _EPOCH) // timedelta(microseconds=1) * NS_PER_US


def read_name(place: Json) -> str:
    """Read a name, or a kind and a name. Raises the place's error."""
    return place.text(_WORDS, "a name, or a kind and a name")


def read_time(place: Json) -> int:
    """Read an instant, in nanoseconds since 1970. Raises the place's error."""
    expected = 'a time in UTC since 1970, such as "2026-03-01T12:00:00Z"'
    text = place.text(_TIME, expected)
    try:
        at = wall_nanoseconds(datetime.fromisoformat(text[:-1]).replace(tzinfo=UTC))
    except ValueError:
        raise place.invalid(expected) from None
    if at < 0:
        raise place.invalid(expected)
    return at


def format_time(at: int) -> str:
    """Write an instant in nanoseconds since 1970, exact to the microsecond."""
    time = _EPOCH + timedelta(microseconds=at // NS_PER_US)
    return time.replace(tzinfo=None).isoformat() + "Z"

"""The part of an entry's JSON that all ledgers share: pod, node, attempt and time."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from k40s.ledger.entry import Entry, Owner
from k40s.strict_json import Json

NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?", re.ASCII)
"""Of an object, such as a node, a namespace or a pod: what Kubernetes allows."""
NAME_FORM = 'a name in lower case, such as "plant"'
MOST_ENTRIES = 4096
"""Of one ledger: the API server takes objects of 1.5 MB."""
REQUIRED = ("pod", "node")
OPTIONAL = ("attempt", "until")
"""Fields that ``read_entry`` reads."""
_UID = re.compile(r"[!-~]{1,128}", re.ASCII)
_ATTEMPT = re.compile(r"[!-~]{0,128}", re.ASCII)
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{6})?Z", re.ASCII
)


def read_entry(field: Mapping[str, Json]) -> Entry:
    """The entry of an item's fields. Raises the place's error."""
    pod = field["pod"].fields(("uid", "namespace", "name"))
    return Entry(
        owner=Owner(
            uid=pod["uid"].text(_UID, "a pod's UID"),
            namespace=pod["namespace"].text(NAME, NAME_FORM),
            name=pod["name"].text(NAME, NAME_FORM),
        ),
        node=field["node"].text(NAME, NAME_FORM),
        attempt=field["attempt"].text(_ATTEMPT, "an attempt's id") if "attempt" in field else "",
        until=_read_time(field["until"]) if "until" in field else None,
    )


def entry_json(one: Entry) -> dict[str, object]:
    """The JSON of an entry; ``read_entry`` gives back the same value."""
    owner = one.owner
    written: dict[str, object] = {
        "pod": {"uid": owner.uid, "namespace": owner.namespace, "name": owner.name},
        "node": one.node,
    }
    if one.attempt:
        written["attempt"] = one.attempt
    if one.until is not None:
        written["until"] = one.until.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
    return written


def _read_time(place: Json) -> datetime:
    expected = 'a time in UTC, such as "2026-03-01T12:00:00Z"'
    text = place.text(_TIME, expected)
    try:
        return datetime.fromisoformat(text[:-1]).replace(tzinfo=UTC)
    except ValueError:
        raise place.invalid(expected) from None

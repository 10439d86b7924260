"""From when until when certificates are valid, as text in a ConfigMap. Pure, without cryptography.

The ConfigMap tells it to who may not read Secrets, and with them the keys.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

from k40s.errors import InvalidInputError

VALIDITY = "k40s-certificates"
"""The ConfigMap: by the name of a Secret, and ``ca.crt``, two instants with a slash between."""


def validity_map(
    namespace: str, validities: Mapping[str, tuple[datetime, datetime]]
) -> dict[str, object]:
    """The ConfigMap as an API object."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": VALIDITY,
            "namespace": namespace,
            "labels": {"app.kubernetes.io/part-of": "k40s"},
        },
        "data": {name: format_validity(*one) for name, one in validities.items()},
    }


def format_validity(begin: datetime, end: datetime) -> str:
    """Both instants in UTC; ``parse_validity`` gives them back to the second."""
    return "/".join(one.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for one in (begin, end))


def parse_validity(text: str, *, source: str) -> tuple[datetime, datetime]:
    """Begin and end, in UTC. Raises ``InvalidInputError``."""
    begin, slash, end = text.partition("/")
    try:
        first, last = (datetime.fromisoformat(one) for one in (begin, end))
        if slash and first.utcoffset() is not None and last.utcoffset() is not None:
            return first.astimezone(UTC), last.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise InvalidInputError(
        source=source, path="$", found=text, expected="two times in RFC 3339 with a slash between"
    )

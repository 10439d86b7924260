"""The file in which rubicante counts overruns by pod, and which malacoda reads on the same node.

JSON, replaced as a whole every second while rubicante looks at its tasks. A count begins at 0 for
each pod and process of rubicante. Pure.
"""

import re
from collections.abc import Mapping

from k40s.errors import InvalidInputError
from k40s.strict_json import format_json, read_json

_VERSION = 1
_UID = re.compile(r"[!-~]{1,64}", re.ASCII)
MOST_COUNTED = (1 << 53) - 1
MOST_BYTES = 1 << 20
"""Larger files are refused; a node has 110 pods, of 50 bytes each."""


def format_counts(counts: Mapping[str, int]) -> str:
    """The file's text: counts by the pod's UID."""
    return format_json({"v": _VERSION, "overruns": dict(counts)})


def parse_counts(text: str, *, source: str) -> dict[str, int]:
    """Read it. Raises ``InvalidInputError``."""
    whole = read_json(text, source=source, error=InvalidInputError, at_most=MOST_BYTES)
    fields = whole.fields(("v", "overruns"))
    fields["v"].integer(_VERSION, _VERSION)
    counts = fields["overruns"].members()
    for uid, count in counts.items():
        if _UID.fullmatch(uid) is None:
            raise count.invalid("a pod's uid as key")
    return {uid: count.integer(0, MOST_COUNTED) for uid, count in counts.items()}

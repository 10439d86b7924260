"""Conditions in the status of an object, by the words of Kubernetes."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum, unique

LONGEST_MESSAGE = 1024
"""Characters that the definitions allow, of a message and of a table's line."""
MOST_NAMED = 8
"""Names that a message has; of the others it says how many there are."""


def shortened(text: str) -> str:
    """As much of a text as the definition allows: a longer one would have the write refused."""
    return text if len(text) <= LONGEST_MESSAGE else text[: LONGEST_MESSAGE - 1] + "…"


def listed(names: list[str]) -> str:
    """The first names, and how many more there are."""
    shown = ", ".join(names[:MOST_NAMED])
    rest = len(names) - MOST_NAMED
    return f"{shown} and {rest} more" if rest > 0 else shown


@unique
class Truth(StrEnum):
    """The status of a condition."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One condition. ``since`` is when its status last changed, None before it is written.

    ``generation`` is that of the object for which it was found.
    """

    kind: str
    status: Truth
    reason: str
    message: str
    generation: int
    since: datetime | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", shortened(self.message))

    def following(self, former: "Condition | None", now: datetime) -> "Condition":
        """The same, with the time of the former one unless the status has changed.

        Times are whole seconds, as the API server keeps them.
        """
        if former is not None and former.status is self.status and former.since is not None:
            return replace(self, since=former.since)
        return replace(self, since=now.replace(microsecond=0))

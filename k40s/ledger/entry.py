"""One entry of a ledger: which pod holds something, on which node, and until when."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The pod that holds a reservation."""

    uid: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What one pod holds, without what it is.

    ``until``: unless the pod is bound to ``node`` by then, it may be collected; None once bound.
    ``attempt`` names the bind that made it.
    """

    owner: Owner
    node: str
    attempt: str = ""
    until: datetime | None = None

    def __post_init__(self) -> None:
        if self.until is not None and self.until.utcoffset() != timedelta(0):
            raise ValueError("the time until which it is held is in UTC")

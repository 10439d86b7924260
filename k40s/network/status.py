"""What ``Network.status`` says beside the reservations: conditions, utilization, tables for people.

All of it follows from the declaration, the reservations and what daemons publish. Nothing decides
by it: it is for ``kubectl get`` and ``kubectl describe``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from k40s.ledger.conditions import Condition


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSummary:
    """The written-down conclusions.

    ``kind`` is ``TDMA``, ``BestEffort``, or ``Unknown`` where the declaration cannot be read.
    ``slots`` counts slots in use. ``utilization`` is text such as ``"12.5%"``: the part of a TDMA
    network's time that is reserved, or of the capacity of the fullest link. ``slot_table``,
    ``free`` and ``paths`` are lines, see ``k40s.network.slot_listing``.
    """

    observed_generation: int = 0
    kind: str = ""
    members: int = 0
    slots: int = 0
    utilization: str = ""
    slot_table: tuple[str, ...] = ()
    free: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    conditions: Mapping[str, Condition] = field(default_factory=dict)

    def following(self, former: "NetworkSummary", now: datetime) -> "NetworkSummary":
        """The same, whose conditions keep the time of their last change."""
        conditions = {
            kind: one.following(former.conditions.get(kind), now)
            for kind, one in self.conditions.items()
        }
        return replace(self, conditions=conditions)

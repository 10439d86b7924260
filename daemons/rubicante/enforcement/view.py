"""Read-only view of enforcement, for API, monitoring and publication."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from daemons.rubicante.enforcement.conditions import Condition, StandIn


class EnforcementView(Protocol):
    """The enforced threads, and what is wrong; implemented by ``Enforcer``."""

    def threads(self, pod_uid: str) -> Mapping[tuple[str, str], int]:
        """A pod's enforced threads: (container, task) → TID."""
        ...

    def conditions(self) -> Sequence[Condition]:
        """The conditions of reservations that are not enforced."""
        ...

    def stand_ins(self) -> Sequence[StandIn]:
        """Main threads that are enforced for tasks whose name no thread bears."""
        ...

    def exchange_causes(self) -> Mapping[int, str]:
        """What holds up exchanges of servers, by core."""
        ...

    def take_move_notices(self) -> Sequence[tuple[str, str]]:
        """(pod UID, text) of threads moved since the last call though a job may have been late."""
        ...

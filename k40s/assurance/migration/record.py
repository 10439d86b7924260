"""What is written to the cluster about moves: on the pod while one goes on, and a history."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from k40s.assurance.migration.policy import HOUR, MigrationPolicy

MAX_MOVES = 200
"""Of a history: more than the bound per hour allows in the longest time that a limit looks back."""
CLOCK_DIFFERENCE = 30 * 10**9
"""Nanoseconds by which the controller's clock and the API server's may differ."""


class Phase(StrEnum):
    """How far the move of a pod is that is released from its owner before it is evicted."""

    RELEASED = "released"
    """Its replacement starts; it serves until that is ready."""
    RETURNED = "returned"
    """Its replacement never became ready: it belongs to its owner again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A released pod's annotation: all that the next leader needs to finish its move.

    ``wanted`` is the number of ready pods that its ReplicaSet must have without it.
    """

    phase: Phase
    at: int
    node: str
    owner: str
    replica_set: str
    replica_set_uid: str
    template_hash: str
    wanted: int

    def __post_init__(self) -> None:
        if self.wanted < 0 or self.at < 0:
            raise ValueError("a release has a time and a number from 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class PastMove:
    """The beginning of a move: ``owner`` and ``pod`` by name, and the node that is left."""

    at: int
    owner: str
    pod: str
    node: str


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Moves that have begun, in the order of their time."""

    moves: tuple[PastMove, ...] = ()

    def plus(self, move: PastMove, policy: MigrationPolicy) -> "History":
        """With a new move, and without those that no limit looks at any more."""
        kept = max(HOUR, policy.rest, policy.owner_cooldown, policy.interval)
        recent = [one for one in self.moves if move.at - one.at < kept]
        return History(moves=(*recent, move)[-MAX_MOVES:])

    def since(self, start: int) -> tuple[PastMove, ...]:
        """Moves that began later."""
        return tuple(one for one in self.moves if one.at > start)

    def of_owner(self, owner: str) -> tuple[PastMove, ...]:
        """Moves of one owner's pods."""
        return tuple(one for one in self.moves if one.owner == owner)

    def of_namespace(self, namespace: str, start: int) -> tuple[PastMove, ...]:
        """Moves of one namespace's pods that began later than ``start``."""
        return tuple(one for one in self.since(start) if one.pod.startswith(f"{namespace}/"))

    def left(self, start: int) -> frozenset[str]:
        """Nodes that were left later than ``start``."""
        return frozenset(one.node for one in self.since(start))


def last_move(moves: Iterable[PastMove]) -> int | None:
    """When the last of them began."""
    return max((one.at for one in moves), default=None)

"""The gate through which every act passes: what is allowed, how much at once, how often. Pure.

Its limits hold whatever the monitor asks for. Undoing passes always.
"""

from collections.abc import Collection
from dataclasses import dataclass

from daemons.malacoda.actuator.protocol import Refusal
from k40s.assurance.response.acts import Step
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds

HOUR = 3600 * NS_PER_S
_FOLLOWING = frozenset({Step.MOVE, Step.KILL})


@dataclass(frozen=True, slots=True, kw_only=True)
class GatePolicy:
    """The actuator's own limits. ``own_pod`` is the UID of the actuator's pod, or empty."""

    allowed: frozenset[Step] = frozenset()
    own_pod: str = ""
    most_held: int = 3
    """Pods that are held at once."""
    acts_per_hour: int = 12
    """Acts in any hour, undoing aside: as many as the response itself takes at most."""
    kills_per_hour: int = 2
    """Pods that are killed in any hour: as many as the response itself ends at most."""
    cooldown: Nanoseconds = Nanoseconds(500 * NS_PER_MS)
    """Time between two acts, undoing aside; the response takes a sample and more between two. A
    pod that is held may be moved or killed at once: the limits of an hour bound that."""
    longest_hold: Nanoseconds = Nanoseconds(1200 * NS_PER_S)
    """A hold is undone after so long; the response lets go after 900 s."""

    def __post_init__(self) -> None:
        if self.most_held < 1 or self.acts_per_hour < 1 or self.kills_per_hour < 0:
            raise ValueError("the actuator holds at least 1 pod, and acts at least once an hour")
        if self.cooldown < 0 or self.longest_hold <= 0:
            raise ValueError("the actuator's cooldown and longest hold are not negative")


def recent(acts: Collection[int], at: int) -> tuple[int, ...]:
    """The acts of the last hour."""
    return tuple(act for act in acts if 0 <= at - act < HOUR)


def refuse(
    policy: GatePolicy,
    *,
    step: Step,
    uid: str,
    held: Collection[str],
    acts: Collection[int],
    kills: Collection[int] = (),
    at: int,
) -> Refusal | None:
    """Why a step is not taken; None where nothing stands against it.

    ``held`` are the pods that are held, ``acts`` and ``kills`` the times of earlier ones.
    """
    if step not in policy.allowed:
        return Refusal.NOT_ALLOWED
    if uid == policy.own_pod:
        return Refusal.OWN_POD
    if step is Step.KILL and uid not in held:
        return Refusal.NOT_HELD
    if uid not in held and len(held) >= policy.most_held:
        return Refusal.HOLDS
    killed = recent(kills, at) if step is Step.KILL else None
    follows = uid in held and step in _FOLLOWING
    return _find_limit(policy, recent(acts, at), killed, at=None if follows else at)


def _find_limit(
    policy: GatePolicy, acts: Collection[int], kills: Collection[int] | None, *, at: int | None
) -> Refusal | None:
    """By acts of the last hour, and by kills where it is one; without ``at`` by no cooldown."""
    if len(acts) >= policy.acts_per_hour:
        return Refusal.ACTS
    if kills is not None and len(kills) >= policy.kills_per_hour:
        return Refusal.KILLS
    if at is not None and any(at - act < policy.cooldown for act in acts):
        return Refusal.COOLDOWN
    return None

"""The next step of a claim: wait, begin to evict, or evict the rest; and when it ends. No I/O."""

from enum import StrEnum, unique

from controller.preemption_rules.policy import LONGEST_CLAIM, PreemptionPolicy
from k40s.annotations import Claim


@unique
class Step(StrEnum):
    """What to do with a claim that stands."""

    WAIT = "wait"
    BEGIN = "begin"
    EVICT = "evict"


@unique
class End(StrEnum):
    """What became of a claim; a metric's label."""

    BOUND = "bound"
    """The pod is bound to the node of its claim."""
    ELSEWHERE = "elsewhere"
    """It is bound to another node."""
    LOST = "lost"
    """Its victims are gone, and it was not bound in time."""
    EXPIRED = "expired"
    """Not all of its victims went in time."""
    STALE = "stale"
    """The plan did not stand any more before anybody was evicted."""
    RECALLED = "recalled"
    """It was over from the beginning: a change that has kube-scheduler try the pod again."""
    UNNEEDED = "unneeded"
    """The pod fits, has ended, is being deleted, or has become another one."""
    SWITCHED_OFF = "switched-off"
    INVALID = "invalid"
    """Its annotation cannot be read."""


def find_end(
    claim: Claim | None,
    *,
    node: str,
    wanted: bool,
    enabled: bool,
    begun: bool,
    remaining: int,
    policy: PreemptionPolicy,
    now: int,
) -> End | None:
    """Why a claim is to be withdrawn, None while it stands.

    ``node`` is the pod's own, "" while it is unbound; ``wanted``: it is neither ending nor ended;
    ``remaining`` victims are still there, those that are ending among them.
    """
    if claim is None:
        return End.INVALID
    if node or not wanted:
        return End.UNNEEDED if not node else End.BOUND if node == claim.node else End.ELSEWHERE
    late = None
    # A clock that was wrong may have written any time, and nobody waits for that one to come.
    over = now >= min(claim.until, claim.at + LONGEST_CLAIM) or claim.at - now > policy.claim
    if begun and over:
        late = End.EXPIRED if remaining else End.LOST
    # What is left of the claim must outlast the victims' grace period.
    elif not begun and (over or now - claim.at > policy.claim // 2):
        late = End.RECALLED if claim.until == claim.at else End.STALE
    return late if late is not None or enabled else End.SWITCHED_OFF


def find_step(
    claim: Claim, *, begun: bool, untouched: int, policy: PreemptionPolicy, now: int
) -> Step:
    """The step of a claim that stands; ``untouched`` victims are there and not ending."""
    if begun:
        return Step.EVICT if untouched else Step.WAIT
    return Step.BEGIN if now - claim.at >= policy.settle else Step.WAIT

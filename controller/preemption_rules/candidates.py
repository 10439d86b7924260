"""Which pods preempt, in which order, and what keeps them from it for now. No I/O."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum, unique

from controller.preemption_rules.policy import PreemptionPolicy
from k40s.annotations.preemption_history import KEPT, PreemptionHistory
from k40s.criticality import Criticality


@unique
class Obstacle(StrEnum):
    """What keeps an unschedulable pod from preempting; a metric's label."""

    HOLD_OFF = "hold-off"
    RESTING = "resting"
    INTERVAL = "interval"
    PER_HOUR = "per-hour"
    NAMESPACE = "namespace-per-hour"
    NODE_BUSY = "node-busy"
    FITS = "fits"
    NO_PLAN = "no-plan"
    UNKNOWN = "unknown-to-extender"
    UNSEEN = "victim-unseen"
    NODE_UNFIT = "node-unfit"
    BUDGET = "disruption-budget"
    NOT_ALLOWED = "victim-not-allowed"
    OVERTAKEN = "overtaken"
    FAILED = "request-failed"
    IN_TURN = "in-turn"
    DRY_RUN = "dry-run"

    @property
    def passing(self) -> bool:
        """Whether it may be over in a moment, so that the pod is tried again soon."""
        return self in _PASSING


_PASSING = frozenset(
    {
        *(Obstacle.HOLD_OFF, Obstacle.INTERVAL, Obstacle.NODE_BUSY, Obstacle.UNKNOWN),
        *(Obstacle.UNSEEN, Obstacle.OVERTAKEN, Obstacle.IN_TURN),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preemptor:
    """A LOW or HI pod that no node would take; times are nanoseconds since 1970."""

    uid: str
    namespace: str
    name: str
    criticality: Criticality
    created: int

    @property
    def full_name(self) -> str:
        """Namespace and name."""
        return f"{self.namespace}/{self.name}"


def order(pods: Iterable[Preemptor], due: Mapping[str, int]) -> list[Preemptor]:
    """HI before LOW, then whoever has been due longest, then the oldest.

    ``due`` says by UID when a pod's turn came. So many old pods that never find a plan do not keep
    the others from being asked about.
    """
    return sorted(
        pods, key=lambda pod: (-pod.criticality, due[pod.uid], pod.created, pod.full_name)
    )


def find_limit(
    pod: Preemptor, history: PreemptionHistory, policy: PreemptionPolicy, now: int, *, victims: int
) -> Obstacle | None:
    """The limit that keeps a pod from evicting so many victims now, None if there is none."""
    history = history.without_later(now + KEPT)
    last = history.last_of(pod.uid)
    if last is not None and now - last < policy.rest:
        return Obstacle.RESTING
    latest = max((one.at for one in history.entries), default=None)
    if latest is not None and abs(now - latest) < policy.interval:
        return Obstacle.INTERVAL
    hour_ago = now - KEPT
    own = history.victims_since(hour_ago, pod.namespace)
    most = policy.per_hour - (policy.kept_per_hour if own else 0)
    if history.victims_since(hour_ago) + victims > most:
        return Obstacle.PER_HOUR
    if own + victims > policy.namespace_per_hour:
        return Obstacle.NAMESPACE
    return None

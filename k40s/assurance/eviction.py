"""Whether a culprit is evicted: what stands against it, and how often anybody may be. Pure.

A node's monitor asks, and whoever decides believes it nothing but the UID: a monitor that was taken
over can only have pods evicted that may be evicted anyway, within these limits.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from enum import StrEnum, unique

from k40s.assurance.migration.policy import HOUR
from k40s.assurance.migration.record import MAX_MOVES, History, PastMove, last_move
from k40s.criticality import Criticality
from k40s.units import NS_PER_S, Nanoseconds, format_duration

MOST_PER_HOUR = 60


@unique
class EvictionObstacle(StrEnum):
    """Why a culprit is not evicted; a metric's label."""

    STALE = "stale-request"
    """The request is old, or its node's monitor is silent."""
    UNKNOWN_POD = "unknown-pod"
    """No such pod on that node, or it is ending already."""
    PROTECTED = "protected"
    """A system pod, one of k40s's own, or one that cannot be read."""
    NOT_LOWER = "not-lower"
    """No pod of that node is more critical."""
    NO_CONTROLLER = "no-controller"
    """Nobody would create another one: the pod would be lost."""
    BOUND_TO_NODE = "bound-to-node"
    """A static pod, or a DaemonSet's: it would be there again at once."""
    OWNER_COOLDOWN = "owner-cooldown"
    INTERVAL = "interval"
    PER_NODE = "node-per-hour"
    PER_NAMESPACE = "namespace-per-hour"
    PER_HOUR = "per-hour"
    DISABLED = "disabled"
    DRY_RUN = "dry-run"
    BUDGET = "disruption-budget"
    FAILED = "request-failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePod:
    """A pod on a node. ``criticality`` is None where it cannot be read.

    ``system`` pods are protected; ``kind`` is that of the controller, "" for none.
    """

    uid: str
    namespace: str
    name: str
    node: str
    criticality: Criticality | None
    kind: str
    owner: str
    system: bool = False
    static: bool = False
    ending: bool = False

    @property
    def full_name(self) -> str:
        """Namespace and name."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class EvictionPolicy:
    """Limits of the evictions of culprits; numbers are those of any hour."""

    enabled: bool = False
    per_hour: int = 6
    """In the cluster."""
    per_node: int = 2
    """As many as a node's monitor asks for."""
    per_namespace: int = 3
    """So that nobody has one tenant's pods evicted again and again."""
    interval: Nanoseconds = Nanoseconds(30 * NS_PER_S)
    """Least time between two of them in the cluster."""
    owner_cooldown: Nanoseconds = Nanoseconds(600 * NS_PER_S)
    """Least time between two of one owner's pods: the replacement may have come back."""
    oldest: Nanoseconds = Nanoseconds(1800 * NS_PER_S)
    """A request that is older is not believed; a monitor holds no pod for longer than 900 s."""

    def __post_init__(self) -> None:
        for number in (self.per_hour, self.per_node, self.per_namespace):
            if not 1 <= number <= MOST_PER_HOUR:
                raise ValueError(f"evictions per hour: found {number}, expected 1 to 60")
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in ("interval", "owner_cooldown", "oldest") and not 0 < value <= HOUR:
                raise ValueError(f"{field.name}: found {format_duration(value)}, expected to 3600s")


def find_eviction_obstacle(
    pod: NodePod | None,
    beside: Iterable[NodePod],
    history: History,
    policy: EvictionPolicy,
    now: int,
) -> EvictionObstacle | None:
    """What stands against the eviction of a culprit, None where nothing does.

    ``beside`` are the other pods of its node: one of them has to be more critical.
    """
    if pod is None or pod.ending:
        return EvictionObstacle.UNKNOWN_POD
    if pod.system or pod.criticality is None:
        return EvictionObstacle.PROTECTED
    if pod.static or pod.kind in ("DaemonSet", "Node"):
        return EvictionObstacle.BOUND_TO_NODE
    if not pod.kind:
        return EvictionObstacle.NO_CONTROLLER
    threatened = (one.criticality for one in beside if not one.ending)
    if not any(one is not None and one > pod.criticality for one in threatened):
        return EvictionObstacle.NOT_LOWER
    return _find_limit(pod, history, policy, now)


def _find_limit(
    pod: NodePod, history: History, policy: EvictionPolicy, now: int
) -> EvictionObstacle | None:
    last = last_move(history.moves)
    own = last_move(history.of_owner(pod.owner))
    lately = history.since(now - HOUR)
    namespaces = [one.pod.partition("/")[0] for one in lately]
    if own is not None and now - own < policy.owner_cooldown:
        return EvictionObstacle.OWNER_COOLDOWN
    if last is not None and now - last < policy.interval:
        return EvictionObstacle.INTERVAL
    if [one.node for one in lately].count(pod.node) >= policy.per_node:
        return EvictionObstacle.PER_NODE
    if namespaces.count(pod.namespace) >= policy.per_namespace:
        return EvictionObstacle.PER_NAMESPACE
    return EvictionObstacle.PER_HOUR if len(lately) >= policy.per_hour else None


def remember(history: History, pod: NodePod, now: int) -> History:
    """The history with this eviction, and without those that no limit looks at any more."""
    kept = [one for one in history.moves if now - one.at < HOUR]
    move = PastMove(at=now, owner=pod.owner, pod=pod.full_name, node=pod.node)
    return History(moves=(*kept, move)[-MAX_MOVES:])

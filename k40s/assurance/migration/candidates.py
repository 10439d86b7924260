"""Which pods have to leave their node, and what keeps them there for now."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum, unique

from k40s.assurance.level import Thresholds, fitness
from k40s.assurance.migration.policy import HOUR, MigrationPolicy
from k40s.assurance.migration.record import CLOCK_DIFFERENCE, History, last_move
from k40s.criticality import Criticality

_CRITICAL = (Criticality.LOW, Criticality.HI)
Insufficient = Mapping[tuple[str, Criticality], int]
"""(node, criticality) -> since when its level has been too low for that criticality."""


@unique
class Obstacle(StrEnum):
    """What keeps a pod on its node; a metric's label."""

    HOLD_OFF = "hold-off"
    NO_CONTROLLER = "no-controller"
    DAEMON_SET = "daemon-set"
    STATIC = "static-pod"
    UNREADABLE = "unreadable"
    POD_COOLDOWN = "pod-cooldown"
    OWNER_COOLDOWN = "owner-cooldown"
    RESTING = "resting"
    IN_PROGRESS = "move-in-progress"
    INTERVAL = "interval"
    PER_HOUR = "per-hour"
    PER_NAMESPACE = "namespace-per-hour"
    NO_NODE = "no-node"
    BUDGET = "disruption-budget"
    SIBLING = "sibling-not-ready"
    FAILED = "request-failed"
    DRY_RUN = "dry-run"

    @property
    def lasting(self) -> bool:
        """Whether only its owner can change it, so that its owner is told."""
        return self in (Obstacle.NO_CONTROLLER, Obstacle.DAEMON_SET, Obstacle.STATIC)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedPod:
    """A LOW or HI pod on a node.

    ``kind`` is that of its controller, "" for none; ``owner`` names whoever decides on the number
    of its replicas. ``returned`` is when a move of it was given up.
    """

    uid: str
    namespace: str
    name: str
    node: str
    criticality: Criticality
    kind: str
    owner: str
    created: int
    static: bool = False
    returned: int | None = None

    @property
    def full_name(self) -> str:
        """Namespace and name."""
        return f"{self.namespace}/{self.name}"


def track(
    former: Insufficient, levels: Mapping[str, int | None], thresholds: Thresholds, now: int
) -> Insufficient:
    """Since when each node's level has been too low; an unknown level is not too low.

    What a silent daemon's node can do is unknown: its pods stay, and its time begins again.
    """
    return {
        (node, criticality): former.get((node, criticality), now)
        for node, level in levels.items()
        if level is not None
        for criticality in _CRITICAL
        if not fitness(level, criticality, thresholds)
    }


def order(pods: Iterable[PlacedPod], insufficient: Insufficient) -> list[PlacedPod]:
    """Pods whose node's level is too low for them: HI first, then the longest in danger."""
    found = [pod for pod in pods if (pod.node, pod.criticality) in insufficient]
    return sorted(
        found,
        key=lambda pod: (
            -pod.criticality,
            insufficient[pod.node, pod.criticality],
            pod.full_name,
        ),
    )


def find_obstacle(
    pod: PlacedPod, insufficient: Insufficient, history: History, policy: MigrationPolicy, now: int
) -> Obstacle | None:
    """What keeps this pod on its node, None if it may be moved.

    Never two moves for a cause: whatever was created after a move of its owner began may be the
    replacement, and rests, whatever becomes of its node.
    """
    if pod.returned is not None and now - pod.returned < policy.pod_cooldown:
        return Obstacle.POD_COOLDOWN  # its owner may have yet to take it back
    fixed = _find_lasting(pod)
    if fixed is not None:
        return fixed
    if now - insufficient[pod.node, pod.criticality] < policy.hold_off:
        return Obstacle.HOLD_OFF
    return _find_own_limit(pod, history, policy, now)


def _find_own_limit(
    pod: PlacedPod, history: History, policy: MigrationPolicy, now: int
) -> Obstacle | None:
    own = history.of_owner(pod.owner)
    if any(
        now - move.at < policy.rest and pod.created >= move.at - CLOCK_DIFFERENCE for move in own
    ):
        return Obstacle.RESTING
    last = last_move(own)
    if last is not None and now - last < policy.owner_cooldown:
        return Obstacle.OWNER_COOLDOWN
    if len(history.of_namespace(pod.namespace, now - HOUR)) >= policy.per_namespace:
        return Obstacle.PER_NAMESPACE
    return None


def _find_lasting(pod: PlacedPod) -> Obstacle | None:
    if pod.static or pod.kind == "Node":
        return Obstacle.STATIC
    if pod.kind == "DaemonSet":
        return Obstacle.DAEMON_SET
    return None if pod.kind else Obstacle.NO_CONTROLLER


def find_limit(
    history: History, policy: MigrationPolicy, now: int, *, in_progress: bool
) -> Obstacle | None:
    """What keeps every pod of the cluster on its node: one move at a time, and not too many."""
    if in_progress:
        return Obstacle.IN_PROGRESS
    last = last_move(history.moves)
    if last is not None and now - last < policy.interval:
        return Obstacle.INTERVAL
    if len(history.since(now - HOUR)) >= policy.per_hour:
        return Obstacle.PER_HOUR
    return None


def destinations(
    nodes: Iterable[str], pod: PlacedPod, history: History, policy: MigrationPolicy, now: int
) -> list[str]:
    """Nodes worth asking about: not its own, and none that was left lately.

    So two nodes are not emptied into each other when their hazards alternate.
    """
    left = history.left(now - policy.rest)
    return sorted(name for name in nodes if name != pod.node and name not in left)

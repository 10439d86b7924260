"""An explanation: for each node the verdict of filter, with figures and a remedy.

And the story of a pod that is bound: what it holds, what the kernel gave it, and how it came there.

Every value is a string, a number, a boolean, None or a tuple of such dataclasses, so that
``dataclasses.asdict`` is its JSON.
"""

from dataclasses import dataclass

from k40s.overview.model import Happening


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure: ``needed`` and ``free`` in ``unit``, of ``what`` (a core, a slot, a bound)."""

    what: str
    needed: str
    free: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """A reservation in the way."""

    namespace: str
    pod: str
    """Empty where the reader may not see it."""
    pod_uid: str
    criticality: str
    what: str
    """Such as ``core 1: 24.1ms/100ms``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScorePart:
    """A part of a node's score, and its weight in the sum."""

    name: str
    score: float
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeExplanation:
    """One node. ``reason`` is filter's code (docs/reasons.md), None where the pod fits."""

    name: str
    reason: str | None
    text: str
    """Filter's text, as in the pod's event; empty where the pod fits."""
    detail: str
    """One sentence with figures."""
    figures: tuple[Figure, ...]
    obstacles: tuple[Obstacle, ...]
    remedies: tuple[str, ...]
    """What would make it fit, each a change that the extender has tried."""
    score: int | None
    """0..10 as kube-scheduler is told, None where it does not fit."""
    parts: tuple[ScorePart, ...]
    age: float | None
    """Seconds since the node's state was last known to be current; None: never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """``fault`` is why the pod's own annotations are refused, None where they are valid."""

    namespace: str
    pod: str
    criticality: str
    fault: str | None
    nodes: tuple[NodeExplanation, ...]
    remarks: tuple[str, ...] = ()
    """What no node refuses and is probably not meant, such as a misspelt key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryTask:
    """A task in force. ``thread`` is the name by which its thread is found; durations as text."""

    name: str
    thread: str
    wcet: str
    period: str
    deadline: str
    priority: int | None
    """SCHED_FIFO priority of the thread; None under SCHED_DEADLINE."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryServer:
    """A server that the pod was granted, such as ``24ms`` each ``100ms`` on core ``1``."""

    container: str
    mechanism: str
    core: str
    """Its number, or ``any`` where the thread migrates."""
    budget: str
    period: str
    share: float
    """Of one core, 0..1."""
    tasks: tuple[StoryTask, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryCondition:
    """A condition of k40s in the pod's status. ``since`` is RFC 3339, empty where not said."""

    kind: str
    status: str
    reason: str
    message: str
    since: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PodStory:
    """A pod that is bound. Times are RFC 3339, empty where not known."""

    namespace: str
    pod: str
    pod_uid: str
    criticality: str
    node: str
    phase: str
    since: str
    """When it was started on its node."""
    summary: str
    """One sentence: how it is."""
    level: int | None
    """Its node's assurance, None where it is not usable."""
    level_needed: int
    servers: tuple[StoryServer, ...]
    networks: tuple[str, ...]
    """What it holds of each network, one sentence each."""
    enforced: bool | None
    """Whether the kernel enforces its budgets; None: nothing to enforce, or not said."""
    enforced_why: str
    enforced_since: str
    overruns: str
    """Of its budgets and WCETs, as last reported; empty where none were."""
    conditions: tuple[StoryCondition, ...]
    happenings: tuple[Happening, ...]
    """Oldest first."""

"""Exchange of the servers of a live core, one after the other, so that a refused pod fits.

Make before break: a reservation gets a second budget group; its threads move there while they
sleep; then the first group goes. While it has both, both are counted, and the core passes the
full test (``schedulability``) with both; so a step is an arrival for which nobody grows, and a
departure (docs/theory.md, "Exchanging the servers of a live core").

Here are the plan and what a node holds at each point of it. ``resynthesis`` finds plans.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from k40s.cpu.admission.schedulability import core_holds, groups_hold
from k40s.cpu.model import ANY_CORE, MIN_PERIOD, CpuNode, Reservation, Task
from k40s.units import NS_PER_MS, NS_PER_US, Nanoseconds

MOVE_SLACK = Nanoseconds(NS_PER_MS)
"""A thread that wakes while it is moved was released so much earlier, and at most D/10."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One reservation changes its server: ``before`` becomes ``after``.

    Both are of the same pod, container, core and tasks, and have the priorities that threads have
    while both exist: in ``before`` those that have not moved yet, in ``after`` those that have.
    ``others`` are the other rt-cgroup reservations of the core with their priorities meanwhile;
    their servers do not change.
    """

    before: Reservation
    after: Reservation
    others: tuple[Reservation, ...]

    def __post_init__(self) -> None:
        if _identity(self.before) != _identity(self.after):
            raise ValueError("a step keeps pod, container, tasks and core")
        if _held(self.before) == _held(self.after):
            raise ValueError("a step changes the server or its group")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """The steps after which a core takes a pod, and what it holds then.

    ``granted`` are the pod's reservations, all on ``core``. ``others`` are the other rt-cgroup
    reservations of the core beside them: since the last step priorities may have moved, and
    servers may have to grow, as in any admission.
    """

    core: int
    steps: tuple[Step, ...]
    granted: tuple[Reservation, ...]
    others: tuple[Reservation, ...]

    def __post_init__(self) -> None:
        if not self.steps or not self.granted:
            raise ValueError("an exchange has steps, and a pod that they are for")
        parts = (*(step.before for step in self.steps), *self.granted, *self.others)
        if any(held.core != self.core for held in parts):
            raise ValueError("an exchange concerns one core")

    @property
    def pod_uid(self) -> str:
        """The pod that it makes room for."""
        return self.granted[0].pod_uid


def overlapping(node: CpuNode, step: Step) -> CpuNode | None:
    """The node while a reservation has both groups; None where it would not hold.

    Pods that have departed are left out; where the reservation itself has, nothing changes. None
    as well where the core has a reservation that the step does not know. A node that has both
    already is returned as it is.
    """
    if not _holds(node, step.before) or _holds(node, step.after):
        return node
    moved = _with_priorities(node, (step.before, *step.others))
    if moved is None:
        return None
    overlap = moved.holding((*moved.reservations, step.after))
    return overlap if holds_both(overlap, step.after) else None


def holds_both(node: CpuNode, after: Reservation) -> bool:
    """Whether a node that has a reservation's second group, ``after``, passes the full test.

    The tasks meet their deadlines there even if they are moved with a job that was released
    ``move_slack`` before.
    """
    hurried = [_hurried(task) for task in after.tasks]
    if None in hurried:
        return False
    tasks = tuple(task for task in hurried if task is not None)
    rest = tuple(held for held in node.reservations if held is not after)
    return _verified(node.holding((*rest, replace(after, tasks=tasks))), after.core) is not None


def move_slack(task: Task) -> Nanoseconds:
    """How long before its move into the second group a job may have been released."""
    return Nanoseconds(min(MOVE_SLACK, task.deadline // 10) // NS_PER_US * NS_PER_US)


def _hurried(task: Task) -> Task | None:
    """The task as the second group sees it, if its jobs come by the slack later than released."""
    slack = move_slack(task)
    deadline, period = task.deadline - slack, task.period - slack
    if task.wcet > deadline or period < MIN_PERIOD:
        return None
    return replace(task, deadline=Nanoseconds(deadline), period=Nanoseconds(period))


def completed(node: CpuNode, step: Step) -> CpuNode:
    """The node without the first group, once none of its threads is real-time there."""
    kept = tuple(held for held in node.reservations if not _is(held, step.before))
    return node.holding(kept)


def arrived(node: CpuNode, exchange: Exchange) -> CpuNode | None:
    """The node with the pod after the last step; None where it would not hold.

    Pods that have departed are left out. None as well where the core has a reservation that the
    exchange does not know.
    """
    wanted = {_identity(held): held for held in exchange.others}
    after: list[Reservation] = []
    for held in node.reservations:
        if held.core != exchange.core or not held.priorities:
            after.append(held)
            continue
        found = wanted.get(_identity(held))
        if found is None or found.group != held.group:
            return None
        after.append(found)
    return _verified(node.holding((*after, *exchange.granted)), exchange.core)


def reserving(node: CpuNode, exchange: Exchange, *, done: int) -> CpuNode:
    """The node as other pods are admitted to it meanwhile, after ``done`` steps.

    It holds every group that is still to come, so that none of their numbers and nothing of their
    share of the node is taken; and the core takes no pod.
    """
    to_come = (*(step.after for step in exchange.steps[done:]), *exchange.granted)
    new = tuple(held for held in to_come if not _holds(node, held))
    return replace(
        node,
        reservations=(*node.reservations, *new),
        changing=node.changing | {exchange.core},
    )


def drain_time(node: CpuNode, core: int) -> Nanoseconds:
    """The wait after which all jobs that saw a former state of a core have ended.

    The longest server period and the longest deadline of all that may run there.
    """
    held = [r for r in node.reservations if r.core in (core, ANY_CORE)]
    period = max((r.server.period for r in held), default=0)
    deadline = max((task.deadline for r in held for task in r.tasks), default=0)
    return Nanoseconds(period + deadline)


def without_pod(exchange: Exchange, pod_uid: str, *, done: int) -> Exchange | None:
    """What is left to do after a pod's departure, ``done`` steps being done; None for nothing.

    Where the pod that room was made for departs, nothing is left: a step that has begun is
    completed, and others are not begun.
    """
    if pod_uid == exchange.pod_uid:
        return None
    steps = tuple(step for step in exchange.steps[done:] if step.before.pod_uid != pod_uid)
    return replace(exchange, steps=steps) if steps else None


def _verified(node: CpuNode, core: int) -> CpuNode | None:
    return node if core_holds(node, core) and groups_hold(node) else None


def _with_priorities(node: CpuNode, wanted: Iterable[Reservation]) -> CpuNode | None:
    """The node with these priorities; None where a reservation of the core is not among them."""
    known = list(wanted)
    core = known[0].core
    after: list[Reservation] = []
    for held in node.reservations:
        if held.core != core or not held.priorities:
            after.append(held)
            continue
        found = next(_like(held, known), None)
        if found is None:
            return None
        after.append(held if held.priorities == found.priorities else found)
    return node.holding(tuple(after))


def _like(held: Reservation, known: Iterable[Reservation]) -> Iterator[Reservation]:
    return (one for one in known if _is(one, held))


def _holds(node: CpuNode, held: Reservation) -> bool:
    return any(_is(one, held) for one in node.reservations)


def _is(one: Reservation, other: Reservation) -> bool:
    """Whether both are one reservation in one group; priorities may differ."""
    return _identity(one) == _identity(other) and _held(one) == _held(other)


def _identity(held: Reservation) -> tuple[object, ...]:
    return held.pod_uid, held.key, held.tasks, held.core, held.mechanism


def _held(held: Reservation) -> tuple[object, ...]:
    return held.server, held.group

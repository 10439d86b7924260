"""What is simulated: the cores of a node, or one core for a bare task set, as simulated servers.

Every job takes its full WCET, with the overheads that admission adds. Where servers refill and
tasks first arrive is drawn from a seed. Hogs and rogues are what a budget is there for: a hog
burns what is left of a container's budget below its own tasks, a rogue above them, without end.
"""

from collections.abc import Collection
from dataclasses import dataclass
from random import Random

from k40s.cpu.cores import tick_figure
from k40s.cpu.figures import server_figures, task_figures
from k40s.cpu.model import CpuNode, Mechanism, Reservation
from k40s.errors import K40sError
from k40s.simulation.parts import ENDLESS, SimServer, SimTask
from k40s.units import NS_PER_US, Nanoseconds
from workbench.admission_text import title_of
from workbench.bounds import ServerBound, TaskBound
from workbench.classic import ClassicReport
from workbench.plain_set import PlainServer, PlainSet

HOG = "(hog)"
ROGUE = "(rogue)"
NEVER_DUE = ENDLESS * 4
WHOLE_CORE = ""
"""The server of tasks that have a core of their own, without any budget."""


def full_name(server: str, task: str) -> str:
    """A task with its server, if it has one."""
    return task if server == WHOLE_CORE else f"{server}/{task}"


class UnsuitableScenarioError(K40sError):
    """What was asked for cannot be simulated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A task of a plan: its server and name there, its bound (None: none is known), its deadline.

    ``judged`` is False for tasks of a container that breaks its contract.
    """

    server: str
    task: str
    deadline: Nanoseconds
    bound: Nanoseconds | None
    judged: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CorePlan:
    """One core: what runs on it, in its unit of ``unit`` ns. ``tick`` 0 is exact enforcement."""

    core: int
    unit: int
    tick: int
    servers: tuple[SimServer, ...]
    subjects: tuple[Subject, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """How containers behave: hogs in all of them, and rogues by name (``pod/container``)."""

    seed: int = 0
    hogs: bool = False
    rogues: tuple[str, ...] = ()
    together: bool = False


def plan_node(
    node: CpuNode,
    bounds: tuple[ServerBound, ...],
    behaviour: Behaviour,
    tick: Nanoseconds | None,
) -> tuple[CorePlan, ...]:
    """Plans of the cores that hold something, in µs. ``tick`` None is the node's own.

    Raises ``UnsuitableScenarioError`` for a rogue that is not there.
    """
    _check_rogues(behaviour.rogues, [bound.reservation for bound in bounds])
    chance = Random(behaviour.seed)  # noqa: S311  # for repeatable runs, nothing is secret
    length = tick_figure(node) if tick is None else -(-tick // NS_PER_US)
    plans = []
    for core in node.cores:
        mine = [b for b in bounds if b.reservation.core == core]
        if not mine:
            continue
        titles = [title_of(b.reservation, bounds) for b in mine]
        pairs = list(zip(mine, titles, strict=True))
        plans.append(
            CorePlan(
                core=core,
                unit=NS_PER_US,
                tick=length,
                servers=tuple(
                    _server(bound.reservation, title, behaviour, chance) for bound, title in pairs
                ),
                subjects=tuple(
                    _subject(bound.reservation, title, task, behaviour)
                    for bound, title in pairs
                    for task in bound.tasks
                ),
            )
        )
    return tuple(plans)


def plan_set(given: PlainSet, report: ClassicReport, behaviour: Behaviour) -> CorePlan:
    """The plan of a bare task set in ns; servers above it are hogs all the time.

    Raises ``UnsuitableScenarioError`` for rogues, which have no names there.
    """
    if behaviour.rogues:
        raise UnsuitableScenarioError("a bare task set has no containers: try --hogs")
    chance = Random(behaviour.seed)  # noqa: S311  # for repeatable runs, nothing is secret
    longest = max(task.period for task in given.tasks)
    own = given.server or PlainServer(budget=longest, period=longest)
    name = "server" if given.server else WHOLE_CORE
    tasks = [
        _task(
            task.name,
            (task.wcet, task.period, task.deadline),
            task.priority,
            0 if behaviour.together else chance.randrange(task.period),
        )
        for task in given.tasks
    ]
    if behaviour.hogs and given.server:
        tasks.append(_burner(HOG, min(task.priority for task in tasks) - 0.5))
    servers = [_holding(name, own, tasks, chance, judged=True)]
    for index, rival in enumerate(given.above):
        burner = _burner(HOG, max(t.priority for t in given.tasks) + len(given.above) - index)
        servers.append(_holding(f"above {index + 1}", rival, [burner], chance, judged=False))
    return CorePlan(
        core=0,
        unit=1,
        tick=given.tick if given.server else 0,
        servers=tuple(servers),
        subjects=tuple(
            Subject(
                server=name,
                task=result.task.name,
                deadline=result.task.deadline,
                bound=result.response,
                judged=True,
            )
            for result in report.tasks
        ),
    )


def _check_rogues(rogues: Collection[str], held: list[Reservation]) -> None:
    known = {f"{r.pod_uid}/{r.container}" for r in held}
    for rogue in rogues:
        if rogue not in known:
            raise UnsuitableScenarioError(
                f"no container {rogue} was admitted; there are {', '.join(sorted(known)) or 'none'}"
            )


def _is_rogue(held: Reservation, behaviour: Behaviour) -> bool:
    return f"{held.pod_uid}/{held.container}" in behaviour.rogues


def _server(held: Reservation, title: str, behaviour: Behaviour, chance: Random) -> SimServer:
    if held.mechanism is Mechanism.DEADLINE:
        raise UnsuitableScenarioError(f"{title} is held by SCHED_DEADLINE, which is not simulated")
    budget, period = server_figures(held.server)
    tasks = [
        _task(
            task.name,
            task_figures(task),
            priority,
            0 if behaviour.together else chance.randrange(task_figures(task)[1]),
        )
        for task, priority in zip(held.tasks, held.priorities, strict=True)
    ]
    rogue = _is_rogue(held, behaviour)
    if rogue:
        tasks.append(_burner(ROGUE, max(held.priorities) + 0.5))
    elif behaviour.hogs:
        tasks.append(_burner(HOG, min(held.priorities) - 0.5))
    return SimServer(
        name=title,
        budget=budget,
        period=period,
        refill=1 + chance.randrange(period),
        tasks=tasks,
        judged=not rogue,
    )


def _holding(
    name: str, server: PlainServer, tasks: list[SimTask], chance: Random, *, judged: bool
) -> SimServer:
    return SimServer(
        name=name,
        budget=server.budget,
        period=server.period,
        refill=1 + chance.randrange(server.period),
        tasks=tasks,
        judged=judged,
    )


def _task(name: str, figures: tuple[int, int, int], priority: float, release: int) -> SimTask:
    wcet, period, deadline = figures
    return SimTask(
        name=name,
        wcet=wcet,
        period=period,
        deadline=deadline,
        priority=priority,
        release=release,
    )


def _burner(name: str, priority: float) -> SimTask:
    """One job that never ends."""
    return _task(name, (ENDLESS, ENDLESS, NEVER_DUE), priority, 0)


def _subject(held: Reservation, title: str, bound: TaskBound, behaviour: Behaviour) -> Subject:
    return Subject(
        server=title,
        task=bound.task.name,
        deadline=bound.task.deadline,
        bound=bound.response,
        judged=not _is_rogue(held, behaviour),
    )

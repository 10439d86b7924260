"""Simulation scenarios: simulated servers on each core of a node, or on one for a bare task set.

Every job takes its full WCET, with the overheads that admission adds. First
replenishments and arrivals are drawn from a seed. Hogs and rogues test the budgets: a hog burns
what is left of a container's budget below its own tasks, a rogue runs above them without end.
"""

from dataclasses import dataclass
from random import Random

from k40s.errors import K40sError
from k40s.simulation.edf import SimThread
from k40s.simulation.parts import ENDLESS, SimServer, SimTask
from k40s.units import Nanoseconds
from workbench.analysis.classic import ClassicReport
from workbench.inputs.bare_task_set import BareServer, BareTaskSet

HOG = "(hog)"
ROGUE = "(rogue)"
NEVER_DUE = ENDLESS * 4
WHOLE_CORE = ""
"""The server of tasks that have a core of their own, without any budget."""


def full_name(server: str, task: str) -> str:
    """A task with its server, if it has one."""
    return task if server == WHOLE_CORE else f"{server}/{task}"


class UnsuitableScenarioError(K40sError):
    """The scenario cannot be simulated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTask:
    """A task of a plan: server and name, response bound (None: unknown), deadline.

    ``core`` is "any" for threads that migrate. ``judged`` is False for tasks of a container that
    breaks its contract.
    """

    server: str
    task: str
    core: str
    deadline: Nanoseconds
    bound: Nanoseconds | None
    judged: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CorePlan:
    """The servers and tasks of one core, in units of ``unit`` ns. ``tick`` 0: exact enforcement."""

    core: int
    unit: int
    tick: int
    servers: tuple[SimServer, ...]
    planned: tuple[PlannedTask, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainPlan:
    """Cores that have to be simulated together, because threads above them may use any of them.

    ``threads`` are held by SCHED_DEADLINE, enforced at every ``thread_tick``; ``planned`` are
    their tasks, in the same order. Without threads there is one core.
    """

    cores: tuple[CorePlan, ...]
    threads: tuple[SimThread, ...] = ()
    planned: tuple[PlannedTask, ...] = ()
    thread_tick: int = 0
    title: str = ""

    @property
    def unit(self) -> int:
        """Ns of a unit of time; the same for all cores."""
        return self.cores[0].unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """Seed and misbehaviour: hogs in all containers, rogues by name (``pod/container``)."""

    seed: int = 0
    hogs: bool = False
    rogues: tuple[str, ...] = ()
    together: bool = False


def plan_set(given: BareTaskSet, report: ClassicReport, behaviour: Behaviour) -> DomainPlan:
    """The plan of a bare task set in ns; servers above it are hogs all the time.

    Raises ``UnsuitableScenarioError`` for rogues, which have no names there.
    """
    if behaviour.rogues:
        raise UnsuitableScenarioError("a bare task set has no containers: try --hogs")
    chance = Random(behaviour.seed)  # noqa: S311  # for repeatable runs, nothing is secret
    longest = max(task.period for task in given.tasks)
    own = given.server or BareServer(budget=longest, period=longest)
    name = "server" if given.server else WHOLE_CORE
    tasks = [
        task_of(
            task.name,
            (task.wcet, task.period, task.deadline),
            task.priority,
            0 if behaviour.together else chance.randrange(task.period),
        )
        for task in given.tasks
    ]
    if behaviour.hogs and given.server:
        tasks.append(burner(HOG, min(task.priority for task in tasks) - 0.5))
    servers = [server_of(name, own, tasks, chance, judged=True)]
    for index, rival in enumerate(given.above):
        hog = burner(HOG, max(t.priority for t in given.tasks) + len(given.above) - index)
        servers.append(server_of(f"above {index + 1}", rival, [hog], chance, judged=False))
    core = CorePlan(
        core=0,
        unit=1,
        tick=given.tick if given.server else 0,
        servers=tuple(servers),
        planned=tuple(
            PlannedTask(
                server=name,
                task=result.task.name,
                core="0",
                deadline=result.task.deadline,
                bound=result.response,
                judged=True,
            )
            for result in report.tasks
        ),
    )
    return DomainPlan(cores=(core,))


def server_of(
    name: str, server: BareServer, tasks: list[SimTask], chance: Random, *, judged: bool
) -> SimServer:
    """A server with a random first replenishment."""
    return SimServer(
        name=name,
        budget=server.budget,
        period=server.period,
        next_replenishment=1 + chance.randrange(server.period),
        tasks=tasks,
        judged=judged,
    )


def task_of(name: str, figures: tuple[int, int, int], priority: float, release: int) -> SimTask:
    """A task with (C, T, D) that arrives first at ``release``."""
    wcet, period, deadline = figures
    return SimTask(
        name=name,
        wcet=wcet,
        period=period,
        deadline=deadline,
        priority=priority,
        release=release,
    )


def burner(name: str, priority: float) -> SimTask:
    """One job that never ends."""
    return task_of(name, (ENDLESS, ENDLESS, NEVER_DUE), priority, 0)

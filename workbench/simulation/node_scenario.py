"""The scenario of a node: each core with its servers, and SCHED_DEADLINE threads above them.

Threads in a root domain of their core run above its servers; those of a shared root domain above
the servers of all its CPUs, which therefore are simulated together.
"""

from collections.abc import Iterator, Sequence
from random import Random

from k40s.annotations import format_cores
from k40s.cpu.linux import quantize_deadline_tick, quantize_server, quantize_task, quantize_tick
from k40s.cpu.model import ANY_CORE, CpuNode, Mechanism, Reservation
from k40s.node_api.allocation import core_name
from k40s.simulation.edf import SimThread
from k40s.simulation.parts import ENDLESS, SimServer
from k40s.units import NS_PER_US, Nanoseconds
from workbench.analysis.bounds import ServerBound, TaskBound, server_title
from workbench.simulation.scenario import (
    HOG,
    ROGUE,
    Behaviour,
    CorePlan,
    DomainPlan,
    PlannedTask,
    UnsuitableScenarioError,
    burner,
    full_name,
    task_of,
)


def plan_node(
    node: CpuNode,
    bounds: tuple[ServerBound, ...],
    behaviour: Behaviour,
    tick: Nanoseconds | None,
) -> tuple[DomainPlan, ...]:
    """Plans of all cores that hold something, in µs. ``tick`` None is the node's own.

    Raises ``UnsuitableScenarioError`` for a rogue that is not there.
    """
    _check_rogues(behaviour.rogues, [bound.reservation for bound in bounds])
    return tuple(_domains(node, bounds, behaviour, tick))


def _domains(
    node: CpuNode,
    bounds: tuple[ServerBound, ...],
    behaviour: Behaviour,
    tick: Nanoseconds | None,
) -> Iterator[DomainPlan]:
    chance = Random(behaviour.seed)  # noqa: S311  # for repeatable runs, nothing is secret
    length = quantize_tick(node) if tick is None else -(-tick // NS_PER_US)
    thread_length = quantize_deadline_tick(node) if tick is None else length
    plans = {core: _core(core, bounds, behaviour, chance, length) for core in node.cores}
    migrating = _threads(ANY_CORE, bounds, behaviour, chance)
    if migrating:
        cores = _of_shared_domain(node, plans)
        title = f"cores {format_cores(node.cores)}, SCHED_DEADLINE"
        yield _with_threads(cores, migrating, thread_length, title)
        return
    for core, plan in plans.items():
        threads = _threads(core, bounds, behaviour, chance)
        if threads or plan.servers:
            title = f"core {core}, SCHED_DEADLINE"
            yield _with_threads((plan,), threads, thread_length, title)


def _of_shared_domain(node: CpuNode, plans: dict[int, CorePlan]) -> tuple[CorePlan, ...]:
    """A plan for each CPU of the root domain; those that take no servers are empty."""
    cpus = 1 if node.deadline is None else node.deadline.cpus
    if cpus < len(plans):
        raise UnsuitableScenarioError(
            f"a shared root domain of {cpus} CPUs below {len(plans)} cores is not simulated"
        )
    first = next(iter(plans.values()))
    empty = CorePlan(core=ANY_CORE, unit=first.unit, tick=first.tick, servers=(), planned=())
    return (*plans.values(), *[empty] * (cpus - len(plans)))


def _with_threads(
    cores: tuple[CorePlan, ...],
    threads: Sequence[tuple[SimThread, PlannedTask]],
    tick: int,
    title: str,
) -> DomainPlan:
    return DomainPlan(
        cores=cores,
        threads=tuple(thread for thread, _ in threads),
        planned=tuple(planned for _, planned in threads),
        thread_tick=tick,
        title=title,
    )


def _core(
    core: int, bounds: tuple[ServerBound, ...], behaviour: Behaviour, chance: Random, tick: int
) -> CorePlan:
    mine = [
        (bound, server_title(bound.reservation, bounds))
        for bound in bounds
        if bound.reservation.core == core and bound.reservation.priorities
    ]
    return CorePlan(
        core=core,
        unit=NS_PER_US,
        tick=tick,
        servers=tuple(_server(bound, title, behaviour, chance) for bound, title in mine),
        planned=tuple(
            _planned_task(bound.reservation, title, task, behaviour)
            for bound, title in mine
            for task in bound.tasks
        ),
    )


def _threads(
    core: int, bounds: tuple[ServerBound, ...], behaviour: Behaviour, chance: Random
) -> list[tuple[SimThread, PlannedTask]]:
    """The SCHED_DEADLINE threads on a core, each with its planned task."""
    found = []
    for bound in bounds:
        held = bound.reservation
        if held.core == core and held.mechanism is Mechanism.DEADLINE:
            title = f"{held.pod_uid}/{held.container}"
            planned = _planned_task(held, title, bound.tasks[0], behaviour)
            found.append((_thread(held, planned, behaviour, chance), planned))
    return found


def _thread(
    held: Reservation, planned: PlannedTask, behaviour: Behaviour, chance: Random
) -> SimThread:
    (task,) = held.tasks
    budget, period = quantize_server(held.server)
    wcet, interval, deadline = quantize_task(task)
    release = 0 if behaviour.together else chance.randrange(interval)
    figures = (wcet, interval, deadline) if planned.judged else (ENDLESS, ENDLESS, deadline)
    return SimThread(
        name=full_name(planned.server, planned.task),
        budget=budget,
        deadline=deadline,
        period=period,
        task=task_of(task.name, figures, 0, release),
        judged=planned.judged,
    )


def _server(bound: ServerBound, title: str, behaviour: Behaviour, chance: Random) -> SimServer:
    """A hog would break the contract that the bounds of a contained server rest on."""
    held = bound.reservation
    budget, period = quantize_server(held.server)
    tasks = [
        task_of(
            task.name,
            quantize_task(task),
            priority,
            0 if behaviour.together else chance.randrange(quantize_task(task)[1]),
        )
        for task, priority in zip(held.tasks, held.priorities, strict=True)
    ]
    rogue = _is_rogue(held, behaviour)
    if rogue:
        tasks.append(burner(ROGUE, max(held.priorities) + 0.5))
    elif behaviour.hogs and not bound.contained:
        tasks.append(burner(HOG, min(held.priorities) - 0.5))
    return SimServer(
        name=title,
        budget=budget,
        period=period,
        next_replenishment=1 + chance.randrange(period),
        tasks=tasks,
        judged=not rogue,
    )


def _planned_task(
    held: Reservation, title: str, bound: TaskBound, behaviour: Behaviour
) -> PlannedTask:
    return PlannedTask(
        server=title,
        task=bound.task.name,
        core=str(core_name(held.core)),
        deadline=bound.task.deadline,
        bound=bound.response,
        judged=not _is_rogue(held, behaviour),
    )


def _is_rogue(held: Reservation, behaviour: Behaviour) -> bool:
    return f"{held.pod_uid}/{held.container}" in behaviour.rogues


def _check_rogues(rogues: Sequence[str], held: Sequence[Reservation]) -> None:
    known = {f"{r.pod_uid}/{r.container}" for r in held}
    for rogue in rogues:
        if rogue not in known:
            raise UnsuitableScenarioError(
                f"no container {rogue} was admitted; there are {', '.join(sorted(known)) or 'none'}"
            )

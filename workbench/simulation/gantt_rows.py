"""Panels of a Gantt chart: one for each core or SCHED_DEADLINE domain, one row for each task."""

from collections.abc import Sequence
from dataclasses import dataclass

from k40s.simulation.edf import DeadlineSimulation
from k40s.simulation.parts import ENDLESS, Miss
from workbench.simulation.scenario import CorePlan, DomainPlan
from workbench.simulation.trace import Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A task of a panel. ``burner``: a hog or a rogue, which has no periodic jobs."""

    server: str
    task: str
    period: int
    deadline: int
    burner: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A core's servers, or the threads above them, in units of ``unit`` ns.

    Rows go from the most urgent down; ``missed`` are late jobs as (server, task, arrival).
    """

    title: str
    unit: int
    rows: tuple[Row, ...]
    trace: Trace
    missed: tuple[tuple[str, str, int], ...]


def panel_of_core(plan: CorePlan, trace: Trace, misses: Sequence[Miss]) -> Panel:
    """The servers of a core by their highest priority."""
    servers = sorted(plan.servers, key=lambda s: -max(task.priority for task in s.tasks))
    tick = f", tick {plan.tick * plan.unit / 1e6:g} ms" if plan.tick else ""
    return Panel(
        title=f"core {plan.core}{tick}",
        unit=plan.unit,
        rows=tuple(
            Row(
                server=server.name,
                task=task.name,
                period=task.period,
                deadline=task.deadline,
                burner=task.period >= ENDLESS,
            )
            for server in servers
            for task in sorted(server.tasks, key=lambda task: -task.priority)
        ),
        trace=trace,
        missed=tuple((miss.server, miss.task, miss.release) for miss in misses),
    )


def panel_of_threads(plan: DomainPlan, simulated: DeadlineSimulation) -> Panel:
    """The threads of SCHED_DEADLINE in a root domain, in the order of their reservations."""
    trace = Trace()
    by_name = {t.name: s for t, s in zip(plan.threads, plan.planned, strict=True)}
    for name, start, end in simulated.consumed:
        trace.ran(by_name[name].server, by_name[name].task, start, end)
    for thread in plan.threads:
        planned, task = by_name[thread.name], thread.task
        first = task.release - task.released * task.period
        for number in range(task.released):
            trace.released(planned.server, planned.task, first + number * task.period)
    return Panel(
        title=f"{plan.title}, tick {plan.thread_tick * plan.unit / 1e6:g} ms",
        unit=plan.unit,
        rows=tuple(
            Row(
                server=planned.server,
                task=planned.task,
                period=thread.task.period,
                deadline=thread.task.deadline,
                burner=not thread.judged,
            )
            for thread, planned in zip(plan.threads, plan.planned, strict=True)
        ),
        trace=trace,
        missed=tuple(
            (by_name[miss.server].server, miss.task, miss.release) for miss in simulated.misses
        ),
    )

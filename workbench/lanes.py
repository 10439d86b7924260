"""What a chart shows of a simulation: lanes of rows, one row for each task."""

from collections.abc import Sequence
from dataclasses import dataclass

from k40s.simulation.edf import DeadlineSimulation
from k40s.simulation.parts import ENDLESS, Miss
from workbench.scenario import CorePlan, DomainPlan
from workbench.trace import Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A task of a lane. ``burner`` is a hog or a rogue, which has no jobs to speak of."""

    server: str
    task: str
    period: int
    deadline: int
    burner: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """A core's servers, or the threads above them, in units of ``unit`` ns.

    Rows go from the most urgent down; ``missed`` are late jobs as (server, task, arrival).
    """

    title: str
    unit: int
    rows: tuple[Row, ...]
    trace: Trace
    missed: tuple[tuple[str, str, int], ...]


def lane_of_core(plan: CorePlan, trace: Trace, misses: Sequence[Miss]) -> Lane:
    """The servers of a core by their highest priority."""
    servers = sorted(plan.servers, key=lambda s: -max(task.priority for task in s.tasks))
    tick = f", tick {plan.tick * plan.unit / 1e6:g} ms" if plan.tick else ""
    return Lane(
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


def lane_of_threads(plan: DomainPlan, simulated: DeadlineSimulation) -> Lane:
    """The threads of SCHED_DEADLINE in a root domain, in the order of their reservations."""
    trace = Trace()
    by_name = {t.name: s for t, s in zip(plan.threads, plan.subjects, strict=True)}
    for name, start, end in simulated.consumed:
        trace.ran(by_name[name].server, by_name[name].task, start, end)
    for thread in plan.threads:
        subject, task = by_name[thread.name], thread.task
        first = task.release - task.released * task.period
        for number in range(task.released):
            trace.released(subject.server, subject.task, first + number * task.period)
    return Lane(
        title=f"{plan.title}, tick {plan.thread_tick * plan.unit / 1e6:g} ms",
        unit=plan.unit,
        rows=tuple(
            Row(
                server=subject.server,
                task=subject.task,
                period=thread.task.period,
                deadline=thread.task.deadline,
                burner=not thread.judged,
            )
            for thread, subject in zip(plan.threads, plan.subjects, strict=True)
        ),
        trace=trace,
        missed=tuple(
            (by_name[miss.server].server, miss.task, miss.release) for miss in simulated.misses
        ),
    )

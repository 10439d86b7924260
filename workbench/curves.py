"""Supply against demand as curves: what a picture of an analysis shows. Times in ns.

A demand curve is the request bound of a task with all that its rivals can ask meanwhile (fixed
priorities), or the demand bound of all tasks (EDF). It has to meet the supply by the deadline.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from k40s.cpu.cores import tick_figure
from k40s.cpu.edf import demand_bound
from k40s.cpu.figures import server_figures, task_figures
from k40s.cpu.hierarchy import TaskFigures, load_within, provision_time
from k40s.cpu.model import CpuNode, Mechanism
from k40s.cpu.response import Interference
from k40s.cpu.servers import deferrable
from k40s.cpu.supply import periodic_resource
from k40s.units import NS_PER_US, format_duration
from workbench.bounds import ServerBound, interference_on
from workbench.classic import Analysis, ClassicReport, UnsuitableTestError
from workbench.plain_set import PlainSet

MAX_TASKS = 6
"""Demand curves in one picture; of more tasks the least urgent ones are drawn."""
_SAMPLES = 600
_MARGIN = 20

Points = tuple[tuple[int, int], ...]
TimeFor = Callable[[int], int | None]
"""The shortest interval in which a demand is surely provided; None beyond the picture."""


@dataclass(frozen=True, slots=True)
class _Ranked:
    """Tasks with (C, T, D), from most to least urgent; larger priorities are more urgent."""

    names: tuple[str, ...]
    tasks: tuple[TaskFigures, ...]
    priorities: tuple[int, ...]
    responses: tuple[int | None, ...]

    @property
    def horizon(self) -> int:
        """The end of the picture, a little after the last deadline."""
        longest = max(deadline for _, _, deadline in self.tasks)
        return longest + longest // _MARGIN

    def rivals(self, own: int) -> tuple[TaskFigures, ...]:
        """Those that rank at or above a task."""
        return tuple(
            task
            for other, task in enumerate(self.tasks)
            if other != own and self.priorities[other] >= self.priorities[own]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DemandCurve:
    """Demand over intervals; ``response`` is where it meets the supply, if by the deadline."""

    label: str
    points: Points
    deadline: int | None
    response: int | None
    demand_then: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SupplyPicture:
    """``other`` is a second supply for comparison, with its label."""

    title: str
    supply: Points
    supply_label: str
    demands: tuple[DemandCurve, ...]
    other: Points = ()
    other_label: str = ""


def curves_of_server(node: CpuNode, bound: ServerBound) -> SupplyPicture:
    """The supply of a container's deferrable server and the requests of its tasks."""
    held = bound.reservation
    if held.mechanism is Mechanism.DEADLINE:
        raise UnsuitableTestError(
            f"{held.pod_uid}/{held.container} is held by SCHED_DEADLINE and has no server to draw"
        )
    order = sorted(range(len(held.tasks)), key=lambda index: -held.priorities[index])
    ranked = _Ranked(
        names=tuple(held.tasks[index].name for index in order),
        tasks=tuple(_scaled(task_figures(held.tasks[index])) for index in order),
        priorities=tuple(held.priorities[index] for index in order),
        responses=tuple(bound.tasks[index].response for index in order),
    )
    budget, period = (figure * NS_PER_US for figure in server_figures(held.server))
    return _in_server(
        f"{held.pod_uid}/{held.container}: {_figures(budget, period)}",
        ranked,
        (budget, period),
        tuple(_scaled(rival) for rival in interference_on(node, held)),
        tick_figure(node) * NS_PER_US,
    )


def curves_of_set(given: PlainSet, report: ClassicReport) -> SupplyPicture:
    """The picture of a bare task set under the test that judged it."""
    if report.test is Analysis.EDF:
        return _demand_of_all(given)
    results = sorted(report.tasks, key=lambda result: -result.task.priority)
    ranked = _Ranked(
        names=tuple(r.task.name for r in results),
        tasks=tuple(
            (r.task.wcet + r.task.blocking, r.task.period, r.task.deadline) for r in results
        ),
        priorities=tuple(r.task.priority for r in results),
        responses=tuple(r.response for r in results),
    )
    if given.server is None:
        return SupplyPicture(
            title=report.model.capitalize(),
            supply=((0, 0), (ranked.horizon, ranked.horizon)),
            supply_label="the core",
            demands=_requests(ranked),
        )
    server = (given.server.budget, given.server.period)
    if report.test is Analysis.PERIODIC_RESOURCE:
        supply = periodic_resource(*server)
        return SupplyPicture(
            title=f"Periodic resource: {_figures(*server)}",
            supply=_inverted(supply.time_for, given.tick, server[0], ranked.horizon),
            supply_label="least supply",
            demands=_requests(ranked),
        )
    above = tuple(deferrable(rival.budget, rival.period) for rival in given.above)
    title = f"Deferrable server: {_figures(*server)}"
    return _in_server(title, ranked, server, above, given.tick)


def tightest(bounds: Sequence[ServerBound]) -> ServerBound | None:
    """The rt-cgroup server with the task whose bound is nearest to its deadline; None if none."""
    servers = [b for b in bounds if b.reservation.mechanism is Mechanism.RT_CGROUP]
    return max(servers, key=_tension, default=None)


def _tension(bound: ServerBound) -> float:
    return max(
        2.0 if task.response is None else task.response / task.task.deadline for task in bound.tasks
    )


def _in_server(
    title: str,
    ranked: _Ranked,
    server: tuple[int, int],
    above: Interference,
    tick: int,
) -> SupplyPicture:
    horizon = ranked.horizon

    def time_for(load: int) -> int | None:
        return provision_time(load, server, above, tick, horizon)

    return SupplyPicture(
        title=title,
        supply=_inverted(time_for, tick, server[0], horizon),
        supply_label="least supply of the server",
        demands=_requests(ranked),
        other=_inverted(periodic_resource(*server).time_for, tick, server[0], horizon),
        other_label="as a periodic resource",
    )


def _requests(ranked: _Ranked) -> tuple[DemandCurve, ...]:
    """One curve for each task, most urgent first."""
    curves = []
    for index, (wcet, _period, deadline) in enumerate(ranked.tasks):
        rivals = ranked.rivals(index)
        response = ranked.responses[index]
        edges = _edges(rivals, deadline)
        curves.append(
            DemandCurve(
                label=ranked.names[index],
                points=tuple(
                    (edge, load_within(min(edge + 1, deadline), wcet, rivals)) for edge in edges
                ),
                deadline=deadline,
                response=response,
                demand_then=load_within(response or 1, wcet, rivals),
            )
        )
    return tuple(curves[-MAX_TASKS:])


def _demand_of_all(given: PlainSet) -> SupplyPicture:
    figures = [(t.wcet, t.period, t.deadline - t.jitter) for t in given.tasks]
    blocking = max(task.blocking for task in given.tasks)
    end = 2 * max(task.period for task in given.tasks)
    edges = sorted({d + k * t for _, t, d in figures for k in range((end - d) // t + 1)})
    points = [(0, 0), *((edge, demand_bound(figures, edge) + blocking) for edge in edges)]
    curve = DemandCurve(
        label="all tasks", points=tuple(points), deadline=None, response=None, demand_then=0
    )
    return SupplyPicture(
        title="EDF on one core",
        supply=((0, 0), (end, end)),
        supply_label="the core",
        demands=(curve,),
    )


def _edges(rivals: Sequence[TaskFigures], end: int) -> list[int]:
    """Where requests step up, from 0 to the end; thinned out where there are very many."""
    edges = {0, end}
    for _wcet, period, _deadline in rivals:
        step = period * max(1, end // period // _SAMPLES)
        edges.update(range(0, end, step))
    return sorted(edges)


def _inverted(time_for: TimeFor, spent: int, budget: int, horizon: int) -> Points:
    """Supply over time, from the time that each load takes, of which ``spent`` is no use."""
    step = max(1, horizon // _SAMPLES)
    loads = set(range(1, horizon, step))
    for periods in range(min(_SAMPLES, horizon // budget + 1)):
        loads |= {periods * budget, periods * budget + 1}
    points = [(0, 0)]
    for load in sorted(loads - {0}):
        when = time_for(load)
        if when is None or when > horizon:
            break
        points.append((when, max(0, load - spent)))
    points.append((horizon, points[-1][1]))
    kept = bisect_left([value for _, value in points], 1)
    return ((0, 0), *points[max(0, kept - 1) :])


def _scaled(figures: tuple[int, int, int]) -> tuple[int, int, int]:
    first, second, third = figures
    return (first * NS_PER_US, second * NS_PER_US, third * NS_PER_US)


def _figures(budget: int, period: int) -> str:
    return f"{format_duration(budget)} in {format_duration(period)}"

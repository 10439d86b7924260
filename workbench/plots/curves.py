"""Supply and demand curves of an analysis. Times in ns.

A demand curve is the request bound of a task with the interference of its rivals (fixed
priorities), or the demand bound of all tasks (EDF). It has to meet the supply by the deadline.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from k40s.cpu.analysis.response_time import (
    Interference,
    TaskParameters,
    demand_completion,
    load_within,
    provision_time,
)
from k40s.cpu.analysis.supply_bound import periodic_resource
from workbench.table import as_time

MAX_TASKS = 6
"""Demand curves in one picture; of more tasks those nearest to their deadlines are drawn."""
MAX_SAMPLES = 600
_MARGIN = 20

Points = tuple[tuple[int, int], ...]
TimeFor = Callable[[int], int | None]
"""The shortest interval in which a demand is surely provided; None beyond the picture."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """Tasks with (C, T, D), from most to least urgent; larger priorities are more urgent."""

    names: tuple[str, ...]
    tasks: tuple[TaskParameters, ...]
    priorities: tuple[int, ...]
    responses: tuple[int | None, ...]

    @property
    def horizon(self) -> int:
        """The end of the picture, a little after the last deadline."""
        longest = max(deadline for _, _, deadline in self.tasks)
        return longest + longest // _MARGIN

    def rivals(self, own: int) -> tuple[TaskParameters, ...]:
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
    """``other`` is a second supply for comparison; ``note`` says what is not drawn."""

    title: str
    supply: Points
    supply_label: str
    demands: tuple[DemandCurve, ...]
    other: Points = ()
    other_label: str = ""
    note: str = ""


def in_server(
    title: str,
    ranked: Ranked,
    server: tuple[int, int],
    above: Interference,
    tick: int,
) -> SupplyPicture:
    """A deferrable server's supply, as the task-level test of Davis & Burns counts it."""
    horizon = ranked.horizon

    def time_for(load: int) -> int | None:
        return provision_time(load, server, above, tick, horizon)

    return SupplyPicture(
        title=title,
        supply=inverted(time_for, tick, server[0], horizon),
        supply_label="least supply of the server",
        demands=requests(ranked),
        other=inverted(periodic_resource(*server).time_for, tick, server[0], horizon),
        other_label="as a periodic resource",
        note=left_out(ranked),
    )


def left_by(above: Interference, tick: int, horizon: int) -> Points:
    """Supply that servers above leave of a core, without a budget for the tasks themselves."""

    def time_for(load: int) -> int | None:
        return demand_completion(load, above, limit=horizon, penalty=tick)

    return inverted(time_for, 0, horizon, horizon)


def requests(ranked: Ranked) -> tuple[DemandCurve, ...]:
    """One curve for each task that is drawn, most urgent first."""
    curves = []
    for index in _drawn(ranked):
        wcet, _period, deadline = ranked.tasks[index]
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
    return tuple(curves)


def left_out(ranked: Ranked) -> str:
    """A note on tasks that are not drawn; "" where all are."""
    count = len(ranked.tasks)
    if count <= MAX_TASKS:
        return ""
    return f"{MAX_TASKS} of {count} tasks are drawn, those nearest to their deadlines"


def _drawn(ranked: Ranked) -> list[int]:
    def slack(index: int) -> float:
        response = ranked.responses[index]
        return -1.0 if response is None else 1 - response / ranked.tasks[index][2]

    # Among equals the least urgent, which suffer first from a change.
    nearest = sorted(range(len(ranked.tasks)), key=lambda index: (slack(index), -index))
    return sorted(nearest[:MAX_TASKS])


def _edges(rivals: Sequence[TaskParameters], end: int) -> list[int]:
    """Where requests step up, from 0 to the end; thinned out where there are very many."""
    edges = {0, end}
    for _wcet, period, _deadline in rivals:
        step = period * max(1, end // period // MAX_SAMPLES)
        edges.update(range(0, end, step))
        edges.update(period * times for times in _growing(end // period))
    return sorted(edges)


def _growing(most: int) -> set[int]:
    """Numbers from 1 that grow by a tenth: enough of them on any scale."""
    found = {1} if most else set()
    number = 1
    while (number := max(number + 1, number * 11 // 10)) <= most:
        found.add(number)
    return found


def inverted(time_for: TimeFor, spent: int, budget: int, horizon: int) -> Points:
    """Supply over time, from the time that each load takes, of which ``spent`` is no use."""
    step = max(1, horizon // MAX_SAMPLES)
    loads = set(range(1, horizon, step)) | _growing(horizon - 1)
    for periods in range(min(MAX_SAMPLES, horizon // budget + 1)):
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


def figures_text(budget: int, period: int) -> str:
    """A server's figures in words."""
    return f"{as_time(budget)} in {as_time(period)}"

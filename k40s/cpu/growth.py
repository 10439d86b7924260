"""What budget a running server needs when more interferes with it.

A server grows or stays, and keeps its period. Either test may hold it, the hierarchical one or
containment; but tasks that waited for their budget so far are not contained from one instant to
the next (``k40s.cpu.containment.settling_budget``). Integers in microseconds.
"""

from k40s.cpu import containment
from k40s.cpu.budget import least_budget
from k40s.cpu.hierarchy import ServerFigures, TaskFigures, server_tasks_response
from k40s.cpu.response import Interference
from k40s.cpu.servers import largest_budget, server_response


def waited_for(
    tasks: tuple[TaskFigures, ...], server: ServerFigures, above: Interference, tick: int
) -> bool:
    """Whether tasks meet their deadlines in a server that anything in it may use up."""
    return (
        server_response(*server, above, tick) is not None
        and server_tasks_response(tasks, server, above, tick) is not None
    )


def grown_budget(
    tasks: tuple[TaskFigures, ...],
    server: ServerFigures,
    *,
    before: Interference,
    above: Interference,
    tick: int,
    growable: bool,
) -> int | None:
    """The least budget, from the present one on, that serves the tasks below ``above``, or None.

    ``before`` is what interferes at present. A server that is not ``growable`` keeps its budget.
    """
    budget, period = server
    if waited_for(tasks, server, above, tick):
        return budget
    containing = _containing(tasks, server, before, above, tick)
    if containing == budget or not growable:
        return budget if containing == budget else None
    high = largest_budget(period, above, tick)
    if containing is not None:
        high = min(high, containing)
    waiting = least_budget(tasks, (budget + 1, high), period, above, tick)
    return containing if waiting is None else waiting


def _containing(
    tasks: tuple[TaskFigures, ...],
    server: ServerFigures,
    before: Interference,
    above: Interference,
    tick: int,
) -> int | None:
    budget, period = server
    least = containment.least_budget(tasks, period, above, tick)
    if least is None:
        return None
    if waited_for(tasks, server, before, tick):
        settling = containment.settling_budget(tasks, period, before, tick)
        if settling is None:
            return None
        least = max(least, settling)
    return max(budget, least)

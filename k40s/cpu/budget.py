"""The cheapest server for a container's tasks, given what ranks above it on the core.

Davis & Burns, RTNS 2008: periods and priorities given, budgets from the highest server down. The
budgets that work form an interval: below Qmin a task misses its deadline, above Qmax the server
itself does not get its budget in its period. Integers in microseconds.
"""

from collections.abc import Iterator

from k40s.cpu.bandwidth import SCALE_BITS
from k40s.cpu.figures import SERVER_OVERHEAD
from k40s.cpu.headroom import ROOT_PERIOD
from k40s.cpu.hierarchy import TaskFigures, server_tasks_response
from k40s.cpu.response import Interference
from k40s.cpu.servers import largest_budget

PERIOD_DIVISORS = (1, 2, 3, 4, 6, 8)
SHORTEST_PERIOD = 1_000
"""A shorter server period costs more in timers than it gains."""

Figures = tuple[int, int]
"""A server as (Q, P)."""


def candidate_periods(tasks: tuple[TaskFigures, ...]) -> tuple[int, ...]:
    """Periods to try: ⌊T/k⌋ of the shortest task period, which counts as one second at most.

    A longer server period is no use: two of its budgets could meet the kernel's limit for all
    real-time groups (``k40s.cpu.headroom``).
    """
    shortest = min(ROOT_PERIOD, *(period for _, period, _ in tasks))
    periods = dict.fromkeys(shortest // divisor for divisor in PERIOD_DIVISORS)
    return tuple(period for period in periods if period >= SHORTEST_PERIOD)


def least_budget(
    tasks: tuple[TaskFigures, ...],
    period: int,
    above: Interference,
    tick: int,
    *,
    low: int = 1,
    high: int | None = None,
) -> int | None:
    """Least budget from ``low`` to ``high`` with which every task meets its deadline, or None.

    ``high`` defaults to ``largest_budget``; a higher one is not allowed, as the test of the
    tasks is sound only where the server's own test holds.
    """
    if high is None:
        high = largest_budget(period, above, tick)
    if high < low or server_tasks_response(tasks, (high, period), above, tick) is None:
        return None
    while low < high:
        middle = (low + high) // 2
        if server_tasks_response(tasks, (middle, period), above, tick) is None:
            low = middle + 1
        else:
            high = middle
    return high


def needed_share(tasks: tuple[TaskFigures, ...], period: int) -> int:
    """A budget that is certainly not too large: ⌈P·ΣC/T⌉ serves the tasks in the long run."""
    return sum(-(-period * cost // interval) for cost, interval, _ in tasks) - len(tasks) + 1


def servers_by_cost(
    tasks: tuple[TaskFigures, ...], above: Interference, tick: int, *, room: int = 1 << SCALE_BITS
) -> Iterator[Figures]:
    """Servers with least budget for each candidate period, cheapest first.

    Cost is (Q + 2o)/P, with o the overhead of a context switch and a timer. ``room`` bounds Q/P,
    in units of 2⁻⁴⁰. Lazy: most often the first is the one that is wanted, and then the others
    need no exact budget.
    """
    remaining = [
        (
            period,
            max(1, needed_share(tasks, period)),
            min(largest_budget(period, above, tick), room * period >> SCALE_BITS),
        )
        for period in candidate_periods(tasks)
    ]
    while remaining:
        best: Figures | None = None
        for period, low, high in remaining:
            bound = high if best is None else min(high, _budget_below(best, period))
            budget = least_budget(tasks, period, above, tick, low=low, high=bound)
            if budget is not None:
                best = (budget, period)
        if best is None:
            return
        yield best
        remaining = [entry for entry in remaining if entry[0] != best[1]]


def some_server_exists(tasks: tuple[TaskFigures, ...], above: Interference, tick: int) -> bool:
    """Whether any candidate period has a budget that meets every deadline."""
    return any(
        (high := largest_budget(period, above, tick)) > 0
        and server_tasks_response(tasks, (high, period), above, tick) is not None
        for period in candidate_periods(tasks)
    )


def _budget_below(best: Figures, period: int) -> int:
    """Largest budget with which that period is strictly cheaper than ``best``."""
    budget, other = best
    return -(-(budget + SERVER_OVERHEAD) * period // other) - 1 - SERVER_OVERHEAD

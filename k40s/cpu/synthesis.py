"""The cheapest server for a container's tasks, given what ranks above it on the core.

Period and budget are chosen together: a longer period needs fewer timers and switches, a shorter
one shortens the time without budget. Integers in microseconds.
"""

from collections.abc import Iterator

from k40s.cpu.bandwidth import SCALE_BITS
from k40s.cpu.budget import least_budget
from k40s.cpu.figures import SERVER_OVERHEAD
from k40s.cpu.headroom import ROOT_PERIOD
from k40s.cpu.hierarchy import ServerFigures, TaskFigures, server_tasks_response
from k40s.cpu.response import Interference
from k40s.cpu.servers import largest_budget

PERIOD_DIVISORS = (1, 2, 3, 4, 6, 8)
SHORTEST_PERIOD = 1_000
"""A shorter server period costs more in timers than it gains."""


def candidate_periods(tasks: tuple[TaskFigures, ...]) -> tuple[int, ...]:
    """Periods to try: ⌊T/k⌋ of the shortest task period, which counts as one second at most.

    A longer server period is no use: two of its budgets could meet the kernel's limit for all
    real-time groups (``k40s.cpu.headroom``).
    """
    shortest = min(ROOT_PERIOD, *(period for _, period, _ in tasks))
    periods = (shortest // divisor for divisor in PERIOD_DIVISORS)
    return tuple(period for period in periods if period >= SHORTEST_PERIOD)


def needed_share(tasks: tuple[TaskFigures, ...], period: int) -> int:
    """From 1 to ⌈P·ΣC/T⌉: no lower budget serves the tasks in the long run."""
    share = sum(-(-period * cost // interval) for cost, interval, _ in tasks)
    return max(1, share - len(tasks) + 1)


def servers_by_cost(
    tasks: tuple[TaskFigures, ...], above: Interference, tick: int, *, room: int = 1 << SCALE_BITS
) -> Iterator[ServerFigures]:
    """Servers with the least budget for each candidate period, cheapest first.

    Cost is (Q + 2o)/P, with o the overhead of a context switch and a timer. ``room`` bounds Q/P,
    in units of 2⁻⁴⁰. Lazy: most often the first is the one that is wanted, and then the others
    need no exact budget.
    """
    remaining: dict[int, tuple[int, int]] = {}
    for period in candidate_periods(tasks):
        high = min(largest_budget(period, above, tick), room * period >> SCALE_BITS)
        remaining[period] = (needed_share(tasks, period), high)
    exact: dict[int, int] = {}
    while remaining:
        best: ServerFigures | None = None
        for period, (low, high) in list(remaining.items()):
            bound = high if best is None else min(high, _budget_below(best, period))
            budget = exact.get(period)
            if budget is None:
                budget = least_budget(tasks, (low, bound), period, above, tick)
                if budget is not None:
                    exact[period] = budget
                elif bound == high:
                    del remaining[period]
            if budget is not None and budget <= bound:
                best = (budget, period)
        if best is None:
            return
        yield best
        del remaining[best[1]]


def room_is_missing(
    tasks: tuple[TaskFigures, ...], above: Interference, tick: int, *, room: int
) -> bool:
    """Whether a server that meets every deadline exists, but only beyond ``room``."""
    for period in candidate_periods(tasks):
        high = largest_budget(period, above, tick)
        if (
            high > room * period >> SCALE_BITS
            and server_tasks_response(tasks, (high, period), above, tick) is not None
        ):
            return True
    return False


def _budget_below(best: ServerFigures, period: int) -> int:
    """Largest budget with which that period is strictly cheaper than ``best``."""
    budget, other = best
    return -(-(budget + SERVER_OVERHEAD) * period // other) - 1 - SERVER_OVERHEAD

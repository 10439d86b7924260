"""The cheapest server for a container's tasks, given what ranks above it on the core.

Period and budget are chosen together: a longer period needs fewer timers and switches, a shorter
one shortens the time without budget, and the bursts that those below have to bear. Integers in
microseconds.
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
BURST_DIVISOR = 4
TICK_DIVISOR = 10


def candidate_periods(tasks: tuple[TaskFigures, ...]) -> tuple[int, ...]:
    """Periods to try: ⌊T/k⌋ of the shortest task period, which counts as one second at most.

    A longer server period is no use: two of its budgets could meet the kernel's limit for all
    real-time groups (``k40s.cpu.headroom``).
    """
    shortest = shortest_period(tasks)
    periods = (shortest // divisor for divisor in PERIOD_DIVISORS)
    return tuple(period for period in periods if period >= SHORTEST_PERIOD)


def shortest_period(tasks: tuple[TaskFigures, ...]) -> int:
    """The shortest period of the tasks, and one second at most."""
    return min(ROOT_PERIOD, *(period for _, period, _ in tasks))


def cost(server: ServerFigures, shortest: int, tick: int) -> int:
    """What a server takes from a core: (Q + 2o + δ/10)/P + Q/4T, in units of 2⁻⁴⁰.

    Bandwidth with the overhead o of a switch and a timer is not all: a server of long period sends
    long bursts to those below, compared with the ``shortest`` period T of the container, and one
    of short period bears no bursts from above and few ticks. The weights are measured
    (docs/adr/0009-which-mechanism.md).
    """
    budget, period = server
    bandwidth = ((budget + _overhead(tick)) << SCALE_BITS) // period
    return bandwidth + (budget << SCALE_BITS) // (BURST_DIVISOR * shortest)


def _overhead(tick: int) -> int:
    return SERVER_OVERHEAD + tick // TICK_DIVISOR


def needed_share(tasks: tuple[TaskFigures, ...], period: int) -> int:
    """From 1 to ⌈P·ΣC/T⌉: no lower budget serves the tasks in the long run."""
    share = sum(-(-period * cost // interval) for cost, interval, _ in tasks)
    return max(1, share - len(tasks) + 1)


def servers_by_cost(
    tasks: tuple[TaskFigures, ...], above: Interference, tick: int, *, room: int = 1 << SCALE_BITS
) -> Iterator[ServerFigures]:
    """Servers with the least budget for each candidate period, cheapest first.

    ``room`` bounds Q/P, in units of 2⁻⁴⁰. Lazy: most often the first is the one that is wanted, and
    then the others need no exact budget.
    """
    shortest = shortest_period(tasks)
    remaining: dict[int, tuple[int, int]] = {}
    for period in candidate_periods(tasks):
        high = min(largest_budget(period, above, tick), room * period >> SCALE_BITS)
        remaining[period] = (needed_share(tasks, period), high)
    exact: dict[int, int] = {}
    while remaining:
        best: ServerFigures | None = None
        for period, (low, high) in list(remaining.items()):
            bound = high if best is None else min(high, _budget_below(best, period, shortest, tick))
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


def _budget_below(best: ServerFigures, period: int, shortest: int, tick: int) -> int:
    """Largest budget with which that period is cheaper than ``best``, exactly."""
    budget, other = best
    overhead = _overhead(tick)
    scaled = BURST_DIVISOR * shortest
    left = ((budget + overhead) * scaled + budget * other) * period - overhead * scaled * other
    return -(-left // ((scaled + period) * other)) - 1

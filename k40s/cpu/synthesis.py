"""The cheapest server for a container's tasks, given what ranks above it on the core.

Period and budget are chosen together: a longer period needs fewer timers and switches, a shorter
one shortens the time without budget, and the bursts that those below have to bear. A budget is the
least by which the tasks may wait for it (``k40s.cpu.budget``), or the least that they never use up
(``k40s.cpu.containment``), whichever is less. Integers in microseconds.
"""

from collections.abc import Iterator

from k40s.cpu import containment
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
MOST_CONTAINING = 4
"""How many servers that contain the tasks are tried, the cheapest ones."""
LONGEST_CONTAINING = 16
"""How many of the shortest task period their periods may be; the bursts of longer ones are dear."""


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
    found = containment.responses(tasks, above, tick)
    if found is None:
        return
    shortest = shortest_period(tasks)
    containing = _containing_servers(tasks, found, tick, room)
    remaining: dict[int, tuple[int, int]] = {}
    for period in candidate_periods(tasks):
        high = min(largest_budget(period, above, tick), room * period >> SCALE_BITS)
        remaining[period] = (needed_share(tasks, period), high)
    exact: dict[int, int] = {}
    while remaining or containing:
        best = containing[-1] if containing else None
        for period, (low, high) in list(remaining.items()):
            bound = high if best is None else min(high, _budget_below(best, period, shortest, tick))
            budget = exact.get(period) or least_budget(tasks, (low, bound), period, above, tick)
            if budget is not None:
                exact[period] = budget
                best = (budget, period) if budget <= bound else best
            elif bound == high:
                del remaining[period]
        if best is None:
            return
        yield best
        if containing and best == containing[-1]:
            containing.pop()
        else:
            del remaining[best[1]]


def _containing_servers(
    tasks: tuple[TaskFigures, ...], found: tuple[int, ...], tick: int, room: int
) -> list[ServerFigures]:
    """The cheapest servers that contain tasks with response times ``found``, cheapest last."""
    shortest = shortest_period(tasks)
    servers = _all_containing_servers(tasks, found, tick)
    fitting = (server for server in servers if server[0] <= room * server[1] >> SCALE_BITS)
    ordered = sorted(fitting, key=lambda server: (cost(server, shortest, tick), server))
    return ordered[MOST_CONTAINING - 1 :: -1] if len(ordered) >= MOST_CONTAINING else ordered[::-1]


def _all_containing_servers(
    tasks: tuple[TaskFigures, ...], found: tuple[int, ...], tick: int
) -> Iterator[ServerFigures]:
    """One for each candidate period, and for the longest periods that budgets bear."""
    longest = min(ROOT_PERIOD, LONGEST_CONTAINING * shortest_period(tasks))
    fitting = containment.fitting_periods(tasks, found, tick, longest)
    for period in {*candidate_periods(tasks), *fitting}:
        budget = containment.most_used(tasks, found, period + tick)
        if period >= SHORTEST_PERIOD and budget <= period:
            yield budget, period


def room_is_missing(
    tasks: tuple[TaskFigures, ...], above: Interference, tick: int, *, room: int
) -> bool:
    """Whether a server that meets every deadline exists, but only beyond ``room``."""
    found = containment.responses(tasks, above, tick)
    if found is None:
        return False
    if any(q > room * p >> SCALE_BITS for q, p in _all_containing_servers(tasks, found, tick)):
        return True
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

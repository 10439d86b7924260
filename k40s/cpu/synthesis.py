"""The cheapest server for a container's tasks, given what ranks above it on the core.

Period and budget are chosen together: a longer period needs fewer timers and switches, a shorter
one shortens the time without budget, and the bursts that interfere with servers below. A budget is
the least that passes the hierarchical test (``least_budget``), or the least that contains the tasks
(``k40s.cpu.analysis.containment``), whichever is less.

Least budgets: Davis & Burns, RTNS 2008, periods and priorities given, budgets from the highest
server down. The budgets that work form an interval: below Qmin a task misses its deadline, above
Qmax the server itself does not get its budget in its period (``largest_budget``). Up to Qmax more
budget never harms the server's own tasks, so Qmin is found by bisection. Integers in microseconds.
"""

from collections.abc import Iterator

from k40s.cpu.analysis import containment
from k40s.cpu.analysis.deferrable_server import largest_budget
from k40s.cpu.analysis.response_time import (
    Interference,
    ServerParameters,
    TaskParameters,
    at_or_above,
    load_within,
    provision_time,
    server_tasks_response,
)
from k40s.cpu.bandwidth import SCALE_BITS
from k40s.cpu.effort import Effort
from k40s.cpu.linux import ROOT_PERIOD, SERVER_OVERHEAD

PERIOD_DIVISORS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32)
SHORTEST_PERIOD = 1_000
"""A shorter server period costs more in timers than it gains."""
LONG_IN_TICKS = 200
SHORT_IN_TICKS = 40
"""A shortest task period of so many ticks makes bursts weigh 4 times as much as bandwidth, or 2.

Shorter server periods make shorter bursts, and cost more where a tick is a larger part of them.
"""
TICK_DIVISOR = 10
MOST_CONTAINING = 4
"""Number of containing servers that are tried, the cheapest ones."""
LONGEST_CONTAINING = 16
"""Their longest period, in shortest task periods; longer bursts cost servers below too much."""


def candidate_periods(tasks: tuple[TaskParameters, ...]) -> tuple[int, ...]:
    """Periods to try: ⌊T/k⌋ of the shortest task period, which counts as one second at most.

    A longer server period is no use: two of its budgets could meet the kernel's limit for all
    real-time groups (``x.
    """
    shortest = shortest_period(tasks)
    periods = (shortest // divisor for divisor in PERIOD_DIVISORS)
    return tuple(period for period in periods if period >= SHORTEST_PERIOD)


def shortest_period(tasks: tuple[TaskParameters, ...]) -> int:
    """The shortest period of the tasks, and one second at most."""
    return min(ROOT_PERIOD, *(period for _, period, _ in tasks))


def cost(server: ServerParameters, shortest: int, tick: int) -> int:
    """Cost of a server to its core: (Q + 2o + δ/10)/P + w·Q/T, in units of 2⁻⁴⁰.

    Besides bandwidth with the overhead o of a switch and a timer: a long period makes long bursts
    for servers below, compared with the ``shortest`` period T of the container; a short one
    tolerates few bursts from above and few ticks. The weights are measured
    (docs/adr/0042-shorter-server-periods.md).
    """
    return _cost(server, shortest, _overhead(tick), burst_weight(shortest, tick))


def _cost(server: ServerParameters, shortest: int, overhead: int, weight: int) -> int:
    budget, period = server
    bandwidth = ((budget + overhead) << SCALE_BITS) // period
    return bandwidth + (weight * budget << SCALE_BITS) // shortest


def burst_weight(shortest: int, tick: int) -> int:
    """The weight w of bursts, by the number of ticks in the shortest task period."""
    if shortest >= LONG_IN_TICKS * tick:
        return 4
    return 2 if shortest >= SHORT_IN_TICKS * tick else 1


def _overhead(tick: int) -> int:
    return SERVER_OVERHEAD + tick // TICK_DIVISOR


def needed_share(tasks: tuple[TaskParameters, ...], period: int) -> int:
    """From 1 to ⌈P·ΣC/T⌉: no lower budget serves the tasks in the long run."""
    share = 1 - len(tasks)
    for wcet, interval, _deadline in tasks:
        share -= -period * wcet // interval
    return max(1, share)


def servers_by_cost(
    tasks: tuple[TaskParameters, ...],
    above: Interference,
    tick: int,
    *,
    room: int = 1 << SCALE_BITS,
    level_mates: int = 1,
    effort: Effort | None = None,
) -> Iterator[ServerParameters]:
    """Servers with the least budget for each candidate period, cheapest first.

    ``room`` bounds Q/P, in units of 2⁻⁴⁰; the last ``level_mates`` tasks have one priority. Lazy:
    most often the first server is taken, and the others need no exact budget.
    """
    found = containment.responses(tasks, above, tick, level_mates)
    if found is None:
        return
    shortest = shortest_period(tasks)
    containing = _containing_servers(tasks, found, tick, room)
    overhead, weight = _overhead(tick), burst_weight(shortest, tick)
    remaining: dict[int, tuple[int, int]] = {}
    for period in candidate_periods(tasks):
        high = min(largest_budget(period, above, tick, effort), room * period >> SCALE_BITS)
        remaining[period] = (needed_share(tasks, period), high)
    exact: dict[int, int] = {}
    while remaining or containing:
        best = containing[-1] if containing else None
        for period, (low, high) in list(remaining.items()):
            bound = high
            if best is not None:
                bound = min(high, _budget_below(best, period, shortest, overhead, weight))
            budget = exact.get(period) or least_budget(
                tasks, (low, bound), period, above, tick, level_mates=level_mates
            )
            if budget is not None:
                exact[period] = budget
                best = (budget, period) if budget <= bound else best
            elif bound == high:
                del remaining[period]
            else:
                remaining[period] = (max(low, bound + 1), high)
        if best is None:
            return
        yield best
        if containing and best == containing[-1]:
            containing.pop()
        else:
            del remaining[best[1]]


def _containing_servers(
    tasks: tuple[TaskParameters, ...], found: tuple[int, ...], tick: int, room: int
) -> list[ServerParameters]:
    """The cheapest servers that contain tasks with response times ``found``, cheapest last."""
    shortest = shortest_period(tasks)
    servers = _all_containing_servers(tasks, found, tick)
    fitting = (server for server in servers if server[0] <= room * server[1] >> SCALE_BITS)
    overhead, weight = _overhead(tick), burst_weight(shortest, tick)
    ordered = sorted(
        fitting, key=lambda server: (_cost(server, shortest, overhead, weight), server)
    )
    return ordered[MOST_CONTAINING - 1 :: -1] if len(ordered) >= MOST_CONTAINING else ordered[::-1]


def _all_containing_servers(
    tasks: tuple[TaskParameters, ...], found: tuple[int, ...], tick: int
) -> Iterator[ServerParameters]:
    """One for each candidate period, and for the longest periods that each budget allows."""
    longest = min(ROOT_PERIOD, LONGEST_CONTAINING * shortest_period(tasks))
    fitting = containment.fitting_periods(tasks, found, tick, longest)
    for period in {*candidate_periods(tasks), *fitting}:
        budget = containment.most_used(tasks, found, period + tick)
        if period >= SHORTEST_PERIOD and budget <= period:
            yield budget, period


def room_is_missing(
    tasks: tuple[TaskParameters, ...],
    above: Interference,
    tick: int,
    *,
    room: int,
    level_mates: int = 1,
    effort: Effort | None = None,
) -> bool:
    """Whether a server that meets every deadline exists, but only beyond ``room``."""
    found = containment.responses(tasks, above, tick, level_mates)
    if found is None:
        return False
    if any(q > room * p >> SCALE_BITS for q, p in _all_containing_servers(tasks, found, tick)):
        return True
    for period in candidate_periods(tasks):
        high = largest_budget(period, above, tick, effort)
        if (
            high > room * period >> SCALE_BITS
            and server_tasks_response(tasks, (high, period), above, tick, level_mates) is not None
        ):
            return True
    return False


def _budget_below(
    best: ServerParameters, period: int, shortest: int, overhead: int, weight: int
) -> int:
    """Largest budget with which that period is cheaper than ``best``, exactly."""
    budget, other = best
    paid = (budget + overhead) * shortest + weight * budget * other
    left = paid * period - overhead * shortest * other
    return -(-left // ((shortest + weight * period) * other)) - 1


def least_budget(
    tasks: tuple[TaskParameters, ...],
    among: tuple[int, int],
    period: int,
    above: Interference,
    tick: int,
    *,
    level_mates: int = 1,
) -> int | None:
    """Least budget ``among`` (low, high) with which every task meets its deadline, or None.

    1 ≤ low; high must not exceed ``largest_budget``, because the test of the tasks is sound only
    where the server's own test holds. The last ``level_mates`` tasks have one priority.
    """
    low, high = among
    if high < low:
        return None
    enough = _budget_for_full_windows(tasks, among, period, above, tick, level_mates=level_mates)
    if enough is None:
        if server_tasks_response(tasks, (high, period), above, tick, level_mates) is None:
            return None
        enough = high
    middle = enough - 1
    while low < enough:
        if server_tasks_response(tasks, (middle, period), above, tick, level_mates) is None:
            low = middle + 1
        else:
            enough = middle
        middle = (low + enough) // 2
    return enough


def _budget_for_full_windows(
    tasks: tuple[TaskParameters, ...],
    among: tuple[int, int],
    period: int,
    above: Interference,
    tick: int,
    *,
    level_mates: int,
) -> int | None:
    """A budget that provides all load of a task's whole deadline window within that deadline.

    It suffices, and most often it is the least one: then a single further test confirms that.
    None where that takes more than the highest.
    """
    budget, high = among
    least_wait = sum(cost + tick for cost, _period, _jitter in above)
    for index, (wcet, _period, deadline) in enumerate(tasks):
        local = tasks[:index] if level_mates == 1 else at_or_above(tasks, index, level_mates)
        load = load_within(deadline, wcet + tick, local)
        alone = _budget_alone(load, deadline - least_wait, period)
        if alone is None or max(alone, budget) > high:
            return None
        budget = max(alone, budget)
        if not above or provision_time(load, (budget, period), above, tick, deadline) is not None:
            continue
        if provision_time(load, (high, period), above, tick, deadline) is None:
            return None
        failing, budget = budget, high
        while budget - failing > 1:
            middle = (failing + budget) // 2
            if provision_time(load, (middle, period), above, tick, deadline) is None:
                failing = middle
            else:
                budget = middle
    return budget


def _budget_alone(load: int, window: int, period: int) -> int | None:
    """Least budget with which a server with nothing above it provides a load in a window.

    With m server periods touched, the load takes L + m·(P − Q) and needs m·Q ≥ L; the one falls
    and the other rises with m, and they meet at m = window/P.
    """
    spare = window - load
    if spare < 0:
        return None
    fewer = window // period
    more = fewer + 1
    best = max(-(-load // more), period - spare // more)
    if fewer:
        best = min(best, max(-(-load // fewer), period - spare // fewer))
    return best

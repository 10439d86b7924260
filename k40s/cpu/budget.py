"""The least budget with which a server of a given period serves its tasks.

Davis & Burns, RTNS 2008: periods and priorities given, budgets from the highest server down. The
budgets that work form an interval: below Qmin a task misses its deadline, above Qmax the server
itself does not get its budget in its period (``k40s.cpu.servers.largest_budget``). Up to Qmax more
budget never harms the server's own tasks, so Qmin is found by bisection. Integers of one unit.
"""

from k40s.cpu.hierarchy import TaskFigures, load_within, provision_time, server_tasks_response
from k40s.cpu.response import Interference


def least_budget(
    tasks: tuple[TaskFigures, ...],
    among: tuple[int, int],
    period: int,
    above: Interference,
    tick: int,
) -> int | None:
    """Least budget ``among`` (low, high) with which every task meets its deadline, or None.

    1 ≤ low; high must not exceed ``largest_budget``, because the test of the tasks is sound only
    where the server's own test holds.
    """
    low, high = among
    if high < low:
        return None
    enough = _budget_for_full_windows(tasks, among, period, above, tick)
    if enough is None:
        if server_tasks_response(tasks, (high, period), above, tick) is None:
            return None
        enough = high
    middle = enough - 1
    while low < enough:
        if server_tasks_response(tasks, (middle, period), above, tick) is None:
            low = middle + 1
        else:
            enough = middle
        middle = (low + enough) // 2
    return enough


def _budget_for_full_windows(
    tasks: tuple[TaskFigures, ...],
    among: tuple[int, int],
    period: int,
    above: Interference,
    tick: int,
) -> int | None:
    """A budget that provides all load of a task's whole deadline window within that deadline.

    It suffices, and most often it is the least one: then a single further test confirms that.
    None where that takes more than the highest.
    """
    budget, high = among
    least_wait = sum(cost + tick for cost, _period, _jitter in above)
    for index, (wcet, _period, deadline) in enumerate(tasks):
        load = load_within(deadline, wcet + tick, tasks[:index])
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

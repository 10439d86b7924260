"""Deferrable servers: against each other, inside real-time groups, and above periodic tasks.

Bernat & Burns 1999; Davis & Burns, RTSS 2005, section 3. A deferrable server with budget Q and
period P interferes like a task (Q, P) with release jitter P − Q: it can spend Q at the end of one
period and Q at the start of the next. With ``tick`` δ > 0 the budget is checked only every δ; what
is overrun is debt, so δ enters once for each server (docs/theory.md).

Nested groups: on Linux every level of the hierarchy throttles. An ancestor leaves its children
alone if its budget covers the most that they can use between two of its replenishments, which is
``most_consumed`` summed (docs/theory.md). Sufficient, for servers on one core enforced by ticks δ.

One server above periodic tasks, the classic single-level case: Strosnider, Lehoczky & Sha, IEEE TC
44(1) 1995, a utilization bound for n tasks with D = T under rate-monotonic priorities, below a
server of the highest priority and the shortest period; hyperbolic form after Bini & Buttazzo, IEEE
TC 2003. Sufficient: True proves schedulability, False proves nothing. Exact for tasks released by
an adversary: ``responses_below`` (Ghazalie & Baker 1995; Bernat & Burns, RTSS 1999), for any
deferrable servers above and D ≤ T. Integers of one unit.
"""

from collections.abc import Sequence
from fractions import Fraction
from math import log, prod

from k40s.cpu.analysis.response_time import (
    Interference,
    ServerParameters,
    TaskParameters,
    demand_completion,
)
from k40s.cpu.effort import Effort

MAX_POINTS = 500
"""Points examined for a largest budget; a long period above hundreds of short ones has more."""


def deferrable(budget: int, period: int) -> tuple[int, int, int]:
    """The interference of a deferrable server: (Q, P, J = P − Q)."""
    return (budget, period, period - budget)


def server_response(budget: int, period: int, above: Interference, tick: int) -> int | None:
    """Worst time in which a server receives its budget, or None if that is too late.

    It must be a tick before the period ends: what runs across a replenishment uncharged is charged
    to the next budget, and what is uncharged of the old one is lost (docs/theory.md).
    """
    return demand_completion(budget, above, limit=period - tick, penalty=tick)


def largest_budget(
    period: int, above: Interference, tick: int, effort: Effort | None = None
) -> int:
    """Largest Q with ``server_response(Q, period, ...)`` not None; 0 if there is none.

    Q fits iff Q ≤ x − I(x) for some x ≤ P − δ, where I is the interference. I is a step function,
    so only P − δ and the last points before each step matter; they are visited downwards. After
    ``MAX_POINTS``, which ordinary sets do not need, the largest so far is the answer: it fits.
    The points that were visited are counted as ``effort``.
    """
    if not above:
        return max(0, period - tick)
    least = sum(budget + tick for budget, _period, _jitter in above)
    best = visited = 0
    point = period - tick
    while visited < MAX_POINTS and point - least > best:
        visited += 1
        free = point
        following = 0
        for budget, interval, jitter in above:
            hits = -(-(point + jitter) // interval)
            free -= hits * budget + tick
            edge = (hits - 1) * interval - jitter
            if edge > following:  # noqa: PLR1730  # this is a hot loop
                following = edge
        if free > best:  # noqa: PLR1730  # the same
            best = free
        point = following
    if effort is not None:
        effort.take_points(visited, len(above))
    return best


def most_consumed(window: int, budget: int, period: int, tick: int) -> int:
    """Most that a tick-enforced deferrable server consumes in any window of that length."""
    return -(-(window + period - budget) // period) * budget + tick


def least_ancestor_budget(children: Sequence[ServerParameters], period: int, tick: int) -> int:
    """Least budget with which a group of that period never throttles its children (Q, P).

    It cannot be given where it exceeds the period. The window is P + δ: what runs before a
    replenishment may be charged after it.
    """
    return sum(most_consumed(period + tick, *child, tick) for child in children)


def share_of_node(
    server: ServerParameters, ancestor_period: int | None, tick: int
) -> ServerParameters:
    """Bandwidth of a group in the kernel's sum over all groups, as (Q, P).

    Its own where it lies at the top of the hierarchy (None), else what its ancestors of that
    period need for it: the kernel counts the highest of them.
    """
    if ancestor_period is None:
        return server
    return least_ancestor_budget((server,), ancestor_period, tick), ancestor_period


def tasks_bound(server_bandwidth: Fraction, tasks: int | None = None) -> float:
    """Greatest ΣC/T that ``tasks`` tasks below a server Q/P may always have; None is any number.

    For figures and comparison, hence a float.
    """
    ratio = float((server_bandwidth + 2) / (2 * server_bandwidth + 1))
    return log(ratio) if tasks is None else tasks * (ratio ** (1 / tasks) - 1)


def hyperbolic_bound_holds(tasks: Sequence[TaskParameters], server: ServerParameters) -> bool:
    """Whether Π(C/T + 1) ≤ (U + 2)/(2U + 1), U = Q/P, and the bound applies to such tasks.

    True proves schedulability under rate-monotonic priorities and exact enforcement. False proves
    nothing.
    """
    budget, period = server
    if any(deadline < interval or interval < period for _, interval, deadline in tasks):
        return False
    bandwidth = Fraction(budget, period)
    grown = prod((Fraction(wcet, interval) + 1 for wcet, interval, _ in tasks), start=Fraction(1))
    return grown <= (bandwidth + 2) / (2 * bandwidth + 1)


def responses_below(
    tasks: Sequence[TaskParameters], servers: Sequence[ServerParameters], tick: int = 0
) -> tuple[int, ...] | None:
    """Worst response times of tasks, most urgent first, below deferrable servers.

    None where one can miss its deadline.
    """
    above = tuple(deferrable(*server) for server in servers)
    found: list[int] = []
    for wcet, period, deadline in tasks:
        response = demand_completion(wcet + tick * len(servers), above, limit=deadline)
        if response is None:
            return None
        found.append(response)
        above = (*above, (wcet, period, 0))
    return tuple(found)

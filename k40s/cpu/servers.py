"""Deferrable servers against each other: each has to get its budget in each of its periods.

Bernat & Burns 1999; Davis & Burns, RTSS 2005, section 3. A deferrable server with budget Q and
period P interferes like a task (Q, P) with release jitter P − Q: it can spend Q at the end of one
period and Q at the start of the next. With ``tick`` δ > 0 the budget is checked only every δ; what
is overrun is debt, so δ enters once for each server (docs/theory.md). Integers of one unit.
"""

from k40s.cpu.response import Interference, demand_completion


def deferrable(budget: int, period: int) -> tuple[int, int, int]:
    """The interference of a deferrable server: (Q, P, J = P − Q)."""
    return (budget, period, period - budget)


def server_response(budget: int, period: int, above: Interference, tick: int) -> int | None:
    """Time in which a server surely receives its budget, or None if that is too late.

    It must be a tick before the period ends: what runs across a refill uncharged is charged to the
    next budget, and what the refill finds uncharged of its own is lost (docs/theory.md).
    """
    return demand_completion(budget, above, limit=period - tick, penalty=tick)


def largest_budget(period: int, above: Interference, tick: int) -> int:
    """Largest Q with ``server_response(Q, period, ...)`` not None; 0 if there is none.

    Q fits iff Q ≤ x − I(x) for some x ≤ P − δ, where I is the interference. I is a step function,
    so only P − δ and the last points before each step matter; they are visited downwards.
    """
    if not above:
        return max(0, period - tick)
    least = sum(budget + tick for budget, _period, _jitter in above)
    best = 0
    point = period - tick
    while point - least > best:
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
    return best


def most_consumed(window: int, budget: int, period: int, tick: int) -> int:
    """Most that a tick-enforced deferrable server consumes in any window of that length."""
    return -(-(window + period - budget) // period) * budget + tick

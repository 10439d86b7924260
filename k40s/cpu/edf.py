"""Earliest deadline first on one core: demand bound function and processor demand criterion.

Baruah, Mok & Rosier, RTSS 1990: schedulable iff the demand of no interval exceeds its length.
Zhang & Burns, IEEE TC 2009 (QPA): the intervals are visited from the longest down, and each
demand skips all that are not shorter than itself. Model: sporadic tasks (C, T, D) of any D on one
core of speed 1, optional release jitter, and a blocking term that is the same for every interval.
Exact without blocking, sufficient with it. Integers of one unit; utilizations are exact.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import ceil, lcm

from k40s.cpu.hierarchy import TaskFigures
from k40s.cpu.response import demand_completion

MAX_POINTS = 10_000
"""Intervals looked at; ordinary sets need fewer than a hundred. A set that needs more is refused,
so that no contract can occupy a daemon."""


def demand_bound(tasks: Sequence[TaskFigures], interval: int) -> int:
    """Demand of the jobs that are released and due in an interval of that length."""
    demand = 0
    for wcet, period, deadline in tasks:
        if interval >= deadline:
            demand += ((interval - deadline) // period + 1) * wcet
    return demand


def processor_demand_holds(
    tasks: Sequence[TaskFigures], blocking: int = 0, *, jitters: Sequence[int] = ()
) -> bool:
    """Whether every job of (C, T, D) meets its deadline under EDF on a core of its own.

    ``blocking`` is how long something else may hold the core within any interval, such as the
    overruns of threads enforced by ticks. ``jitters`` has one release jitter for each task, or is
    empty. A jitter J acts as a deadline earlier by J.
    """
    if jitters:
        tasks = [(c, t, d - j) for (c, t, d), j in zip(tasks, jitters, strict=True)]
    if any(wcet + blocking > deadline for wcet, _period, deadline in tasks):
        return False
    load = utilization(tasks)
    if load > 1:
        return False
    return demand_fits(tasks, _horizon(tasks, load, blocking), lambda demand: demand + blocking)


def demand_fits(tasks: Sequence[TaskFigures], horizon: int, time_for: Callable[[int], int]) -> bool:
    """Whether the demand of every interval up to ``horizon`` is provided within it.

    ``time_for`` gives the shortest interval in which a demand is surely provided. Intervals
    between that and the one examined have no more demand and need no look of their own.
    """
    interval = last_deadline_before(tasks, horizon + 1)
    for _ in range(MAX_POINTS):
        if interval is None:
            return True
        needed = time_for(demand_bound(tasks, interval))
        if needed > interval:
            return False
        interval = last_deadline_before(tasks, needed)
    return False


def utilization(tasks: Sequence[TaskFigures]) -> Fraction:
    """ΣC/T."""
    return sum((Fraction(wcet, period) for wcet, period, _ in tasks), Fraction(0))


def excess_demand(tasks: Sequence[TaskFigures]) -> Fraction:
    """E with demand ≤ U·t + E for every interval t that is not shorter than any D − T."""
    return sum((Fraction(c * (t - d), t) for c, t, d in tasks), Fraction(0))


def latest_start(tasks: Sequence[TaskFigures]) -> int:
    """The longest D − T, or 0: no shorter interval has the demand that U·t + E bounds."""
    return max(0, *(deadline - period for _, period, deadline in tasks), 0)


def latest_repetition(tasks: Sequence[TaskFigures]) -> int:
    """The longest D, or 0: from there on all demand repeats with the hyperperiod."""
    return max(0, *(deadline for _, _, deadline in tasks), 0)


def hyperperiod(tasks: Sequence[TaskFigures]) -> int:
    """Least common multiple of all periods."""
    return lcm(*(period for _, period, _ in tasks))


def _horizon(tasks: Sequence[TaskFigures], load: Fraction, blocking: int) -> int:
    """No interval beyond fails if none up to it does.

    The shorter of two: where U·t + E + B meets t, and the synchronous busy period with blocking.
    At U = 1 the latter, which with blocking is endless; then the demand's own repetition.
    """
    if load < 1:
        meeting = ceil((excess_demand(tasks) + blocking) / (1 - load))
        limit = max(latest_start(tasks), meeting)
    else:
        limit = latest_repetition(tasks) + hyperperiod(tasks)
        if blocking:
            return limit
    released = tuple((wcet, period, 0) for wcet, period, _ in tasks)
    busy = demand_completion(blocking, released, limit=limit)
    return limit if busy is None else busy


def last_deadline_before(tasks: Sequence[TaskFigures], instant: int) -> int | None:
    """The latest deadline before an instant, of tasks all released at 0; None before the first."""
    latest: int | None = None
    for _wcet, period, deadline in tasks:
        if deadline < instant:
            found = (instant - 1 - deadline) // period * period + deadline
            if latest is None or found > latest:
                latest = found
    return latest

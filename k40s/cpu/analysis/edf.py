"""Earliest deadline first: on one core, and over the CPUs of one root domain.

One core: Baruah, Mok & Rosier, RTSS 1990: schedulable iff the demand of no interval exceeds its
length. Zhang & Burns, IEEE TC 2009 (QPA): the intervals are visited from the longest down, and each
demand skips all that are not shorter than itself. Model: sporadic tasks (C, T, D) of any D on one
core of speed 1, optional release jitter, and a blocking term that is the same for every interval.
Exact without blocking, sufficient with it.

Several CPUs with migration (global EDF): two sufficient tests for sporadic tasks (C, T, D ≤ T);
either will do. GFB: Goossens, Funk & Baruah 2003, with densities C/D for D < T (Bertogna, Cirinei &
Lipari, ECRTS 2005). BCL: Bertogna, Cirinei & Lipari, IEEE TPDS 2009, with slack. No exact test of
useful speed is known, and no result applies to a single CPU. A CPU counts with ``capacity`` of its
speed, because the rest is held back for others. Integers of one unit; sums are exact.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import ceil, lcm

from k40s.cpu.analysis.response_time import TaskParameters, demand_completion

MAX_POINTS = 10_000
"""Intervals examined; ordinary sets need fewer than a hundred. A set that needs more is refused,
so that no contract can occupy a daemon."""


def demand_bound(tasks: Sequence[TaskParameters], interval: int) -> int:
    """Demand of the jobs that are released and due in an interval of that length."""
    demand = 0
    for wcet, period, deadline in tasks:
        if interval >= deadline:
            demand += ((interval - deadline) // period + 1) * wcet
    return demand


def processor_demand_holds(
    tasks: Sequence[TaskParameters], blocking: int = 0, *, jitters: Sequence[int] = ()
) -> bool:
    """Whether every job of (C, T, D) meets its deadline under EDF on a core of its own.

    ``blocking`` is how long other threads may occupy the core within any interval, such as the
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


def demand_fits(
    tasks: Sequence[TaskParameters], horizon: int, time_for: Callable[[int], int]
) -> bool:
    """Whether the demand of every interval up to ``horizon`` is provided within it.

    ``time_for`` gives the shortest interval in which a demand is guaranteed. Intervals between
    that and the one examined have no more demand and are skipped.
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


def utilization(tasks: Sequence[TaskParameters]) -> Fraction:
    """ΣC/T."""
    return sum((Fraction(wcet, period) for wcet, period, _ in tasks), Fraction(0))


def excess_demand(tasks: Sequence[TaskParameters]) -> Fraction:
    """E with demand ≤ U·t + E for every interval t that is not shorter than any D − T."""
    return sum((Fraction(c * (t - d), t) for c, t, d in tasks), Fraction(0))


def latest_start(tasks: Sequence[TaskParameters]) -> int:
    """The longest D − T, or 0: no shorter interval has the demand that U·t + E bounds."""
    return max(0, *(deadline - period for _, period, deadline in tasks), 0)


def latest_repetition(tasks: Sequence[TaskParameters]) -> int:
    """The longest D, or 0: from there on all demand repeats with the hyperperiod."""
    return max(0, *(deadline for _, _, deadline in tasks), 0)


def hyperperiod(tasks: Sequence[TaskParameters]) -> int:
    """Least common multiple of all periods."""
    return lcm(*(period for _, period, _ in tasks))


def _horizon(tasks: Sequence[TaskParameters], load: Fraction, blocking: int) -> int:
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


def last_deadline_before(tasks: Sequence[TaskParameters], instant: int) -> int | None:
    """The latest deadline before an instant, of tasks all released at 0; None before the first."""
    latest: int | None = None
    for _wcet, period, deadline in tasks:
        if deadline < instant:
            found = (instant - 1 - deadline) // period * period + deadline
            if latest is None or found > latest:
                latest = found
    return latest


MAX_ROUNDS = 50
"""Rounds in which slacks may still grow; the slacks of every round are sound."""


def global_edf_holds(tasks: Sequence[TaskParameters], cpus: int, capacity: Fraction) -> bool:
    """Whether every job meets its deadline under global EDF on ``cpus`` equal CPUs.

    ΣC/T ≤ cpus·capacity always has to hold, which is also what the kernel tests.
    """
    if utilization(tasks) > cpus * capacity:
        return False
    return density_bound_holds(tasks, cpus, capacity) or interference_bound_holds(
        [(-(-c * capacity.denominator // capacity.numerator), t, d) for c, t, d in tasks], cpus
    )


def density_bound_holds(tasks: Sequence[TaskParameters], cpus: int, capacity: Fraction) -> bool:
    """GFB for tasks that keep their WCETs, with exact densities."""
    densities = [Fraction(wcet, min(period, deadline)) for wcet, period, deadline in tasks]
    largest = max(densities, default=Fraction(0))
    return gfb_holds(sum(densities, Fraction(0)), largest, cpus, capacity)


def gfb_holds(
    total: Fraction | int, largest: Fraction | int, cpus: int, speed: Fraction | int
) -> bool:
    """GFB: Σ C/D ≤ m·s − (m − 1)·max C/D, and max C/D ≤ s, on m CPUs of speed s.

    All in one unit: fractions, or integers that are rounded to the safe side.
    """
    return largest <= speed and total <= cpus * speed - (cpus - 1) * largest


def interference_bound_holds(tasks: Sequence[TaskParameters], cpus: int) -> bool:
    """BCL on CPUs of speed 1: no task can wait for longer than D − C.

    A job of τ_k waits only while all CPUs run jobs due no later. τ_i runs longest within that
    window with a deadline at its end: ⌊D_k/T_i⌋ whole jobs, and of the one before the part that
    is not done earlier, because it finishes at least its slack S_i before its deadline.
    """
    if any(wcet > deadline for wcet, _period, deadline in tasks):
        return False
    slacks: list[int | None] = [None] * len(tasks)
    for _ in range(MAX_ROUNDS):
        following = [_slack(index, tasks, slacks, cpus) for index in range(len(tasks))]
        if None not in following:
            return True
        if following == slacks:
            return False
        slacks = following
    return False


def _slack(
    index: int, tasks: Sequence[TaskParameters], slacks: Sequence[int | None], cpus: int
) -> int | None:
    """Guaranteed slack before its deadline of a task, or None if it may miss it."""
    wcet, _period, window = tasks[index]
    longest = window - wcet + 1
    interference = 0
    for other, (cost, interval, _deadline) in enumerate(tasks):
        if other != index:
            jobs, rest = divmod(window, interval)
            partial = min(cost, max(0, rest - (slacks[other] or 0)))
            interference += min(longest, jobs * cost + partial)
    waits = interference // cpus
    return window - wcet - waits if waits < longest else None

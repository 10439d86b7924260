"""Earliest deadline first over the CPUs of one root domain, between which threads migrate.

Two sufficient tests for sporadic tasks (C, T, D ≤ T); either will do. GFB: Goossens, Funk &
Baruah 2003, with densities C/D for D < T (Bertogna, Cirinei & Lipari, ECRTS 2005). BCL: Bertogna,
Cirinei & Lipari, IEEE TPDS 2009, with slack. No exact test of useful speed is known, and no
verdict speaks of a single CPU. A CPU counts with ``capacity`` of its speed, because the rest is
held back for others. Integers of one unit; sums are exact.
"""

from collections.abc import Sequence
from fractions import Fraction

from k40s.cpu.edf import utilization
from k40s.cpu.hierarchy import TaskFigures

MAX_ROUNDS = 50
"""Rounds in which slacks may still grow; the slacks of every round are sound."""


def holds(tasks: Sequence[TaskFigures], cpus: int, capacity: Fraction) -> bool:
    """Whether every job meets its deadline under global EDF on ``cpus`` equal CPUs.

    ΣC/T ≤ cpus·capacity always has to hold, which is also what the kernel tests.
    """
    if utilization(tasks) > cpus * capacity:
        return False
    return density_bound_holds(tasks, cpus, capacity) or interference_bound_holds(
        [(-(-c * capacity.denominator // capacity.numerator), t, d) for c, t, d in tasks], cpus
    )


def density_bound_holds(tasks: Sequence[TaskFigures], cpus: int, capacity: Fraction) -> bool:
    """GFB: Σ C/D ≤ m·s − (m − 1)·max C/D, on m CPUs of speed s = ``capacity``."""
    densities = [Fraction(wcet, min(period, deadline)) for wcet, period, deadline in tasks]
    largest = max(densities, default=Fraction(0))
    return largest <= capacity and sum(densities) <= cpus * capacity - (cpus - 1) * largest


def interference_bound_holds(tasks: Sequence[TaskFigures], cpus: int) -> bool:
    """BCL on CPUs of speed 1: no task can be kept waiting for longer than D − C.

    A job of τ_k waits only while all CPUs run jobs due no later. τ_i runs longest within that
    window with a deadline at its end: ⌊D_k/T_i⌋ whole jobs, and of the one before what is not
    done earlier, because it surely finishes its slack S_i before its deadline.
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
    index: int, tasks: Sequence[TaskFigures], slacks: Sequence[int | None], cpus: int
) -> int | None:
    """How long before its deadline a task surely finishes, or None if it may be late."""
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

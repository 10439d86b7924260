"""One deferrable server above periodic tasks: the classic single-level case.

Strosnider, Lehoczky & Sha, IEEE TC 44(1) 1995: a utilization bound for n tasks with D = T under
rate-monotonic priorities, below a deferrable server of the highest priority and the shortest
period; hyperbolic form after Bini & Buttazzo, IEEE TC 2003. Sufficient, a fast yes and never a no.
Exact for tasks released by an adversary: ``responses_below`` (Ghazalie & Baker 1995; Bernat &
Burns, RTSS 1999), for any deferrable servers above and D ≤ T. Enforcement is exact in this
literature; ``tick`` adds the term of docs/theory.md. Integers of one unit.
"""

from collections.abc import Sequence
from fractions import Fraction
from math import log, prod

from k40s.cpu.hierarchy import ServerFigures, TaskFigures
from k40s.cpu.response import demand_completion
from k40s.cpu.servers import deferrable


def tasks_bound(server_bandwidth: Fraction, tasks: int | None = None) -> float:
    """Greatest ΣC/T that ``tasks`` tasks below a server Q/P may always have; None is any number.

    For figures and comparison, hence a float.
    """
    ratio = float((server_bandwidth + 2) / (2 * server_bandwidth + 1))
    return log(ratio) if tasks is None else tasks * (ratio ** (1 / tasks) - 1)


def hyperbolic_bound_holds(tasks: Sequence[TaskFigures], server: ServerFigures) -> bool:
    """Whether Π(C/T + 1) ≤ (U + 2)/(2U + 1), U = Q/P, and the bound speaks of such tasks.

    True is a yes under rate-monotonic priorities and exact enforcement. False says nothing.
    """
    budget, period = server
    if any(deadline < interval or interval < period for _, interval, deadline in tasks):
        return False
    bandwidth = Fraction(budget, period)
    grown = prod((Fraction(wcet, interval) + 1 for wcet, interval, _ in tasks), start=Fraction(1))
    return grown <= (bandwidth + 2) / (2 * bandwidth + 1)


def responses_below(
    tasks: Sequence[TaskFigures], servers: Sequence[ServerFigures], tick: int = 0
) -> tuple[int, ...] | None:
    """Worst response times of tasks, most urgent first, below deferrable servers.

    None where one can be late.
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

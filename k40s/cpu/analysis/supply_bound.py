"""Supply bound functions: the least CPU time that a server provides in any interval.

PRM: periodic resource model (Shin & Lee, RTSS 2003). EDP: explicit deadline periodic model
(Easwaran, Anand, Lee, RTSS 2007); with its deadline set to a deferrable server's response time it
is that server's supply. They test by other means what ``server_tasks_response`` tests, more
pessimistically, and cross-check it. Sufficient for tasks in such a server; exact for the supply
itself. Integers of one unit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, lcm

from k40s.cpu.analysis.edf import (
    demand_fits,
    excess_demand,
    hyperperiod,
    latest_repetition,
    latest_start,
    utilization,
)
from k40s.cpu.analysis.response_time import MAX_STEPS, TaskParameters, load_within


@dataclass(frozen=True, slots=True, kw_only=True)
class Supply:
    """Budget Q by ``deadline`` Δ (Q ≤ Δ ≤ P) in each period P, checked every ``tick`` δ.

    Δ = P is the periodic resource model.
    """

    budget: int
    period: int
    deadline: int
    tick: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.budget <= self.deadline <= self.period or self.tick < 0:
            raise ValueError("a supply needs 0 < budget <= deadline <= period and tick >= 0")

    def bound(self, interval: int) -> int:
        """Least time provided in any interval of that length."""
        late = self.deadline - self.budget
        if interval < late:
            return 0
        periods = (interval - late) // self.period
        blackout = late + self.period - self.budget
        partial = max(0, interval - blackout - periods * self.period)
        return max(0, periods * self.budget + partial - self.tick)

    def time_for(self, demand: int) -> int:
        """Shortest interval in which ``demand`` > 0 is guaranteed."""
        needed = demand + self.tick
        full_periods = (needed - 1) // self.budget
        blackout = self.deadline + self.period - 2 * self.budget
        return blackout + full_periods * self.period + needed - full_periods * self.budget


def periodic_resource(budget: int, period: int, tick: int = 0) -> Supply:
    """The periodic resource model Γ(P, Q)."""
    return Supply(budget=budget, period=period, deadline=period, tick=tick)


def linear_bound(supply: Supply, interval: int) -> int:
    """Bounded-delay supply, rounded down (Mok, Feng, Chen 2001; Lipari & Bini 2003)."""
    delay = supply.period + supply.deadline - 2 * supply.budget
    provided = supply.budget * (interval - delay) // supply.period
    return max(0, provided - supply.tick)


def response_on(
    supply: Supply, task: TaskParameters, local: tuple[TaskParameters, ...], blocking: int = 0
) -> int | None:
    """Worst response time R ≤ D of a task under fixed priorities on a supply, or None.

    ``local`` are the tasks with the same or a higher priority on the same supply.
    """
    wcet, _period, deadline = task
    response = 1
    for _ in range(MAX_STEPS):
        demand = load_within(response, wcet + blocking, local)
        following = supply.time_for(demand)
        if following > deadline:
            return None
        if following <= response:
            return response
        response = following
    found = supply.time_for(load_within(deadline, wcet + blocking, local))
    return found if found <= deadline else None


def edf_holds(supply: Supply, tasks: Sequence[TaskParameters], blocking: int = 0) -> bool:
    """Whether tasks (C, T, D) meet their deadlines under EDF on a supply.

    Shin & Lee, RTSS 2003: the demand of every interval is provided within it. The horizon is the
    supply's own: where U·t + E + B meets the linear supply bound, or, if that is later or never,
    where demand and supply repeat together. The horizon of a dedicated processor is too short
    here, and a test with it accepts sets that miss.
    """
    load = utilization(tasks)
    share = Fraction(supply.budget, supply.period)
    if load > share:
        return False
    first = supply.deadline - supply.budget
    horizon = first + latest_repetition(tasks) + lcm(hyperperiod(tasks), supply.period)
    if load < share:
        delay = first + supply.period - supply.budget
        behind = excess_demand(tasks) + blocking + supply.tick + share * delay
        meeting = max(ceil(behind / (share - load)), latest_start(tasks))
        horizon = min(horizon, meeting)
    return demand_fits(tasks, horizon, lambda demand: supply.time_for(demand + blocking))

"""Mixed criticality in Vestal's sense: two WCETs for tasks of high criticality. Information only.

Nothing is admitted on these grounds: AMC and EDF-VD need a monitor that stops all LOW tasks at
the instant that a HI task exceeds its lower WCET, and from user space that takes milliseconds.
SMC and AMC-rtb: Baruah, Burns & Davis, RTSS 2011, for fixed priorities on one core and sporadic
tasks with D ≤ T; sufficient. EDF-VD: Baruah et al., ECRTS 2012, D = T; sufficient. Priorities by
Audsley 1991, which finds an order whenever one passes the test. Integers of one unit.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from k40s.cpu.analysis.response_time import Interference, demand_completion


@dataclass(frozen=True, slots=True, kw_only=True)
class DualTask:
    """A task with WCETs for both criticalities; LOW tasks have ``wcet_hi`` = ``wcet_low``."""

    wcet_low: int
    wcet_hi: int
    period: int
    deadline: int
    is_hi: bool

    def __post_init__(self) -> None:
        if not 0 < self.wcet_low <= self.wcet_hi or not 0 < self.deadline <= self.period:
            raise ValueError("a dual task needs 0 < wcet_low <= wcet_hi and 0 < deadline <= period")
        if not self.is_hi and self.wcet_low != self.wcet_hi:
            raise ValueError("a LOW task has one WCET")


LevelTest = Callable[[DualTask, Sequence[DualTask]], bool]
"""Whether a task meets its deadlines below others, whatever their order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptiveResponse:
    """Bounds of AMC-rtb: while no HI task exceeds ``wcet_low``, and across the switch."""

    low: int
    hi: int | None
    """None for LOW tasks, which the switch stops."""


def static_response(task: DualTask, above: Sequence[DualTask]) -> int | None:
    """SMC: R = C(L) + Σ ⌈R/T_j⌉·C_j(min(L, L_j)) ≤ D, or None. LOW budgets must be enforced.

    L is the task's own criticality.
    """
    rivals = tuple(
        (other.wcet_hi if task.is_hi else other.wcet_low, other.period, 0) for other in above
    )
    return demand_completion(task.wcet_hi, rivals, limit=task.deadline)


def adaptive_response(task: DualTask, above: Sequence[DualTask]) -> AdaptiveResponse | None:
    """AMC-rtb: LOW mode with lower WCETs; then HI rivals with theirs, LOW ones until R of LOW."""
    low = demand_completion(task.wcet_low, _interference(above, hi=False), limit=task.deadline)
    if low is None:
        return None
    if not task.is_hi:
        return AdaptiveResponse(low=low, hi=None)
    stopped = sum(-(-low // other.period) * other.wcet_low for other in above if not other.is_hi)
    rivals = _interference([other for other in above if other.is_hi], hi=True)
    hi = demand_completion(task.wcet_hi + stopped, rivals, limit=task.deadline)
    return None if hi is None else AdaptiveResponse(low=low, hi=hi)


def static_test(task: DualTask, above: Sequence[DualTask]) -> bool:
    """SMC as a test of one priority level."""
    return static_response(task, above) is not None


def adaptive_test(task: DualTask, above: Sequence[DualTask]) -> bool:
    """AMC-rtb as a test of one priority level."""
    return adaptive_response(task, above) is not None


def priority_order(tasks: Sequence[DualTask], test: LevelTest) -> tuple[int, ...] | None:
    """Indices of tasks from most to least urgent so that all pass, or None (Audsley)."""
    remaining = list(range(len(tasks)))
    lowest_first: list[int] = []
    while remaining:
        longest_first = sorted(remaining, key=lambda i: tasks[i].deadline, reverse=True)
        found = next((i for i in longest_first if _passes_below(i, remaining, tasks, test)), None)
        if found is None:
            return None
        lowest_first.append(found)
        remaining.remove(found)
    return tuple(reversed(lowest_first))


def virtual_deadline_factor(tasks: Sequence[DualTask]) -> Fraction | None:
    """EDF-VD: factor x that shortens HI deadlines in LOW mode; 1 for plain EDF, None if refused.

    D = T for all tasks, otherwise None.
    """
    if any(task.deadline != task.period for task in tasks):
        return None
    low = sum((Fraction(t.wcet_low, t.period) for t in tasks if not t.is_hi), Fraction(0))
    hi_low = sum((Fraction(t.wcet_low, t.period) for t in tasks if t.is_hi), Fraction(0))
    hi = sum((Fraction(t.wcet_hi, t.period) for t in tasks if t.is_hi), Fraction(0))
    if low + hi <= 1:
        return Fraction(1)
    if low >= 1:
        return None
    factor = hi_low / (1 - low)
    return factor if factor * low + hi <= 1 else None


def _interference(above: Sequence[DualTask], *, hi: bool) -> Interference:
    return tuple((t.wcet_hi if hi else t.wcet_low, t.period, 0) for t in above)


def _passes_below(
    index: int, remaining: Sequence[int], tasks: Sequence[DualTask], test: LevelTest
) -> bool:
    return test(tasks[index], [tasks[other] for other in remaining if other != index])

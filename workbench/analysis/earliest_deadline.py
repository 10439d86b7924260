"""Bare task sets under EDF on a core of their own."""

from fractions import Fraction

from k40s.cpu.analysis.edf import demand_bound, processor_demand_holds
from workbench.analysis.classic import (
    Analysis,
    ClassicReport,
    TaskResult,
    UnsuitableTestError,
    utilization,
)
from workbench.inputs.bare_task_set import BareTaskSet
from workbench.table import as_share, as_time

_MAX_LOOKED_AT = 20_000


def analyze_edf(given: BareTaskSet) -> ClassicReport:
    """The processor demand criterion, by QPA; exact without blocking."""
    if given.server is not None:
        raise UnsuitableTestError("the test edf knows no server (the field server): try prm")
    figures = [(task.wcet, task.period, task.deadline) for task in given.tasks]
    jitters = [task.jitter for task in given.tasks]
    blocking = max(task.blocking for task in given.tasks)
    holds = processor_demand_holds(figures, blocking, jitters=jitters)
    return ClassicReport(
        test=Analysis.EDF,
        model="EDF on one core",
        source="Baruah, Mok & Rosier, RTSS 1990; QPA: Zhang & Burns, IEEE TC 2009",
        strength="sufficient" if blocking else "exact",
        schedulable=holds,
        tasks=tuple(TaskResult(task=task, response=None, holds=holds) for task in given.tasks),
        facts=(("utilization", utilization(given.tasks)),),
        detail="" if holds else _why_not(given, blocking),
        by_deadline=True,
    )


def shortest_overload(given: BareTaskSet, blocking: int) -> tuple[int, int] | None:
    """The shortest interval with more demand than time, and that demand; None within the search.

    Intervals are looked at from the shortest up, a bounded number of them.
    """
    figures = [(t.wcet, t.period, t.deadline - t.jitter) for t in given.tasks]
    following = {index: deadline for index, (_, _, deadline) in enumerate(figures)}
    for _ in range(_MAX_LOOKED_AT):
        index = min(following, key=lambda key: following[key])
        interval = following[index]
        demand = demand_bound(figures, interval) + blocking
        if demand > interval:
            return interval, demand
        following[index] += figures[index][1]
    return None


def _why_not(given: BareTaskSet, blocking: int) -> str:
    if utilization(given.tasks) > 1:
        return f"the utilization, {as_share(utilization(given.tasks), Fraction(1))}, is above 1"
    found = shortest_overload(given, blocking)
    if found is None:
        return "some interval has more demand than time"
    interval, demand = found
    return f"jobs that arrive and are due within {as_time(interval)} can need {as_time(demand)}"

"""Processor demand agrees with exhaustive search, simulation and an independent analysis."""

from fractions import Fraction
from itertools import product
from math import lcm
from typing import cast

from hypothesis import given, settings
from hypothesis import strategies as st
from response_time_analysis import edf, model

from k40s.cpu.analysis.edf import (
    demand_bound,
    global_edf_holds,
    interference_bound_holds,
    processor_demand_holds,
    utilization,
)
from k40s.cpu.analysis.response_time import TaskParameters
from k40s.cpu.analysis.supply_bound import Supply, edf_holds, periodic_resource
from tests.oracles.unit_steps import earliest_deadline, periodic_jobs, run

AT_LEAST_400 = settings(max_examples=max(400, settings().max_examples))
PERIODS = (2, 3, 4, 5, 6, 8, 10, 12, 15)


def task_of(number: int, *, longest: int) -> TaskParameters:
    """A task (C, T, D), C ≤ T/2 + 1, D up to ``longest`` twelfths of T; one number for each."""
    number, index = divmod(number, len(PERIODS))
    period = PERIODS[index]
    number, wcet = divmod(number, period // 2 + 1)
    wcet += 1
    return min(wcet, period), period, wcet + number % max(1, period * longest // 12 - wcet + 1)


def sets(*, longest: int = 12, most: int = 4) -> st.SearchStrategy[tuple[TaskParameters, ...]]:
    one = st.integers(0, 50_000).map(lambda number: task_of(number, longest=longest))
    return st.lists(one, min_size=1, max_size=most).map(tuple)


def exceeds(tasks: tuple[TaskParameters, ...], jitters: tuple[int, ...], interval: int) -> int:
    """Demand of an interval, counted job by job."""
    return sum(
        wcet
        for (wcet, period, deadline), jitter in zip(tasks, jitters, strict=True)
        for release in range(0, interval + jitter + 1, period)
        if release + deadline <= interval + jitter
    )


@AT_LEAST_400
@given(sets(longest=24), st.sampled_from((0, 0, 1, 2, 3)), st.data())
def test_processor_demand_agrees_with_exhaustive_search(
    tasks: tuple[TaskParameters, ...], blocking: int, data: st.DataObject
) -> None:
    jitters = data.draw(st.tuples(*(st.sampled_from((0, 0, 1, 2)) for _ in tasks)))
    cycle = lcm(*(period for _, period, _ in tasks))
    intervals = range(2 * cycle + 40) if utilization(tasks) <= 1 else ()

    demands = ((exceeds(tasks, jitters, interval), interval) for interval in intervals)
    expected = utilization(tasks) <= 1 and all(
        demand == 0 or demand + blocking <= interval for demand, interval in demands
    )

    assert processor_demand_holds(tasks, blocking, jitters=jitters) is expected


@AT_LEAST_400
@given(sets())
def test_processor_demand_agrees_with_a_simulation(tasks: tuple[TaskParameters, ...]) -> None:
    until = lcm(*(period for _, period, _ in tasks)) + 15
    jobs = periodic_jobs(tasks, until)

    run(jobs, earliest_deadline, until)

    overload = utilization(tasks) > 1
    assert processor_demand_holds(tasks) is not (overload or any(job.late for job in jobs))


def independent(tasks: tuple[TaskParameters, ...], supply: model.IdealProcessor) -> bool:
    """Whether the package ``response-time-analysis`` finds all response times within D.

    Priorities are of no meaning to EDF, and keep equal tasks from being taken for one.
    """
    theirs = model.taskset(
        [
            model.Task(
                arrivals=model.Sporadic(period),
                execution=model.FullyPreemptive(model.WCET(wcet)),
                deadline=model.Deadline(deadline),
                priority=model.Priority(index),
            )
            for index, (wcet, period, deadline) in enumerate(tasks)
        ]
    )
    bounds = [edf.rta(theirs, task, supply, horizon=500).response_time_bound for task in theirs]
    return all(
        bound is not None and bound <= deadline
        for bound, (_, _, deadline) in zip(bounds, tasks, strict=True)
    )


@AT_LEAST_400
@given(sets())
def test_processor_demand_agrees_with_an_independent_analysis(
    tasks: tuple[TaskParameters, ...],
) -> None:
    assert processor_demand_holds(tasks) is independent(tasks, model.IdealProcessor())


@AT_LEAST_400
@given(sets(most=3), st.integers(1, 10), st.data())
def test_edf_on_a_supply_agrees_with_exhaustive_search(
    tasks: tuple[TaskParameters, ...], period: int, data: st.DataObject
) -> None:
    budget = data.draw(st.integers(1, period))
    supply = Supply(
        budget=budget,
        period=period,
        deadline=data.draw(st.integers(budget, period)),
        tick=data.draw(st.sampled_from((0, 0, 1, 2))),
    )
    cycle = lcm(period, *(interval for _, interval, _ in tasks))
    points = {
        deadline + release
        for _, interval, deadline in tasks
        for release in range(0, 2 * cycle + 50, interval)
    }

    expected = utilization(tasks) <= Fraction(budget, period) and all(
        demand_bound(tasks, point) <= supply.bound(point) for point in points
    )

    assert edf_holds(supply, tasks) is expected


class Adapter:
    """Our supply as the independent analysis wants it."""

    def __init__(self, supply: Supply) -> None:
        self.supply_bound = supply.bound

    def __call__(self, interval: int) -> int:
        return self.supply_bound(interval)


@given(sets(most=3), st.integers(2, 10), st.data())
def test_what_an_independent_analysis_accepts_on_a_supply_so_do_we(
    tasks: tuple[TaskParameters, ...], period: int, data: st.DataObject
) -> None:
    supply = periodic_resource(data.draw(st.integers(period // 2, period)), period)

    theirs = independent(tasks, cast("model.IdealProcessor", Adapter(supply)))

    assert edf_holds(supply, tasks) or not theirs


def test_the_horizon_of_a_dedicated_processor_would_accept_a_set_that_misses() -> None:
    tasks = ((2, 20, 20), (3, 30, 30), (1, 50, 50))
    supply = periodic_resource(2, 8)

    assert demand_bound(tasks, 60) == 13 > supply.bound(60) == 12
    assert not edf_holds(supply, tasks)


@AT_LEAST_400
@given(sets(most=5), st.sampled_from((2, 2, 3)), st.data())
def test_what_is_accepted_on_several_cpus_is_never_seen_to_miss(
    tasks: tuple[TaskParameters, ...], cpus: int, data: st.DataObject
) -> None:
    if not global_edf_holds(tasks, cpus, Fraction(1)):
        return
    until = min(300, lcm(*(period for _, period, _ in tasks))) + 30
    offsets = data.draw(st.tuples(*(st.sampled_from((0, 0, 1, 2, 5)) for _ in tasks)))

    for starts in ((0,) * len(tasks), offsets):
        jobs = periodic_jobs(tasks, until, starts)
        run(jobs, earliest_deadline, until, cpus)
        assert not any(job.late for job in jobs)


def test_the_interference_bound_is_sound_on_every_pattern_of_a_small_set() -> None:
    found = 0
    shapes = [(1, 3, 2), (1, 4, 3), (2, 4, 4), (2, 5, 3), (3, 5, 5)]
    for tasks in product(shapes, repeat=3):
        if interference_bound_holds(tasks, 2):
            found += 1
            for offsets in product(range(3), repeat=3):
                jobs = periodic_jobs(tasks, 65, offsets)
                run(jobs, earliest_deadline, 65, 2)
                assert not any(job.late for job in jobs)
    assert found > 20

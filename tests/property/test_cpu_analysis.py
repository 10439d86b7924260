"""Laws of the schedulability tests, and their agreement with an independent analysis."""

from dataclasses import dataclass
from typing import cast

from hypothesis import given, settings
from hypothesis import strategies as st
from response_time_analysis import fp, model

from k40s.cpu.analysis.deferrable_server import deferrable, largest_budget, server_response
from k40s.cpu.analysis.response_time import (
    Interference,
    TaskParameters,
    response_time,
    server_tasks_response,
)
from k40s.cpu.analysis.supply_bound import Supply, linear_bound, periodic_resource, response_on
from k40s.cpu.synthesis import least_budget, needed_share

AT_LEAST_400 = settings(max_examples=max(400, settings().max_examples))


@st.composite
def task_sets(draw: st.DrawFn, *, most: int = 4) -> tuple[TaskParameters, ...]:
    """Up to ``most`` tasks (C, T, D), from most to least urgent; half the sets are feasible."""
    tasks = []
    for _ in range(draw(st.integers(1, most))):
        period = draw(st.integers(4, 120))
        wcet = draw(st.integers(1, max(1, period * 2 // 5)))
        tasks.append((wcet, period, draw(st.integers(max(wcet, period // 2), period))))
    return tuple(tasks)


@st.composite
def servers_above(draw: st.DrawFn) -> Interference:
    """Up to three deferrable servers with at most a quarter of a CPU each."""
    above = []
    for _ in range(draw(st.integers(0, 3))):
        period = draw(st.integers(4, 40))
        above.append(deferrable(draw(st.integers(1, max(1, period // 4))), period))
    return tuple(above)


PERIODS = st.integers(2, 40)
TICKS = st.integers(0, 3)


@dataclass(frozen=True)
class Adapter:
    """Our supply as the independent analysis wants it."""

    supply: Supply

    def supply_bound(self, interval: int) -> int:
        return self.supply.bound(interval)

    def __call__(self, interval: int) -> int:
        return self.supply.bound(interval)


def independent(
    tasks: tuple[TaskParameters, ...], supply: model.IdealProcessor
) -> list[int | None]:
    """Response times within the deadlines by the package ``response-time-analysis``."""
    theirs = model.taskset(
        [
            model.Task(
                arrivals=model.Sporadic(period),
                execution=model.FullyPreemptive(model.WCET(wcet)),
                deadline=model.Deadline(deadline),
                priority=model.Priority(len(tasks) - index),
            )
            for index, (wcet, period, deadline) in enumerate(tasks)
        ]
    )
    found: list[int | None] = []
    for task, (_, _, deadline) in zip(theirs, tasks, strict=True):
        bound = fp.rta(theirs, task, supply, horizon=2_000).response_time_bound
        found.append(bound if bound is not None and bound <= deadline else None)
    return found


@AT_LEAST_400
@given(task_sets())
def test_flat_response_times_agree_with_an_independent_analysis(
    tasks: tuple[TaskParameters, ...],
) -> None:
    ours = [
        response_time(wcet=c, deadline=d, above=tuple((c2, t2, 0) for c2, t2, _ in tasks[:index]))
        for index, (c, _t, d) in enumerate(tasks)
    ]

    assert ours == independent(tasks, model.IdealProcessor())


@AT_LEAST_400
@given(task_sets(), st.integers(2, 12), st.data())
def test_response_times_on_a_periodic_resource_agree_with_an_independent_analysis(
    tasks: tuple[TaskParameters, ...], period: int, data: st.DataObject
) -> None:
    supply = periodic_resource(data.draw(st.integers(1 + period // 2, period)), period)

    ours = [response_on(supply, task, tasks[:index]) for index, task in enumerate(tasks)]

    assert ours == independent(tasks, cast("model.IdealProcessor", Adapter(supply)))


@given(PERIODS, TICKS, servers_above())
def test_the_largest_budget_is_the_largest_that_the_server_test_accepts(
    period: int, tick: int, above: Interference
) -> None:
    accepted = [
        q for q in range(1, period + 1) if server_response(q, period, above, tick) is not None
    ]

    assert largest_budget(period, above, tick) == max(accepted, default=0)
    assert accepted == list(range(1, len(accepted) + 1))


@given(task_sets(most=3), PERIODS, TICKS, servers_above())
def test_budgets_that_serve_the_tasks_form_an_interval_and_the_least_is_found(
    tasks: tuple[TaskParameters, ...], period: int, tick: int, above: Interference
) -> None:
    high = largest_budget(period, above, tick)

    serving = [
        q
        for q in range(1, high + 1)
        if server_tasks_response(tasks, (q, period), above, tick) is not None
    ]

    assert least_budget(tasks, (1, high), period, above, tick) == min(serving, default=None)
    assert serving == list(range(min(serving, default=high + 1), high + 1))
    assert not serving or needed_share(tasks, period) <= serving[0]


@given(task_sets(most=3), PERIODS, TICKS, servers_above(), st.data())
def test_less_demand_never_turns_yes_into_no(
    tasks: tuple[TaskParameters, ...],
    period: int,
    tick: int,
    above: Interference,
    data: st.DataObject,
) -> None:
    server = (data.draw(st.integers(1, period)), period)
    fits = server_response(*server, above, tick) is not None
    before = server_tasks_response(tasks, server, above, tick) if fits else None
    if before is None:
        return

    fewer = above[1:]
    gone = data.draw(st.integers(0, len(tasks) - 1))
    remaining = tasks[:gone] + tasks[gone + 1 :]
    wcet, interval, deadline = tasks[gone]
    lighter = (*tasks[:gone], (max(1, wcet - 1), interval, deadline), *tasks[gone + 1 :])
    rarer = (*tasks[:gone], (wcet, interval + 1, deadline), *tasks[gone + 1 :])

    assert server_response(*server, fewer, tick) is not None
    assert server_tasks_response(tasks, server, fewer, tick) is not None
    for easier in (remaining, lighter, rarer):
        assert server_tasks_response(easier, server, above, tick) is not None
    assert server_tasks_response(tasks, server, above, max(0, tick - 1)) is not None


@given(task_sets(most=3), PERIODS, TICKS, servers_above(), st.data())
def test_the_exact_tests_order_as_published(
    tasks: tuple[TaskParameters, ...],
    period: int,
    tick: int,
    above: Interference,
    data: st.DataObject,
) -> None:
    budget = data.draw(st.integers(1, period))
    received = server_response(budget, period, above, tick)
    if received is None:
        return
    hierarchical = server_tasks_response(tasks, (budget, period), above, tick)
    explicit = Supply(budget=budget, period=period, deadline=received, tick=tick)
    periodic = periodic_resource(budget, period, tick)

    for index, task in enumerate(tasks):
        by_explicit = response_on(explicit, task, tasks[:index])
        by_periodic = response_on(periodic, task, tasks[:index])
        assert by_periodic is None or (by_explicit is not None and by_explicit <= by_periodic)
        if hierarchical is not None and by_explicit is not None:
            assert hierarchical[index] <= by_explicit
    if all(response_on(explicit, t, tasks[:i]) is not None for i, t in enumerate(tasks)):
        assert hierarchical is not None


@given(st.integers(1, 20), st.integers(0, 10), st.integers(0, 20), TICKS, st.integers(1, 200))
def test_a_supply_bound_and_its_inverse_fit_together(
    budget: int, slack: int, rest: int, tick: int, demand: int
) -> None:
    supply = Supply(budget=budget, deadline=budget + slack, period=budget + slack + rest, tick=tick)

    needed = supply.time_for(demand)

    assert supply.bound(needed) == demand
    assert supply.bound(needed - 1) < demand
    assert linear_bound(supply, needed) <= supply.bound(needed)

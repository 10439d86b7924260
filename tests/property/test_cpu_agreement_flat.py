"""Response times without or below servers agree with a simulation of their critical instant."""

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from k40s.cpu.analysis.deferrable_server import hyperbolic_bound_holds, responses_below, tasks_bound
from k40s.cpu.analysis.response_time import ServerParameters, TaskParameters, response_time
from tests.oracles.unit_steps import Job, fixed_priority, periodic_jobs, run

AT_LEAST_400 = settings(max_examples=max(400, settings().max_examples))


@st.composite
def task_sets(draw: st.DrawFn, *, shortest: int = 3) -> tuple[TaskParameters, ...]:
    """Up to four tasks (C, T, D), from most to least urgent; half the sets are feasible."""
    tasks = []
    for number in draw(st.lists(st.integers(0, 20_000), min_size=1, max_size=4)):
        rest, longer = divmod(number, 38)
        period = shortest + longer
        wcet = 1 + rest % max(1, period * 2 // 5)
        tasks.append((wcet, period, max(wcet, period - rest % 5)))
    return tuple(tasks)


def firsts(jobs: list[Job], tasks: tuple[TaskParameters, ...], shift: int) -> list[int | None]:
    """Response times of the first jobs, None where they are late."""
    found: list[int | None] = []
    for index, (_, _, deadline) in enumerate(tasks):
        first = min((j for j in jobs if j.task == index + shift), key=lambda j: j.release)
        response = None if first.finish is None else first.finish - first.release
        found.append(response if response is not None and response <= deadline else None)
    return found


@AT_LEAST_400
@given(task_sets())
def test_flat_response_times_agree_with_unit_steps(tasks: tuple[TaskParameters, ...]) -> None:
    until = max(deadline for _, _, deadline in tasks)
    jobs = periodic_jobs([(c, t, 1) for c, t, _ in tasks], until + 1)

    run(jobs, fixed_priority, until)

    assert firsts(jobs, tasks, 0) == [
        response_time(wcet=c, deadline=d, above=tuple((a, b, 0) for a, b, _ in tasks[:index]))
        for index, (c, _, d) in enumerate(tasks)
    ]


@AT_LEAST_400
@given(task_sets(), st.integers(2, 12), st.data())
def test_response_times_below_a_deferrable_server_agree_with_unit_steps(
    tasks: tuple[TaskParameters, ...], period: int, data: st.DataObject
) -> None:
    budget = data.draw(st.integers(1, (period + 1) // 2))
    until = max(deadline for _, _, deadline in tasks)
    hits = [0, *range(budget, until, period)]
    server = [Job(task=0, release=hit, deadline=until, left=budget) for hit in hits]
    below = [
        Job(task=job.task + 1, release=job.release, deadline=job.deadline, left=job.left)
        for job in periodic_jobs([(c, t, 1) for c, t, _ in tasks], until + 1)
    ]

    run([*server, *below], fixed_priority, until)

    simulated = firsts(below, tasks, 1)
    found = responses_below(tasks, [(budget, period)])
    assert found == (None if None in simulated else tuple(simulated))


@given(task_sets(shortest=12), st.integers(1, 6), st.integers(6, 12))
def test_what_the_bounds_for_one_server_accept_meets_its_deadlines(
    tasks: tuple[TaskParameters, ...], budget: int, period: int
) -> None:
    implicit = tuple(sorted(((c, t, t) for c, t, _ in tasks), key=lambda task: task[1]))
    server: ServerParameters = (budget, period)
    load = sum(c / t for c, t, _ in implicit)

    by_sum = load <= tasks_bound(Fraction(budget, period), len(tasks)) - 1e-9
    hyperbolic = hyperbolic_bound_holds(implicit, server)

    assert hyperbolic or not by_sum
    assert responses_below(implicit, [server]) is not None or not hyperbolic

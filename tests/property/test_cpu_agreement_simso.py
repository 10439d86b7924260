"""Verdicts and response times agree with the simulator SimSo, at least 400 random sets each."""

from collections.abc import Sequence
from contextlib import redirect_stdout
from fractions import Fraction
from io import StringIO
from math import lcm
from random import Random
from warnings import catch_warnings, simplefilter

import pytest

with catch_warnings():
    simplefilter("ignore")
    from simso.configuration import Configuration
    from simso.core import Model

from k40s.cpu.analysis.edf import global_edf_holds, processor_demand_holds
from k40s.cpu.analysis.response_time import TaskParameters, response_time

SETS = 400
PERIODS = (3, 4, 6, 8, 12)


def random_set(chance: Random, most: int = 3) -> tuple[TaskParameters, ...]:
    """Two or more tasks (C, T, D), about half the sets schedulable."""
    tasks = []
    for _ in range(chance.randint(2, most)):
        period = chance.choice(PERIODS)
        wcet = chance.randint(1, max(1, period // 2))
        tasks.append((wcet, period, chance.randint(max(wcet, period // 2), period)))
    return tuple(tasks)


def simulated(
    tasks: Sequence[TaskParameters], scheduler: str, duration: int, cpus: int = 1
) -> list[list[tuple[int, int | None]]]:
    """(Deadline, response time or None) of every job, for each task; released from 0 on."""
    setup = Configuration()
    setup.cycles_per_ms = 1
    setup.duration = duration
    for index, (wcet, period, deadline) in enumerate(tasks):
        setup.add_task(
            name=f"t{index}",
            identifier=index + 1,
            period=period,
            wcet=wcet,
            deadline=deadline,
            abort_on_miss=False,
            data={"priority": len(tasks) - index},
        )
    for cpu in range(cpus):
        setup.add_processor(name=f"cpu{cpu}", identifier=cpu + 1)
    setup.scheduler_info.clas = scheduler
    setup.check_all()
    run = Model(setup)
    with redirect_stdout(StringIO()), catch_warnings():
        simplefilter("ignore")
        run.run_model()
    return [
        [
            (int(job.absolute_deadline), None if job.end_date is None else int(job.response_time))
            for job in task.jobs
        ]
        for task in run.results.tasks.values()
    ]


def misses(tasks: Sequence[TaskParameters], duration: int, cpus: int = 1) -> bool:
    """Whether a job due by the end was late under EDF."""
    found = simulated(tasks, "simso.schedulers.EDF", duration, cpus)
    return any(
        due <= duration and (response is None or response > deadline)
        for jobs, (_, _, deadline) in zip(found, tasks, strict=True)
        for due, response in jobs
    )


def test_response_times_under_fixed_priorities_agree() -> None:
    chance = Random(11)
    schedulable = 0

    for _ in range(SETS):
        tasks = random_set(chance)
        ours = [
            response_time(wcet=c, deadline=d, above=tuple((a, b, 0) for a, b, _ in tasks[:index]))
            for index, (c, _, d) in enumerate(tasks)
        ]
        firsts = [jobs[0] for jobs in simulated(tasks, "simso.schedulers.FP", 13)]

        theirs = [
            None if response is None or response > deadline else response
            for (_, response), (_, _, deadline) in zip(firsts, tasks, strict=True)
        ]
        assert ours == theirs, tasks
        schedulable += None not in ours

    assert SETS // 4 < schedulable < SETS * 3 // 4


def test_verdicts_under_earliest_deadline_first_agree() -> None:
    chance = Random(12)
    schedulable = 0

    for _ in range(SETS):
        tasks = random_set(chance)
        verdict = processor_demand_holds(tasks)
        assert verdict is not misses(tasks, lcm(*(period for _, period, _ in tasks)) + 1), tasks
        schedulable += verdict

    assert SETS // 4 < schedulable < SETS * 3 // 4


@pytest.mark.parametrize("cpus", [2, 3])
def test_what_is_accepted_on_several_cpus_does_not_miss(cpus: int) -> None:
    chance = Random(13)
    accepted = 0

    while accepted < 50:
        tasks = random_set(chance, most=3 + cpus)
        if global_edf_holds(tasks, cpus, Fraction(1)):
            accepted += 1
            assert not misses(tasks, 25, cpus), tasks

"""Mixed-criticality figures against simulated behaviours: HI tasks exceed their lower WCET or not.

Nothing is admitted by them; what they say of HI and LOW tasks has to be true all the same.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction
from random import Random

from k40s.cpu.analysis.mixed_criticality import (
    DualTask,
    adaptive_response,
    adaptive_test,
    priority_order,
    static_response,
    static_test,
    virtual_deadline_factor,
)
from tests.oracles.unit_steps import Job

DURATION = 240
PERIODS = (4, 5, 6, 8, 10, 12, 15, 20)

Urgency = Callable[[DualTask, Job, bool], tuple[Fraction | int, ...]]
"""Jobs with the least go first; the flag says whether HI tasks have exceeded their lower WCET."""


def random_tasks(chance: Random) -> list[DualTask]:
    tasks = []
    for _ in range(chance.randint(2, 4)):
        period = chance.choice(PERIODS)
        low = chance.randint(1, max(1, period // chance.choice((2, 4))))
        is_hi = chance.random() < 0.5
        high = min(period, chance.randint(low, 4 * low)) if is_hi else low
        tasks.append(
            DualTask(wcet_low=low, wcet_hi=high, period=period, deadline=period, is_hi=is_hi)
        )
    return tasks


def behave(
    tasks: Sequence[DualTask], urgency: Urgency, chance: Random, *, drops: bool, calm: bool = False
) -> list[Job]:
    """All jobs that count, after unit steps on one core.

    ``calm`` keeps HI tasks within the lower WCET. With ``drops``, LOW jobs are abandoned once one
    exceeds it, until the core is idle; what was abandoned does not count.
    """
    excess = chance.choice((0.0, 0.1, 0.5, 1.0)) * (not calm)
    waiting = _released(tasks, chance, excess)
    counted = list(waiting)
    ready: list[Job] = []
    exceeded = False
    for now in range(DURATION + 20):
        while waiting and waiting[-1].release <= now:
            ready.append(waiting.pop())
        if not ready:
            exceeded = False
            continue
        if exceeded and drops:
            abandoned = [job for job in ready if not tasks[job.task].is_hi]
            counted = [job for job in counted if job not in abandoned]
            ready = [job for job in ready if job not in abandoned]
            if not ready:
                exceeded = False
                continue
        job = min(ready, key=lambda job: urgency(tasks[job.task], job, exceeded))
        job.left -= 1
        job.ran += 1
        if not job.left:
            job.finish = now + 1
            ready.remove(job)
        elif tasks[job.task].is_hi and job.ran >= tasks[job.task].wcet_low:
            exceeded = True
    return counted


def _released(tasks: Sequence[DualTask], chance: Random, excess: float) -> list[Job]:
    """Jobs due within the duration, the latest release first."""
    jobs = []
    for index, task in enumerate(tasks):
        release = chance.choice((0, 0, chance.randrange(task.period)))
        while release + task.deadline <= DURATION:
            left = task.wcet_hi if chance.random() < excess else task.wcet_low
            deadline = release + task.deadline
            jobs.append(Job(task=index, release=release, deadline=deadline, left=left))
            release += task.period + chance.choice((0, 0, 0, chance.randrange(3)))
    return sorted(jobs, key=lambda job: job.release, reverse=True)


def by_order(order: Sequence[int]) -> Urgency:
    rank = {index: place for place, index in enumerate(order)}
    return lambda _task, job, _exceeded: (rank[job.task], job.release)


def by_virtual_deadline(factor: Fraction) -> Urgency:
    def urgency(task: DualTask, job: Job, exceeded: bool) -> tuple[Fraction | int, ...]:
        if task.is_hi and not exceeded:
            return (job.release + factor * task.deadline, job.task)
        return (job.deadline, job.task)

    return urgency


def late(jobs: Sequence[Job], tasks: Sequence[DualTask], *, hi_only: bool) -> list[Job]:
    return [job for job in jobs if job.late and (tasks[job.task].is_hi or not hi_only)]


def longest(jobs: Sequence[Job], task: int) -> int:
    return max((job.finish or DURATION) - job.release for job in jobs if job.task == task)


def test_fixed_priorities_with_enforced_low_budgets_keep_what_the_static_test_says() -> None:
    chance = Random(1)
    accepted = 0

    while accepted < 60:
        tasks = random_tasks(chance)
        order = priority_order(tasks, static_test)
        if order is None:
            continue
        accepted += 1
        for _ in range(5):
            jobs = behave(tasks, by_order(order), chance, drops=False)
            assert late(jobs, tasks, hi_only=True) == []
        calm = behave(tasks, by_order(order), chance, drops=False, calm=True)
        assert late(calm, tasks, hi_only=False) == []
        for place, index in enumerate(order):
            bound = static_response(tasks[index], [tasks[other] for other in order[:place]])
            assert bound is not None
            assert longest(calm, index) <= bound


def test_dropping_low_tasks_keeps_what_the_adaptive_test_says() -> None:
    chance = Random(2)
    accepted = 0

    while accepted < 60:
        tasks = random_tasks(chance)
        order = priority_order(tasks, adaptive_test)
        if order is None:
            assert priority_order(tasks, static_test) is None
            continue
        accepted += 1
        for _ in range(5):
            jobs = behave(tasks, by_order(order), chance, drops=True)
            assert late(jobs, tasks, hi_only=False) == []
            for place, index in enumerate(order):
                if tasks[index].is_hi:
                    bound = adaptive_response(tasks[index], [tasks[i] for i in order[:place]])
                    assert bound is not None
                    assert bound.hi is not None
                    assert longest(jobs, index) <= max(bound.low, bound.hi)


def test_the_adaptive_bound_of_a_hi_task_is_never_longer_than_the_static_one() -> None:
    chance = Random(6)
    sharper = 0

    for _ in range(2_000):
        task, *above = random_tasks(chance)
        static = static_response(task, above)
        if task.is_hi and static is not None:
            adaptive = adaptive_response(task, above)
            assert adaptive is not None
            assert adaptive.hi is not None
            assert adaptive.hi <= static
            sharper += adaptive.hi < static

    assert sharper > 10


def test_virtual_deadlines_keep_hi_tasks_in_time() -> None:
    chance = Random(3)
    accepted = shortened = 0

    while accepted < 80:
        tasks = random_tasks(chance)
        factor = virtual_deadline_factor(tasks)
        if factor is None:
            continue
        accepted += 1
        shortened += factor < 1
        for _ in range(5):
            jobs = behave(tasks, by_virtual_deadline(factor), chance, drops=True)
            assert late(jobs, tasks, hi_only=False) == []

    assert shortened > 10


def test_plain_deadlines_would_be_seen_to_miss_where_virtual_ones_are_needed() -> None:
    chance = Random(4)
    missed = False
    tried = 0

    while not missed:
        tried += 1
        assert tried < 600
        tasks = random_tasks(chance)
        factor = virtual_deadline_factor(tasks)
        if factor is not None and factor < 1:
            jobs = behave(tasks, by_virtual_deadline(Fraction(1)), chance, drops=True)
            missed = bool(late(jobs, tasks, hi_only=True))


def test_the_published_example_reaches_its_bounds() -> None:
    tasks = [
        DualTask(wcet_low=2, wcet_hi=4, period=10, deadline=10, is_hi=True),
        DualTask(wcet_low=3, wcet_hi=3, period=15, deadline=15, is_hi=False),
        DualTask(wcet_low=4, wcet_hi=8, period=30, deadline=30, is_hi=True),
    ]
    order = priority_order(tasks, adaptive_test)
    assert order is not None
    chance = Random(5)
    static = adaptive = calm = 0

    for _ in range(200):
        adaptive_jobs = behave(tasks, by_order((0, 1, 2)), chance, drops=True)
        static_jobs = behave(tasks, by_order((0, 1, 2)), chance, drops=False)
        calm_jobs = behave(tasks, by_order((0, 1, 2)), chance, drops=False, calm=True)
        virtual = behave(tasks, by_virtual_deadline(Fraction(1)), chance, drops=True)
        for jobs in (adaptive_jobs, calm_jobs, virtual):
            assert late(jobs, tasks, hi_only=False) == []
        assert late(static_jobs, tasks, hi_only=True) == []
        adaptive = max(adaptive, longest(adaptive_jobs, 2))
        static = max(static, longest(static_jobs, 2))
        calm = max(calm, longest(calm_jobs, 2))

    assert calm == 9
    assert 9 < adaptive <= 19
    assert 19 < static <= 26

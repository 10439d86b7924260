"""Jobs on equal CPUs, one unit of time after the other: slow, and too simple to be wrong."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from k40s.cpu.analysis.response_time import TaskParameters


@dataclass(slots=True, kw_only=True)
class Job:
    """One job; ``finish`` is None until it is done."""

    task: int
    release: int
    deadline: int
    left: int
    ran: int = 0
    finish: int | None = None

    @property
    def late(self) -> bool:
        """Whether it was done after its deadline, or not at all."""
        return self.finish is None or self.finish > self.deadline


Urgency = Callable[[Job], tuple[int, ...]]
"""Jobs with the least go first."""


def earliest_deadline(job: Job) -> tuple[int, ...]:
    return (job.deadline, job.task)


def fixed_priority(job: Job) -> tuple[int, ...]:
    """The first task is the most urgent one; jobs of a task in order."""
    return (job.task, job.release)


def periodic_jobs(
    tasks: Sequence[TaskParameters], until: int, offsets: Sequence[int] = ()
) -> list[Job]:
    """All jobs that are due by ``until``, released as early as ``offsets`` allow."""
    starts = offsets or (0,) * len(tasks)
    return [
        Job(task=index, release=release, deadline=release + deadline, left=wcet)
        for index, ((wcet, period, deadline), start) in enumerate(zip(tasks, starts, strict=True))
        for release in range(start, until - deadline + 1, period)
    ]


def run(jobs: Sequence[Job], urgency: Urgency, until: int, cpus: int = 1) -> None:
    """Serve the ``cpus`` most urgent jobs in each unit of time."""
    waiting = sorted(jobs, key=lambda job: job.release, reverse=True)
    ready: list[Job] = []
    for now in range(until):
        while waiting and waiting[-1].release <= now:
            ready.append(waiting.pop())
        ready.sort(key=urgency)
        for job in ready[:cpus]:
            job.left -= 1
            job.ran += 1
            if job.left == 0:
                job.finish = now + 1
        ready = [job for job in ready if job.left]

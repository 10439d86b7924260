"""Runs what admission grants for real: threads that obey, beside containers that do not."""

import json
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from random import Random

from k40s.cpu.model import CpuNode, Mechanism, Reservation, Task
from k40s.units import NS_PER_MS, NS_PER_S, NS_PER_US
from tests.kernel.deadline_scene import PREFIX
from tests.kernel.obedience import Spent, obeyed
from tests.kernel.soundness_stage import Stage
from tests.kernel.steal_log import StealLog
from tests.kernel.undisturbed import Pause, heartbeats
from workbench.analysis.bounds import bounds_of

MARGIN = 600 * NS_PER_US
"""What a worker's own code may take of a job's WCET; its busy loop takes the rest."""
_TRIES = 3
LEAD = 800 * NS_PER_MS
"""A worker has read its plan, and what that took of its budget is back, before the first job."""


@dataclass(frozen=True)
class Job:
    """Times in µs, but ``release`` in ns, ``steal`` and ``stalled`` in seconds.

    ``stalled`` is how long the host was seen to stand still, told as steal or not; ``obeyed``:
    ``obedience``.
    """

    pod: str
    task: str
    release: int
    response: float
    cpu: float
    wcet: float
    deadline: float
    bound: float
    steal: float
    stalled: float
    obeyed: bool

    @property
    def missed(self) -> bool:
        return self.response > self.deadline

    @property
    def broke_bound(self) -> bool:
        return self.response > self.bound


def act(stage: Stage, node: CpuNode, victim: str, *, seconds: float, seed: int) -> list[Job]:
    """One pod obeys, all others are rogues. The victim's jobs, with their bounds and the steal.

    Tried again while other programs have real-time threads, which hurt SCHED_FIFO (but never
    SCHED_DEADLINE); no jobs where they always have.
    """
    for _ in range(_TRIES):
        jobs, rivals = _act(stage, node, victim, seconds, seed)
        if not rivals:
            return jobs
        time.sleep(seconds)
    return []


def _act(
    stage: Stage, node: CpuNode, victim: str, seconds: float, seed: int
) -> tuple[list[Job], set[str]]:
    chance = Random(seed)
    with ExitStack() as undo:
        workers = stage.hold(node, undo)
        start = time.monotonic_ns() + LEAD
        end = start + round(seconds * NS_PER_S)
        beats = heartbeats(node.cores, real_time=False)
        with StealLog(node.cores, PREFIX) as steal, beats as pauses:
            for (held, task), worker in workers.items():
                plan = {
                    "start": start,
                    "end": end,
                    "burn": task.wcet - MARGIN,
                    "period": task.period,
                    "seed": chance.randrange(1 << 30),
                }
                role = "obey" if held.name.pod_uid == victim else "rogue"
                worker.say(f"{role} {json.dumps(plan)}")
            answers = {key: json.loads(worker.hear()) for key, worker in workers.items()}
        told = [*pauses, *(one["stalls"] for one in answers.values())]
        stalls = [(begin, end) for found in told for begin, end in found]
        of_one: defaultdict[object, list[Job]] = defaultdict(list)
        for (held, task), found in answers.items():
            judged = _judge(node, held.reservation, task, found["jobs"], steal, stalls)
            of_one[held.name] += judged
        jobs = [job for found in of_one.values() for job in _with_obedience(found)]
        suffers = any(held.mechanism is Mechanism.RT_CGROUP for held in node.reservations)
        return jobs, steal.rivals if suffers else set()


def _judge(
    node: CpuNode,
    held: Reservation,
    task: Task,
    jobs: Sequence[tuple[int, float, float]],
    steal: StealLog,
    stalls: Sequence[Pause],
) -> Iterator[Job]:
    bounds = {(b.reservation.key, b.reservation.pod_uid): b for b in bounds_of(node)}
    found = bounds[held.key, held.pod_uid].tasks[held.tasks.index(task)].response
    lag = max(r.server.period for r in node.reservations)
    for release, response, cpu in jobs:
        finish = release + round(response * NS_PER_US)
        yield Job(
            pod=held.pod_uid,
            task=task.name,
            release=release,
            response=response,
            cpu=cpu,
            wcet=task.wcet / NS_PER_US,
            deadline=task.deadline / NS_PER_US,
            bound=(found or task.deadline) / NS_PER_US,
            steal=steal.between(release - lag, finish),
            stalled=_stalled(stalls, release - lag, finish),
            obeyed=False,
        )


def _stalled(stalls: Sequence[Pause], start: int, end: int) -> float:
    """Seconds in which one of the stalls lay in that time; several may have seen the same."""
    parts = (min(end, until) - max(start, begin) for begin, until in stalls)
    return max(0, max(parts, default=0)) / NS_PER_S


def _with_obedience(jobs: Sequence[Job]) -> list[Job]:
    spent = [
        Spent(
            release=job.release,
            finish=job.release + round(job.response * NS_PER_US),
            cpu=round(job.cpu * NS_PER_US),
            wcet=round(job.wcet * NS_PER_US),
        )
        for job in jobs
    ]
    return [replace(job, obeyed=found) for job, found in zip(jobs, obeyed(spent), strict=True)]

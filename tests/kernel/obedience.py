"""Which jobs found their server as the analysis assumes: nothing overdrawn by it or before it."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spent:
    """One job of a reservation; all in ns, ``cpu`` from the thread's last sleep to its next."""

    release: int
    finish: int
    cpu: int
    wcet: int


def obeyed(jobs: Sequence[Spent]) -> list[bool]:
    """Of all jobs of one reservation: whether each may count on its bound.

    What a job takes beyond its WCET, its server owes to those that come after, until they have
    left as much of theirs. Who ran while something was owed may be late by that.
    """
    in_debt = _in_debt(jobs)
    return [not any(_overlap(job, debtor) for debtor in in_debt) for job in jobs]


def _in_debt(jobs: Sequence[Spent]) -> list[Spent]:
    owed = 0
    found = []
    for job in sorted(jobs, key=lambda job: job.release):
        before, owed = owed, max(0, owed + job.cpu - job.wcet)
        if before or owed:
            found.append(job)
    return found


def _overlap(one: Spent, other: Spent) -> bool:
    return one.release <= other.finish and other.release <= one.finish

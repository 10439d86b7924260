"""Budgets that a container never uses up while it keeps its contract.

Derived from the interference of deferrable servers (Bernat & Burns, RTSS 1999) and the workload
bound of Bertogna & Cirinei, RTSS 2007; docs/theory.md has the argument. A container within its
WCETs is never throttled, so its tasks wait for the servers above and for each other, not for a
budget; the servers bound what those above can do, kept contract or not. Model: tasks (C, T, D ≤ T)
under fixed priorities, in a deferrable server enforced exactly or by ticks δ. Sufficient. The
server's own test (``server_response``) is not needed: no budget has to be had within a period, it
only has to be there. Cheaper than ``k40s.cpu.budget`` where periods are alike, dearer where they
differ much, because the budget holds a whole job of every task. Integers of one unit.
"""

from collections.abc import Iterator, Sequence

from k40s.cpu.hierarchy import TaskFigures
from k40s.cpu.response import Interference, demand_completion


def least_budget(
    tasks: Sequence[TaskFigures], period: int, above: Interference, tick: int
) -> int | None:
    """Least budget with which a server of that period contains its tasks without throttling them.

    ``tasks`` from most to least urgent, ``above`` the servers that rank above. None where a task
    would miss its deadline, or the budget would exceed the period.
    """
    found = responses(tasks, above, tick)
    if found is None:
        return None
    budget = most_used(tasks, found, period + tick)
    return budget if budget <= period else None


def responses(
    tasks: Sequence[TaskFigures], above: Interference, tick: int
) -> tuple[int, ...] | None:
    """Worst response times of all tasks, most urgent first; None where one can be late.

    They hold in any server that has at least ``least_budget``.
    """
    found: list[int] = []
    for index, task in enumerate(tasks):
        response = task_response(task, tasks[:index], above, tick)
        if response is None:
            return None
        found.append(response)
    return tuple(found)


def task_response(
    task: TaskFigures, local: Sequence[TaskFigures], above: Interference, tick: int
) -> int | None:
    """Worst response time R ≤ D of a task that no budget stops, or None.

    ``local`` are the tasks of its server with the same or a higher priority, ``above`` the
    servers that do not rank below it; each of those overruns by a tick once.
    """
    wcet, _period, deadline = task
    rivals = (*((cost, interval, 0) for cost, interval, _ in local), *above)
    return demand_completion(wcet + tick * len(above), rivals, limit=deadline)


def contains(
    tasks: Sequence[TaskFigures], server: tuple[int, int], above: Interference, tick: int
) -> bool:
    """Whether a server (Q, P) is never used up by its tasks, and they meet their deadlines."""
    budget, period = server
    least = least_budget(tasks, period, above, tick)
    return least is not None and least <= budget


def settling_budget(
    tasks: Sequence[TaskFigures], period: int, above: Interference, tick: int
) -> int | None:
    """Least budget that contains tasks which may be behind when it is granted, or None.

    For a server whose budget was too small to contain them so far: its jobs were in time, and
    that is all. From the next refill on such a budget holds whatever jobs in time can use, and the
    overrun of before; and within the longest deadline from then, ``above`` being what interferes
    meanwhile, the backlog is gone (docs/theory.md, "Changing a live core").
    """
    limit = max(deadline for _wcet, _period, deadline in tasks)
    rivals = (*((wcet, interval, 0) for wcet, interval, _ in tasks), *above)
    backlog = sum(wcet for wcet, _period, _deadline in tasks)
    if demand_completion(backlog + tick * len(above), rivals, limit=limit) is None:
        return None
    budget = tick + most_used(tasks, [deadline for _, _, deadline in tasks], period + tick)
    return budget if budget <= period else None


def fitting_periods(
    tasks: Sequence[TaskFigures], found: Sequence[int], tick: int, longest: int
) -> Iterator[int]:
    """The longest periods up to ``longest`` for which some task has one more job to wait for.

    ``found`` are the response times. A longer period than one of these needs more budget at once,
    a shorter one no less until the job before has ended as well.
    """
    for (wcet, interval, _deadline), response in zip(tasks, found, strict=True):
        wait = tick + response - wcet
        first = wait // interval + 1
        for jobs in range(first, (longest + wait) // interval + 1):
            yield jobs * interval - wait


def most_used(tasks: Sequence[TaskFigures], found: Sequence[int], window: int) -> int:
    """Most that tasks with response times ``found`` run in any window of that length.

    The first job runs at the last moment, all later ones at once. For a server enforced by ticks
    the window is P + δ: what runs before a refill may be charged after it.
    """
    used = 0
    for (wcet, period, _deadline), response in zip(tasks, found, strict=True):
        jobs, rest = divmod(window + response - wcet, period)
        used += jobs * wcet + min(wcet, rest)
    return used

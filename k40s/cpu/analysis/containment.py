"""Budgets that contain a container, and response times where priorities of servers interleave.

Derived from the interference of deferrable servers (Bernat & Burns, RTSS 1999) and the workload
bound of Bertogna & Cirinei, RTSS 2007; docs/theory.md has the argument. A container within its
WCETs is never throttled, so its tasks wait for the servers above and for each other, not for a
budget; the servers bound the demand of those above, whether they keep their contract or not. Model:
tasks (C, T, D ≤ T) under fixed priorities, in a deferrable server enforced exactly or by ticks δ.
Sufficient. The server's own test (``server_response``) is not needed: the budget must exist, but
need not be received within each period. Cheaper than ``k40s.cpu.synthesis.least_budget`` where
periods are alike, dearer where they differ much, because the budget holds a whole job of every
task.

``core_responses``: where priorities of servers interleave or are equal. Linux serves the most
urgent ready thread of any group that is not throttled. So for a task of priority π the servers
above are those that hold any task of priority ≥ π, and for its less urgent neighbours there may be
more. Each task has its own servers above, each of which counts with its whole budget; with disjoint
bands the same as ``server_tasks_response``. Equal priorities interfere both ways. Integers of one
unit.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from k40s.cpu.analysis.deferrable_server import deferrable, server_response
from k40s.cpu.analysis.response_time import (
    Interference,
    ServerParameters,
    TaskParameters,
    at_or_above,
    demand_completion,
)
from k40s.cpu.analysis.response_time import (
    task_response as throttled_response,
)


def least_budget(
    tasks: Sequence[TaskParameters],
    period: int,
    above: Interference,
    tick: int,
    level_mates: int = 1,
) -> int | None:
    """Least budget with which a server of that period contains its tasks without throttling them.

    ``tasks`` from most to least urgent, the last ``level_mates`` of one priority; ``above`` the
    servers that do not rank below. None where a task would miss its deadline, or the budget would
    exceed the period.
    """
    found = responses(tasks, above, tick, level_mates)
    if found is None:
        return None
    budget = most_used(tasks, found, period + tick)
    return budget if budget <= period else None


def responses(
    tasks: Sequence[TaskParameters], above: Interference, tick: int, level_mates: int = 1
) -> tuple[int, ...] | None:
    """Worst response times of all tasks, most urgent first; None where one can miss its deadline.

    They hold in any server that has at least ``least_budget``. The last ``level_mates`` tasks
    have one priority.
    """
    found: list[int] = []
    ordered = tuple(tasks)
    for index, task in enumerate(ordered):
        local = ordered[:index] if level_mates == 1 else at_or_above(ordered, index, level_mates)
        response = task_response(task, local, above, tick)
        if response is None:
            return None
        found.append(response)
    return tuple(found)


def task_response(
    task: TaskParameters, local: Sequence[TaskParameters], above: Interference, tick: int
) -> int | None:
    """Worst response time R ≤ D of a task that is never throttled, or None.

    ``local`` are the tasks of its server with the same or a higher priority, ``above`` the
    servers that do not rank below it; each of those overruns by a tick once.
    """
    wcet, _period, deadline = task
    rivals = (*((cost, interval, 0) for cost, interval, _ in local), *above)
    return demand_completion(wcet + tick * len(above), rivals, limit=deadline)


def contains(
    tasks: Sequence[TaskParameters],
    server: tuple[int, int],
    above: Interference,
    tick: int,
    level_mates: int = 1,
) -> bool:
    """Whether a server (Q, P) is never used up by its tasks, and they meet their deadlines."""
    budget, period = server
    least = least_budget(tasks, period, above, tick, level_mates)
    return least is not None and least <= budget


def backlog_budget(
    tasks: Sequence[TaskParameters], period: int, above: Interference, tick: int
) -> int | None:
    """Least budget that contains tasks which may have a backlog when it is granted, or None.

    For a server whose budget did not contain them so far: its jobs met their deadlines, and nothing
    more is known. From the next replenishment on such a budget covers all that jobs in time can
    use, and the overrun of before. Within the longest deadline from then, with ``above`` as
    interference meanwhile, the backlog is gone (docs/theory.md, "Changing a live core").
    """
    limit = max(deadline for _wcet, _period, deadline in tasks)
    rivals = (*((wcet, interval, 0) for wcet, interval, _ in tasks), *above)
    backlog = sum(wcet for wcet, _period, _deadline in tasks)
    if demand_completion(backlog + tick * len(above), rivals, limit=limit) is None:
        return None
    budget = tick + most_used(tasks, [deadline for _, _, deadline in tasks], period + tick)
    return budget if budget <= period else None


def fitting_periods(
    tasks: Sequence[TaskParameters], found: Sequence[int], tick: int, longest: int
) -> Iterator[int]:
    """Candidate periods up to ``longest``: at each, one more job of some task enters the window.

    ``found`` are the response times. A longer period than one of these needs more budget at once,
    a shorter one no less until the job before has ended as well.
    """
    for (wcet, interval, _deadline), response in zip(tasks, found, strict=True):
        wait = tick + response - wcet
        first = wait // interval + 1
        for jobs in range(first, (longest + wait) // interval + 1):
            yield jobs * interval - wait


def most_used(tasks: Sequence[TaskParameters], found: Sequence[int], window: int) -> int:
    """Most that tasks with response times ``found`` run in any window of that length.

    The first job runs as late as it can, all later ones at once. For a server enforced by ticks
    the window is P + δ: what runs before a replenishment may be charged after it.
    """
    used = 0
    for (wcet, period, _deadline), response in zip(tasks, found, strict=True):
        jobs, rest = divmod(window + response - wcet, period)
        used += jobs * wcet + min(wcet, rest)
    return used


class Group(NamedTuple):
    """A server (Q, P) with its tasks (C, T, D) and their priorities, larger being more urgent."""

    server: ServerParameters
    tasks: tuple[TaskParameters, ...]
    priorities: tuple[int, ...]


def core_responses(
    groups: Sequence[Group], tick: int, always: Interference = ()
) -> tuple[tuple[int, ...], ...] | None:
    """Worst response times of all tasks of all groups, or None where one can miss its deadline.

    ``always`` is what pre-empts every group, such as SCHED_DEADLINE threads.
    """
    found: list[tuple[int, ...]] = []
    for index in range(len(groups)):
        responses = group_responses(index, groups, tick, always)
        if responses is None:
            return None
        found.append(responses)
    return tuple(found)


def group_responses(
    index: int, groups: Sequence[Group], tick: int, always: Interference = ()
) -> tuple[int, ...] | None:
    """Worst response times of the tasks of one group, or None where one can miss its deadline.

    Its budget either contains the tasks, or they are throttled by it (``server_tasks_response``).
    """
    server, tasks, priorities = groups[index]
    unthrottled: list[int] = []
    throttled: list[int] = []
    for own, priority in enumerate(priorities):
        local = tuple(
            task
            for other, task in enumerate(tasks)
            if other != own and priorities[other] >= priority
        )
        above = (*always, *_servers_above(index, priority, groups))
        free = task_response(tasks[own], local, above, tick)
        if free is None:
            return None
        unthrottled.append(free)
        if server_response(*server, above, tick) is not None:
            bound = throttled_response(tasks[own], local, server, above, tick)
            if bound is not None:
                throttled.append(bound)
    budget, period = server
    if most_used(tasks, unthrottled, period + tick) <= budget:
        return tuple(unthrottled)
    return tuple(throttled) if len(throttled) == len(tasks) else None


def _servers_above(index: int, priority: int, groups: Sequence[Group]) -> Interference:
    """The other groups that hold a task of at least that priority."""
    return tuple(
        deferrable(*group.server)
        for other, group in enumerate(groups)
        if other != index and max(group.priorities) >= priority
    )

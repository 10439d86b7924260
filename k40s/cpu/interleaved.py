"""Response times on a core where priorities of servers interleave, or are equal.

Linux serves the most urgent ready thread of any group that is not throttled. So for a task of
priority π the servers above are those that hold any task of priority ≥ π, and for its less urgent
neighbours there may be more. Davis & Burns, RTSS 2005, applied to each task with its own servers
above; every server above counts with its whole budget. Sufficient; with disjoint bands the same as
``k40s.cpu.hierarchy``. Equal priorities interfere both ways. Integers of one unit.
"""

from collections.abc import Sequence
from typing import NamedTuple

from k40s.cpu import containment
from k40s.cpu.hierarchy import ServerFigures, TaskFigures, task_response
from k40s.cpu.response import Interference
from k40s.cpu.servers import deferrable, server_response


class Group(NamedTuple):
    """A server (Q, P) with its tasks (C, T, D) and their priorities, larger being more urgent."""

    server: ServerFigures
    tasks: tuple[TaskFigures, ...]
    priorities: tuple[int, ...]


def core_responses(
    groups: Sequence[Group], tick: int, always: Interference = ()
) -> tuple[tuple[int, ...], ...] | None:
    """Worst response times of all tasks of all groups, or None where one can be late.

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
    """Worst response times of the tasks of one group, or None where one can be late.

    Its budget either contains the tasks (``k40s.cpu.containment``), or it is what they wait for.
    """
    server, tasks, priorities = groups[index]
    unstopped: list[int] = []
    stopped: list[int] = []
    for own, priority in enumerate(priorities):
        local = tuple(
            task
            for other, task in enumerate(tasks)
            if other != own and priorities[other] >= priority
        )
        above = (*always, *_servers_above(index, priority, groups))
        free = containment.task_response(tasks[own], local, above, tick)
        if free is None:
            return None
        unstopped.append(free)
        if server_response(*server, above, tick) is not None:
            bound = task_response(tasks[own], local, server, above, tick)
            if bound is not None:
                stopped.append(bound)
    budget, period = server
    if containment.most_used(tasks, unstopped, period + tick) <= budget:
        return tuple(unstopped)
    return tuple(stopped) if len(stopped) == len(tasks) else None


def _servers_above(index: int, priority: int, groups: Sequence[Group]) -> Interference:
    """The other groups that hold a task of at least that priority."""
    return tuple(
        deferrable(*group.server)
        for other, group in enumerate(groups)
        if other != index and max(group.priorities) >= priority
    )

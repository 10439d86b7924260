"""Response times of tasks inside a deferrable server.

Davis & Burns, "Hierarchical fixed priority pre-emptive scheduling", RTSS 2005, with the tick term
of docs/theory.md. Sound only together with ``server_response`` for the server itself: servers
above interfere explicitly in the last server period alone.

The published recurrence is not monotone, because the number k of full server periods jumps. It
is solved here in an equivalent form that is: a load L needs ``k·P + x`` with k = ⌈L/Q⌉ − 1, where x
is the time in which the last L − k·Q are received; x ≤ P by the server test, so more load never
takes less time, and the least fixed point is the first crossing of the published recurrence.
"""

from k40s.cpu.response import MAX_STEPS, Interference, demand_completion

TaskFigures = tuple[int, int, int]
"""A task as (C, T, D)."""


def task_response(
    task: TaskFigures,
    local: tuple[TaskFigures, ...],
    server: tuple[int, int],
    above: Interference,
    tick: int,
    *,
    start: int = 1,
) -> int | None:
    """Worst response time R ≤ D of a task in a server (Q, P); None where D can be missed.

    ``local`` are the tasks of the same server with the same or a higher priority, ``above`` the
    servers that do not rank below the task. ``start`` is any known lower bound of R.
    """
    wcet, _period, deadline = task
    budget, period = server
    own = wcet + tick
    blackout = period - budget
    response = start
    for _ in range(MAX_STEPS):
        load = own
        for cost, interval, _deadline in local:
            load -= -response // interval * cost
        full_periods = (load - 1) // budget
        before_last = blackout + full_periods * period
        last = load - full_periods * budget
        if above:
            last_response = demand_completion(
                last, above, limit=deadline - before_last, penalty=tick
            )
            if last_response is None:
                return None
            following = before_last + last_response
        else:
            following = before_last + last
        if following > deadline:
            return None
        if following <= response:
            return response
        response = following
    return None


def server_tasks_response(
    tasks: tuple[TaskFigures, ...],
    server: tuple[int, int],
    above: Interference,
    tick: int,
) -> tuple[int, ...] | None:
    """Worst response times of all tasks of a server, given from most to least urgent.

    None where one can miss its deadline. The server's own test is the caller's.
    """
    responses: list[int] = []
    response = 0
    for index, task in enumerate(tasks):
        least = response + task[0]
        found = task_response(task, tasks[:index], server, above, tick, start=least)
        if found is None:
            return None
        response = found
        responses.append(found)
    return tuple(responses)

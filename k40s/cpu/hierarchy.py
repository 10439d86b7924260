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
ServerFigures = tuple[int, int]
"""A server as (Q, P)."""


def provision_time(
    load: int, server: ServerFigures, above: Interference, tick: int, limit: int
) -> int | None:
    """Time in which a server surely provides ``load``, or None beyond ``limit``.

    The load comes just after the budget was used up as early as possible, so that it first waits
    P − Q; in its last server period it waits for the servers ``above``.
    """
    budget, period = server
    full_periods = (load - 1) // budget
    before_last = period - budget + full_periods * period
    last = load - full_periods * budget
    if above:
        received = demand_completion(last, above, limit=limit - before_last, penalty=tick)
        return None if received is None else before_last + received
    found = before_last + last
    return found if found <= limit else None


def load_within(window: int, wcet: int, local: tuple[TaskFigures, ...]) -> int:
    """C and all that ``local`` tasks can release in a window."""
    load = wcet
    for cost, period, _deadline in local:
        load -= -window // period * cost
    return load


def task_response(
    task: TaskFigures,
    local: tuple[TaskFigures, ...],
    server: ServerFigures,
    above: Interference,
    tick: int,
    *,
    start: int = 1,
) -> int | None:
    """Worst response time R ≤ D of a task in a server; None where D can be missed.

    ``local`` are the tasks of the same server with the same or a higher priority, ``above`` the
    servers that do not rank below the task. ``start`` is any known lower bound of R.
    """
    wcet, _period, deadline = task
    own = wcet + tick
    if not local:
        return provision_time(own, server, above, tick, deadline)
    response = start
    for _ in range(MAX_STEPS):
        load = load_within(response, own, local)
        following = provision_time(load, server, above, tick, deadline)
        if following is None or following <= response:
            return following
        response = following
    load = load_within(deadline, own, local)
    return provision_time(load, server, above, tick, deadline)


def server_tasks_response(
    tasks: tuple[TaskFigures, ...],
    server: ServerFigures,
    above: Interference,
    tick: int,
) -> tuple[int, ...] | None:
    """Worst response times of all tasks of a server, given from most to least urgent.

    None where one can miss its deadline. The server's own test is the caller's.
    """
    responses: list[int] = []
    response = 0
    for index, task in enumerate(tasks):
        found = task_response(task, tasks[:index], server, above, tick, start=response + task[0])
        if found is None:
            return None
        response = found
        responses.append(found)
    return tuple(responses)

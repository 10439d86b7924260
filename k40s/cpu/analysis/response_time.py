"""Response times under fixed priorities: of tasks alone, and of tasks inside a deferrable server.

Flat: Joseph & Pandya 1986, Audsley et al. 1993; exact for sporadic tasks with D ≤ T on one core.

In a server: Davis & Burns, "Hierarchical fixed priority pre-emptive scheduling", RTSS 2005, with
the tick term of docs/theory.md. Sound only together with ``server_response`` for the server itself:
servers above interfere explicitly in the last server period alone. The published recurrence is not
monotone, because the number k of full server periods jumps. It is solved here in an equivalent form
that is: a load L needs ``k·P + x`` with k = ⌈L/Q⌉ − 1, where x is the time in which the last
L − k·Q are received; x ≤ P by the server test, so more load never takes less time, and the least
fixed point is the first crossing of the published recurrence.

All numbers are plain integers of one unit; tasks are tuples, because these loops are the hot ones.
"""

MAX_STEPS = 200
"""Steps of a fixed-point iteration. Ordinary sets need fewer than twenty.

After that the limit itself is tried: either everything released up to it is served by then, which
is a sound bound though not the least one, or the set counts as not schedulable. So a contract with
a period of an hour above one of a millisecond cannot occupy a daemon.
"""

Interference = tuple[tuple[int, int, int], ...]
"""What pre-empts, each as (C, T, J): demand C at least T apart with release jitter J."""


def demand_completion(
    demand: int, above: Interference, *, limit: int, penalty: int = 0
) -> int | None:
    """Least x with x = demand + Σ (⌈(x + J)/T⌉·C + penalty) over ``above``; None beyond ``limit``.

    A larger bound, still within the limit, where the least is not found in ``MAX_STEPS``.

    ``penalty`` is δ, by which one budget of a tick-enforced server is overrun.
    """
    fixed = demand + len(above) * penalty
    window = fixed
    for cost, _period, _jitter in above:
        window += cost
    for _ in range(MAX_STEPS):
        if window > limit:
            return None
        following = fixed
        for cost, period, jitter in above:
            following -= -(window + jitter) // period * cost
        if following == window:
            return window
        window = following
    for cost, period, jitter in above:
        fixed -= -(limit + jitter) // period * cost
    return fixed if fixed <= limit else None


def response_time(
    *, wcet: int, deadline: int, above: Interference, blocking: int = 0, jitter: int = 0
) -> int | None:
    """Worst response time R ≤ ``deadline`` of a task, or None where the deadline can be missed."""
    window = demand_completion(wcet + blocking, above, limit=deadline - jitter)
    return None if window is None else window + jitter


TaskParameters = tuple[int, int, int]
"""A task as (C, T, D)."""
ServerParameters = tuple[int, int]
"""A server as (Q, P)."""


def provision_time(
    load: int, server: ServerParameters, above: Interference, tick: int, limit: int
) -> int | None:
    """Worst time in which a server provides ``load``, or None beyond ``limit``.

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


def at_or_above(
    tasks: tuple[TaskParameters, ...], index: int, level_mates: int
) -> tuple[TaskParameters, ...]:
    """The tasks of a server, most urgent first, that interfere with one of them.

    The last ``level_mates`` have one priority, and interfere both ways; 1 where all differ.
    """
    if index < len(tasks) - level_mates:
        return tasks[:index]
    return tasks[:index] + tasks[index + 1 :]


def load_within(window: int, wcet: int, local: tuple[TaskParameters, ...]) -> int:
    """C and all that ``local`` tasks can release in a window."""
    load = wcet
    for cost, period, _deadline in local:
        load -= -window // period * cost
    return load


def task_response(
    task: TaskParameters,
    local: tuple[TaskParameters, ...],
    server: ServerParameters,
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
    tasks: tuple[TaskParameters, ...],
    server: ServerParameters,
    above: Interference,
    tick: int,
    level_mates: int = 1,
) -> tuple[int, ...] | None:
    """Worst response times of all tasks of a server, given from most to least urgent.

    The last ``level_mates`` have one priority. None where one can miss its deadline. The
    caller tests the server itself.
    """
    responses: list[int] = []
    response = 0
    for index, task in enumerate(tasks):
        local = tasks[:index] if level_mates == 1 else at_or_above(tasks, index, level_mates)
        start = response + task[0] if index <= len(tasks) - level_mates else task[0]
        found = task_response(task, local, server, above, tick, start=start)
        if found is None:
            return None
        response = found
        responses.append(found)
    return tuple(responses)

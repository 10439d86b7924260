"""Which thread of a container is which task. Pure."""

from collections.abc import Mapping, Sequence

from daemons.rubicante.kernel.threads import NAME_BYTES, Thread


def match(
    tasks: Sequence[str],
    threads: Sequence[Thread],
    *,
    main: Thread | None,
    held: Mapping[str, Thread],
) -> dict[str, Thread]:
    """Task name → thread.

    ``threads`` live in the container or its budget group, ``main`` is the container's first
    thread, ``held`` the match before. A thread named like the task is preferred, the one held
    before others, then the oldest: a forked child bears its parent's name. Next comes the thread
    held before, whatever its name has become; last the main thread, where there is one task only.
    """
    matched: dict[str, Thread] = {}
    for task in tasks:
        named = [t for t in threads if t.name == task[:NAME_BYTES]]
        if named:
            matched[task] = min(named, key=lambda t: (not _is(t, held.get(task)), t.started, t.tid))
    for task in tasks:
        if task in matched:
            continue
        taken = {thread.tid for thread in matched.values()}
        known = [t for t in threads if _is(t, held.get(task)) and t.tid not in taken]
        if known:
            matched[task] = known[0]
        elif main is not None and len(tasks) == 1:
            matched[task] = main
    return matched


def rescan_delay(age: float) -> float:
    """Seconds until a container is looked at again for a task that it does not show yet.

    ``age`` is the time in seconds since its cgroup was first seen: a program starts within
    tens of milliseconds, names its threads within seconds, and may do so at any later time.
    """
    for limit, delay in ((0.3, 0.002), (1.0, 0.01), (10.0, 0.05)):
        if age < limit:
            return delay
    return SLOW_RESCAN


SLOW_RESCAN = 1.0
"""Seconds between looks at what is as it should be."""


def _is(thread: Thread, other: Thread | None) -> bool:
    return other is not None and (thread.tid, thread.started) == (other.tid, other.started)

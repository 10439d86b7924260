"""Reservations inside the published CPU state: one terse JSON array each, times in whole µs.

``[uid, core, criticality, Q, P, [priority, …], [[C, T, D], …], group]``; a task with a priority of
its own has it as a fourth number; ``group`` is present where the reservation shares a budget group.
A SCHED_DEADLINE reservation has one task and no priorities, and core -1 where its thread migrates.
Requested cores are not written: a reservation does not move.
"""

import re
from collections.abc import Collection

from k40s.cpu.model import (
    ANY_CORE,
    HIGHEST_PRIORITY,
    MAX_PERIOD,
    MIN_PERIOD,
    Mechanism,
    Reservation,
    Server,
    Task,
)
from k40s.criticality import Criticality
from k40s.strict_json import Json
from k40s.units import NS_PER_US, Nanoseconds

UID_LENGTH = 8
"""Characters of a pod's uid in a row."""
MAX_ROWS = 1024
HIGHEST_CORE = 9999
HIGHEST_GROUP = 9999

_UID = re.compile(r"[ -~]{1,8}", re.ASCII)


def format_reservation(held: Reservation) -> list[object]:
    """One row. Raises ``ValueError`` for a time that is not whole microseconds."""
    tasks: list[list[int]] = []
    for task in held.tasks:
        times = [_micros(task.wcet), _micros(task.period), _micros(task.deadline)]
        tasks.append(times if task.priority is None else [*times, task.priority])
    row: list[object] = [
        held.pod_uid[:UID_LENGTH],
        held.core,
        held.criticality.name,
        _micros(held.server.budget),
        _micros(held.server.period),
        list(held.priorities),
        tasks,
    ]
    if held.group is not None:
        row.append(held.group)
    return row


def _micros(time: Nanoseconds) -> int:
    whole, rest = divmod(time, NS_PER_US)
    if rest:
        raise ValueError(f"{time} ns is not a whole number of microseconds")
    return whole


def read_reservations(place: Json, cores: Collection[int]) -> tuple[Reservation, ...]:
    """Read all rows; containers and tasks, whose names are not written, are numbered.

    ``cores`` are those of the node, with ``ANY_CORE`` where it has a shared root domain.
    """
    rows = place.items(at_most=MAX_ROWS)
    return tuple(_read_row(row, f"c{index}", cores) for index, row in enumerate(rows))


def read_uid(place: Json) -> str:
    """Read the written prefix of a pod's uid."""
    return place.text(_UID, "the beginning of a pod's uid")


def _read_row(row: Json, container: str, cores: Collection[int]) -> Reservation:
    uid, core, criticality, budget, period, priorities, tasks, *group = row.items(
        at_least=7, at_most=8
    )
    levels = priorities.items(at_most=HIGHEST_PRIORITY)
    count = len(levels) or 1
    number = core.integer(ANY_CORE, HIGHEST_CORE)
    if number not in cores or (number == ANY_CORE and levels):
        raise core.invalid("a core of the node")
    if group and not levels:
        raise group[0].invalid("no group, because the row has no priorities")
    if criticality.value not in ("LOW", "HI"):
        raise criticality.invalid('"LOW" or "HI"')
    length = period.integer(1, MAX_PERIOD // NS_PER_US)
    return Reservation(
        pod_uid=read_uid(uid),
        container=container,
        core=number,
        criticality=Criticality[str(criticality.value)],
        server=Server(budget=_nanos(budget.integer(1, length)), period=_nanos(length)),
        tasks=tuple(
            _read_task(task, f"t{index}")
            for index, task in enumerate(tasks.items(at_least=count, at_most=count))
        ),
        priorities=tuple(level.integer(1, HIGHEST_PRIORITY) for level in levels),
        mechanism=Mechanism.RT_CGROUP if levels else Mechanism.DEADLINE,
        group=group[0].integer(0, HIGHEST_GROUP) if group else None,
    )


def _read_task(row: Json, name: str) -> Task:
    wcet, period, deadline, *rest = row.items(at_least=3, at_most=4)
    longest = period.integer(MIN_PERIOD // NS_PER_US, MAX_PERIOD // NS_PER_US)
    relative = deadline.integer(1, longest)
    return Task(
        name=name,
        wcet=_nanos(wcet.integer(1, relative)),
        period=_nanos(longest),
        deadline=_nanos(relative),
        priority=rest[0].integer(1, HIGHEST_PRIORITY) if rest else None,
    )


def _nanos(micros: int) -> Nanoseconds:
    return Nanoseconds(micros * NS_PER_US)

"""A bare task set for the classic analyses: tasks on one core, or inside one given server."""

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction

from k40s.cpu.model import HIGHEST_PRIORITY, MAX_PERIOD
from k40s.criticality import Criticality
from k40s.strict_json import Json
from k40s.units import Nanoseconds, format_duration
from workbench.node_file import read_tick

MAX_TASKS = 256
MAX_SERVERS = 64

_FIELDS = ("deadline", "priority", "jitter", "blocking", "criticality", "wcet_hi")
_NAME = re.compile(r"[!-~](?:[ -~]{0,61}[!-~])?", re.ASCII)


class Scheduling(StrEnum):
    """What orders the tasks of a set."""

    FIXED_PRIORITY = "fp"
    EDF = "edf"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainTask:
    """τ = (C, T, D ≤ T) with release jitter J, blocking B and, for mixed criticality, C(HI).

    Larger ``priority`` is more urgent; it is the deadline's (deadline-monotonic) where the file
    states none.
    """

    name: str
    wcet: Nanoseconds
    period: Nanoseconds
    deadline: Nanoseconds
    priority: int
    jitter: Nanoseconds
    blocking: Nanoseconds
    criticality: Criticality | None
    wcet_hi: Nanoseconds | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainServer:
    """A server (Q, P) as it was written."""

    budget: Nanoseconds
    period: Nanoseconds

    @property
    def share(self) -> Fraction:
        """Q/P."""
        return Fraction(self.budget, self.period)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainSet:
    """Tasks, the server that they share (None: the whole core), and the servers above it."""

    tasks: tuple[PlainTask, ...]
    server: PlainServer | None
    above: tuple[PlainServer, ...]
    tick: Nanoseconds
    scheduling: Scheduling


def read_plain_set(field: dict[str, Json]) -> PlainSet:
    """Read the fields of a bare task set's file. Raises the place's error."""
    tick = read_tick(field["tick"]) if "tick" in field else Nanoseconds(0)
    server = _read_server(field["server"]) if "server" in field else None
    if "above" in field and server is None:
        raise field["above"].invalid("a field server, above which these rank")
    above = field["above"].items(at_most=MAX_SERVERS) if "above" in field else []
    return PlainSet(
        tasks=_read_tasks(field["tasks"]),
        server=server,
        above=tuple(_read_server(place) for place in above),
        tick=tick,
        scheduling=_read_scheduling(field.get("scheduling")),
    )


def _read_tasks(place: Json) -> tuple[PlainTask, ...]:
    items = place.items(at_least=1, at_most=MAX_TASKS)
    stated = [item for item in items if "priority" in item.members()]
    if stated and len(stated) != len(items):
        lacking = next(item for item in items if "priority" not in item.members())
        raise lacking.invalid("a priority for every task, or for none", found="no priority")
    tasks = [_read_task(item) for item in items]
    names = [task.name for task in tasks]
    for item, name in zip(items, names, strict=True):
        if names.count(name) > 1:
            raise item.members()["name"].invalid("a name used once")
    if stated:
        return tuple(tasks)
    return _deadline_monotonic(tasks)


def _deadline_monotonic(tasks: list[PlainTask]) -> tuple[PlainTask, ...]:
    """Give the shortest deadline the highest priority; among equals the first in the file."""
    order = sorted(range(len(tasks)), key=lambda index: (tasks[index].deadline, index))
    levels = {index: len(tasks) - rank for rank, index in enumerate(order)}
    return tuple(replace(task, priority=levels[index]) for index, task in enumerate(tasks))


def _read_task(place: Json) -> PlainTask:
    field = place.fields(("name", "wcet", "period"), _FIELDS)
    period = _at_most(field["period"], MAX_PERIOD, "")
    deadline = (
        _at_most(field["deadline"], period, "the period, ") if "deadline" in field else period
    )
    wcet = _at_most(field["wcet"], deadline, "the deadline, ")
    criticality = _read_criticality(field["criticality"]) if "criticality" in field else None
    wcet_hi = _read_wcet_hi(field.get("wcet_hi"), wcet, deadline, criticality)
    return PlainTask(
        name=field["name"].text(_NAME, "a task's name: 1 to 63 printable ASCII characters"),
        wcet=wcet,
        period=period,
        deadline=deadline,
        priority=field["priority"].integer(1, HIGHEST_PRIORITY) if "priority" in field else 0,
        jitter=_up_to(field.get("jitter"), period),
        blocking=_up_to(field.get("blocking"), deadline),
        criticality=criticality,
        wcet_hi=wcet_hi,
    )


def _read_wcet_hi(
    place: Json | None,
    wcet: Nanoseconds,
    deadline: Nanoseconds,
    criticality: Criticality | None,
) -> Nanoseconds | None:
    """C(HI) of a HI task, at least its C and at most its deadline."""
    if place is None:
        return None
    if criticality is not Criticality.HI:
        raise place.invalid("no such field, or criticality HI")
    value = place.duration()
    if not wcet <= value <= deadline:
        raise place.invalid(
            f"at least the wcet, {format_duration(wcet)}, "
            f"and at most the deadline, {format_duration(deadline)}"
        )
    return value


def _read_criticality(place: Json) -> Criticality:
    if place.value not in ("LOW", "HI"):
        raise place.invalid("LOW or HI")
    return Criticality[str(place.value)]


def _read_server(place: Json) -> PlainServer:
    field = place.fields(("budget", "period"))
    period = _at_most(field["period"], MAX_PERIOD, "")
    budget = _at_most(field["budget"], period, "the period, ")
    return PlainServer(budget=budget, period=period)


def _read_scheduling(place: Json | None) -> Scheduling:
    if place is None:
        return Scheduling.FIXED_PRIORITY
    if place.value not in tuple(map(str, Scheduling)):
        raise place.invalid(f"one of {', '.join(Scheduling)}")
    return Scheduling(str(place.value))


def _at_most(place: Json, limit: Nanoseconds, what: str) -> Nanoseconds:
    value = place.duration()
    if value > limit:
        raise place.invalid(f"at most {what}{format_duration(limit)}")
    return value


def _up_to(place: Json | None, limit: Nanoseconds) -> Nanoseconds:
    """A duration that may be left out: it is zero then."""
    return Nanoseconds(0) if place is None else _at_most(place, limit, "")

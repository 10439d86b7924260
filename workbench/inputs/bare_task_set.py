"""A bare task set for the classic analyses: tasks on one core, or inside one given server."""

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction

from k40s.cpu.model import HIGHEST_PRIORITY, MAX_PERIOD
from k40s.criticality import Criticality
from k40s.strict_json import Json
from k40s.units import Nanoseconds, format_duration
from workbench.inputs.node_file import read_tick

MAX_TASKS = 256
MAX_SERVERS = 64

_FIELDS = ("deadline", "priority", "jitter", "blocking", "criticality", "wcet_hi")
_NAME = re.compile(r"[!-~](?:[ -~]{0,61}[!-~])?", re.ASCII)


class Scheduling(StrEnum):
    """The scheduling policy of a task set."""

    FIXED_PRIORITY = "fp"
    EDF = "edf"


@dataclass(frozen=True, slots=True, kw_only=True)
class BareTask:
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
class BareServer:
    """A server (Q, P) as it was written."""

    budget: Nanoseconds
    period: Nanoseconds

    @property
    def share(self) -> Fraction:
        """Q/P."""
        return Fraction(self.budget, self.period)


@dataclass(frozen=True, slots=True, kw_only=True)
class BareTaskSet:
    """Tasks, the server that they share (None: the whole core), and the servers above it."""

    tasks: tuple[BareTask, ...]
    server: BareServer | None
    above: tuple[BareServer, ...]
    tick: Nanoseconds
    scheduling: Scheduling


def read_bare_task_set(field: dict[str, Json]) -> BareTaskSet:
    """Read the fields of a bare task set's file. Raises the element's error."""
    tick = read_tick(field["tick"]) if "tick" in field else Nanoseconds(0)
    server = _read_server(field["server"]) if "server" in field else None
    for name, use in (("above", "above which these rank"), ("tick", "whose budget it enforces")):
        if name in field and server is None:
            raise field[name].invalid(f"a field server, {use}")
    scheduling = _read_scheduling(field.get("scheduling"))
    above = field["above"].items(at_most=MAX_SERVERS) if "above" in field else []
    return BareTaskSet(
        tasks=_read_tasks(field["tasks"], scheduling),
        server=server,
        above=tuple(_read_server(element) for element in above),
        tick=tick,
        scheduling=scheduling,
    )


def _read_tasks(element: Json, scheduling: Scheduling) -> tuple[BareTask, ...]:
    items = element.items(at_least=1, at_most=MAX_TASKS)
    stated = [item for item in items if "priority" in item.members()]
    if stated and scheduling is Scheduling.EDF:
        raise stated[0].members()["priority"].invalid("no priorities: EDF goes by deadlines")
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


def _deadline_monotonic(tasks: list[BareTask]) -> tuple[BareTask, ...]:
    """Give the shortest deadline the highest priority; among equals the first in the file."""
    order = sorted(range(len(tasks)), key=lambda index: (tasks[index].deadline, index))
    levels = {index: len(tasks) - rank for rank, index in enumerate(order)}
    return tuple(replace(task, priority=levels[index]) for index, task in enumerate(tasks))


def _read_task(element: Json) -> BareTask:
    field = element.fields(("name", "wcet", "period"), _FIELDS)
    period = _at_most(field["period"], MAX_PERIOD, "")
    deadline = (
        _at_most(field["deadline"], period, "the period, ") if "deadline" in field else period
    )
    wcet = _at_most(field["wcet"], deadline, "the deadline, ")
    criticality = _read_criticality(field["criticality"]) if "criticality" in field else None
    wcet_hi = _read_wcet_hi(field.get("wcet_hi"), wcet, deadline, criticality)
    return BareTask(
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
    element: Json | None,
    wcet: Nanoseconds,
    deadline: Nanoseconds,
    criticality: Criticality | None,
) -> Nanoseconds | None:
    """C(HI) of a HI task, at least its C and at most its deadline."""
    if element is None:
        return None
    if criticality is not Criticality.HI:
        raise element.invalid("no such field, or criticality HI")
    value = element.duration()
    if not wcet <= value <= deadline:
        raise element.invalid(
            f"at least the wcet, {format_duration(wcet)}, "
            f"and at most the deadline, {format_duration(deadline)}"
        )
    return value


def _read_criticality(element: Json) -> Criticality:
    if element.value not in ("LOW", "HI"):
        raise element.invalid("LOW or HI")
    return Criticality[str(element.value)]


def _read_server(element: Json) -> BareServer:
    field = element.fields(("budget", "period"))
    period = _at_most(field["period"], MAX_PERIOD, "")
    budget = _at_most(field["budget"], period, "the period, ")
    return BareServer(budget=budget, period=period)


def _read_scheduling(element: Json | None) -> Scheduling:
    if element is None:
        return Scheduling.FIXED_PRIORITY
    if element.value not in tuple(map(str, Scheduling)):
        raise element.invalid(f"one of {', '.join(Scheduling)}")
    return Scheduling(str(element.value))


def _at_most(element: Json, limit: Nanoseconds, what: str) -> Nanoseconds:
    value = element.duration()
    if value > limit:
        raise element.invalid(f"at most {what}{format_duration(limit)}")
    return value


def _up_to(element: Json | None, limit: Nanoseconds) -> Nanoseconds:
    """A duration that may be left out: it is zero then."""
    return Nanoseconds(0) if element is None else _at_most(element, limit, "")

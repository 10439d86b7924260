"""Granted servers as readable JSON: in the pod's annotation, and in rubicante's answers."""

import re
from collections.abc import Mapping, Sequence

from k40s.annotations.keys import ALLOCATION_KEY
from k40s.annotations.reservation_rows import HIGHEST_CORE, HIGHEST_GROUP
from k40s.cpu.model import (
    ANY_CORE,
    HIGHEST_PRIORITY,
    MIN_PERIOD,
    Mechanism,
    Reservation,
    Server,
    Task,
)
from k40s.criticality import Criticality
from k40s.errors import InvalidAnnotationError
from k40s.strict_json import Json, format_json, read_json
from k40s.units import format_duration

_VERSION = 2
_FIRST_VERSION = 1
"""Knew one rt-cgroup server per container; what it wrote is read as such."""
_ANY = "any"
_MAX_SERVERS = 64
_NAME = re.compile(r"[ -~]{1,63}", re.ASCII)


def format_allocation(granted: Sequence[Reservation]) -> str:
    """Write what one pod was granted, as the annotation ``status.k40s.io/cpu``.

    Raises ``ValueError`` when nothing was granted or the reservations are not of one pod.
    """
    if len({(held.pod_uid, held.criticality) for held in granted}) != 1:
        raise ValueError("an allocation holds the reservations of one pod, and at least one")
    return format_json(
        {
            "v": _VERSION,
            "criticality": granted[0].criticality.name,
            "servers": [server_json(held) for held in granted],
        }
    )


def parse_allocation(text: str, *, pod_uid: str) -> tuple[Reservation, ...]:
    """Read the annotation of the pod with that uid. Raises ``InvalidAnnotationError``."""
    whole = read_json(text, source=ALLOCATION_KEY, error=InvalidAnnotationError)
    field = whole.fields(("v", "criticality", "servers"))
    field["v"].integer(_FIRST_VERSION, _VERSION)
    criticality = read_real_time_criticality(field["criticality"])
    servers = field["servers"].items(at_least=1, at_most=_MAX_SERVERS)
    granted = tuple(
        read_server(server, pod_uid=pod_uid, criticality=criticality) for server in servers
    )
    require_distinct(granted, servers)
    return granted


def require_distinct(granted: Sequence[Reservation], places: Sequence[Json]) -> None:
    """Raise the place's error where a task of a container is served twice."""
    served: set[tuple[str, str, str]] = set()
    for held, place in zip(granted, places, strict=True):
        mine = {(held.pod_uid, held.container, task.name) for task in held.tasks}
        if len(mine) != len(held.tasks) or not served.isdisjoint(mine):
            raise place.invalid("each task of a container once")
        served |= mine


def core_name(core: int) -> int | str:
    """A core as text has it: its number, or "any" where threads migrate."""
    return _ANY if core == ANY_CORE else core


def server_json(held: Reservation) -> dict[str, object]:
    """One reservation without its pod: container, mechanism, core, server, tasks.

    A budget group that is shared has its number; each task of an rt-cgroup has its priority.
    """
    written: dict[str, object] = {
        "container": held.container,
        "mechanism": held.mechanism.value,
        "core": core_name(held.core),
        "budget": format_duration(held.server.budget),
        "period": format_duration(held.server.period),
    }
    if held.group is not None:
        written["group"] = held.group
    tasks = [resolved_task_json(task) for task in held.tasks]
    for task, level in zip(tasks, held.priorities, strict=bool(held.priorities)):
        task["rt_priority"] = level
    return written | {"tasks": tasks}


def read_server(place: Json, *, pod_uid: str, criticality: Criticality) -> Reservation:
    """Read what ``server_json`` wrote; raises the place's error."""
    field = place.fields(("container", "core", "budget", "period", "tasks"), ("mechanism", "group"))
    mechanism = Mechanism.RT_CGROUP
    if "mechanism" in field:
        mechanism = field["mechanism"].member_of(Mechanism)
    period = field["period"].duration()
    budget = field["budget"].duration()
    if budget > period:
        raise field["budget"].invalid(f"at most the period, {format_duration(period)}")
    grouped = mechanism is Mechanism.RT_CGROUP
    if "group" in field and not grouped:
        raise field["group"].invalid("no group, because the server is of no rt-cgroup")
    most = HIGHEST_PRIORITY if grouped else 1
    tasks = field["tasks"].items(at_least=1, at_most=most)
    return Reservation(
        pod_uid=pod_uid,
        container=field["container"].text(_NAME, "a container's name"),
        core=_read_core(field["core"], mechanism),
        criticality=criticality,
        server=Server(budget=budget, period=period),
        tasks=tuple(_read_task(task, mechanism) for task in tasks),
        priorities=tuple(
            task.members()["rt_priority"].integer(1, HIGHEST_PRIORITY) for task in tasks if grouped
        ),
        mechanism=mechanism,
        group=field["group"].integer(0, HIGHEST_GROUP) if "group" in field else None,
    )


def read_real_time_criticality(place: Json) -> Criticality:
    """LOW or HI; raises the place's error."""
    if place.value not in ("LOW", "HI"):
        raise place.invalid('"LOW" or "HI"')
    return Criticality[str(place.value)]


def resolved_task_json(task: Task) -> dict[str, object]:
    """One task with its WCET for the node's platform."""
    written: dict[str, object] = {
        "name": task.name,
        "wcet": format_duration(task.wcet),
        "period": format_duration(task.period),
        "deadline": format_duration(task.deadline),
    }
    if task.priority is not None:
        written["priority"] = task.priority
    if task.core is not None:
        written["core"] = task.core
    return written


def read_resolved_task(place: Json) -> Task:
    """Read what ``resolved_task_json`` wrote; raises the place's error."""
    return _read_figures(
        place, place.fields(("name", "wcet", "period", "deadline"), ("priority", "core"))
    )


def _read_core(place: Json, mechanism: Mechanism) -> int:
    if place.value == _ANY and mechanism is Mechanism.DEADLINE:
        return ANY_CORE
    return place.integer(0, HIGHEST_CORE)


def _read_task(place: Json, mechanism: Mechanism) -> Task:
    required = ["name", "wcet", "period", "deadline"]
    if mechanism is Mechanism.RT_CGROUP:
        required.append("rt_priority")
    return _read_figures(place, place.fields(required, ("priority", "core")))


def _read_figures(place: Json, field: Mapping[str, Json]) -> Task:
    try:
        return Task(
            name=field["name"].text(_NAME, "a task's name"),
            wcet=field["wcet"].duration(),
            period=field["period"].duration(),
            deadline=field["deadline"].duration(),
            priority=field["priority"].integer(1, HIGHEST_PRIORITY)
            if "priority" in field
            else None,
            core=field["core"].integer(0, HIGHEST_CORE) if "core" in field else None,
        )
    except ValueError:
        lowest = format_duration(MIN_PERIOD)
        raise place.invalid(
            f"wcet <= deadline <= period, and a period of {lowest} to 3600s"
        ) from None

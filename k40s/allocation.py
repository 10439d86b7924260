"""Granted servers as readable JSON: in the pod's annotation, and in rubicante's answers."""

import re
from collections.abc import Sequence

from k40s.annotations.keys import ALLOCATION_KEY
from k40s.cpu.model import HIGHEST_PRIORITY, MIN_PERIOD, Reservation, Server, Task
from k40s.criticality import Criticality
from k40s.errors import InvalidAnnotationError
from k40s.strict_json import Json, format_json, read_json
from k40s.units import format_duration

_VERSION = 1
_MAX_SERVERS = 64
_MAX_CORE = 9999
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
    field["v"].integer(_VERSION, _VERSION)
    criticality = read_real_time_criticality(field["criticality"])
    servers = field["servers"].items(at_least=1, at_most=_MAX_SERVERS)
    return tuple(
        read_server(server, pod_uid=pod_uid, criticality=criticality) for server in servers
    )


def server_json(held: Reservation) -> dict[str, object]:
    """One reservation without its pod: container, core, server, tasks with their priorities."""
    tasks: list[dict[str, object]] = []
    for task, level in zip(held.tasks, held.priorities, strict=True):
        written: dict[str, object] = {
            "name": task.name,
            "wcet": format_duration(task.wcet),
            "period": format_duration(task.period),
            "deadline": format_duration(task.deadline),
            "rt_priority": level,
        }
        if task.priority is not None:
            written["priority"] = task.priority
        tasks.append(written)
    return {
        "container": held.container,
        "core": held.core,
        "budget": format_duration(held.server.budget),
        "period": format_duration(held.server.period),
        "tasks": tasks,
    }


def read_server(place: Json, *, pod_uid: str, criticality: Criticality) -> Reservation:
    """Read what ``server_json`` wrote; raises the place's error."""
    field = place.fields(("container", "core", "budget", "period", "tasks"))
    period = field["period"].duration()
    budget = field["budget"].duration()
    if budget > period:
        raise field["budget"].invalid(f"at most the period, {format_duration(period)}")
    tasks = field["tasks"].items(at_least=1, at_most=HIGHEST_PRIORITY)
    read = [_read_task(task) for task in tasks]
    return Reservation(
        pod_uid=pod_uid,
        container=field["container"].text(_NAME, "a container's name"),
        core=field["core"].integer(0, _MAX_CORE),
        criticality=criticality,
        server=Server(budget=budget, period=period),
        tasks=tuple(task for task, _ in read),
        priorities=tuple(level for _, level in read),
    )


def read_real_time_criticality(place: Json) -> Criticality:
    """LOW or HI; raises the place's error."""
    if place.value not in ("LOW", "HI"):
        raise place.invalid('"LOW" or "HI"')
    return Criticality[str(place.value)]


def _read_task(place: Json) -> tuple[Task, int]:
    field = place.fields(("name", "wcet", "period", "deadline", "rt_priority"), ("priority",))
    try:
        task = Task(
            name=field["name"].text(_NAME, "a task's name"),
            wcet=field["wcet"].duration(),
            period=field["period"].duration(),
            deadline=field["deadline"].duration(),
            priority=field["priority"].integer(1, HIGHEST_PRIORITY)
            if "priority" in field
            else None,
        )
    except ValueError:
        lowest = format_duration(MIN_PERIOD)
        raise place.invalid(
            f"wcet <= deadline <= period, and a period of {lowest} to 3600s"
        ) from None
    return task, field["rt_priority"].integer(1, HIGHEST_PRIORITY)

"""Pods as a task-set file lists them: name, criticality, containers with their tasks.

A task has the fields that it has in the annotation ``k40s.io/tasks``, and the same rules.
"""

import re
from dataclasses import dataclass

from k40s.annotations import read_tasks
from k40s.annotations.workload import MAX_TASKS
from k40s.cpu.model import Mechanism
from k40s.cpu.workload import TaskContract, Workload
from k40s.criticality import Criticality
from k40s.strict_json import Json

MAX_PODS = 500
MAX_CONTAINERS = 64

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?", re.ASCII)
_CONTAINER = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """A pod to admit; its name stands for its uid."""

    name: str
    workload: Workload


def read_pods(element: Json) -> tuple[Pod, ...]:
    """Read the section ``pods``. Raises the element's error."""
    pods: list[Pod] = []
    for item in element.items(at_least=1, at_most=MAX_PODS):
        pod = _read_pod(item)
        if pod.name in {other.name for other in pods}:
            raise item.members()["name"].invalid("a name used once")
        pods.append(pod)
    return tuple(pods)


def _read_pod(element: Json) -> Pod:
    field = element.fields(("name", "criticality", "containers"), ("enforcement",))
    name = field["name"].text(_NAME, "a pod's name")
    criticality = _read_criticality(field["criticality"])
    tasks: list[TaskContract] = []
    seen: set[str] = set()
    for container in field["containers"].items(at_least=1, at_most=MAX_CONTAINERS):
        parts = container.fields(("name", "tasks"))
        title = parts["name"].text(_CONTAINER, "a container's name")
        if title in seen:
            raise parts["name"].invalid("a name used once per pod")
        seen.add(title)
        tasks += read_tasks(parts["tasks"], criticality=criticality, containers=(title,))
    if len(tasks) > MAX_TASKS:
        raise field["containers"].invalid(
            f"at most {MAX_TASKS} tasks in a pod", found=f"{len(tasks)} tasks"
        )
    mechanism = _read_mechanism(field["enforcement"]) if "enforcement" in field else None
    workload = Workload(criticality=criticality, tasks=tuple(tasks), mechanism=mechanism)
    return Pod(name=name, workload=workload)


def _read_criticality(element: Json) -> Criticality:
    if element.value not in ("LOW", "HI"):
        raise element.invalid("LOW or HI")
    return Criticality[str(element.value)]


def _read_mechanism(element: Json) -> Mechanism:
    words = [str(mechanism) for mechanism in Mechanism]
    if element.value not in words:
        raise element.invalid(f"one of {', '.join(words)}")
    return Mechanism(str(element.value))

"""A pod's contract: criticality and real-time tasks, parsed from labels and annotations."""

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from k40s.annotations.keys import CRITICALITY_KEY, ENFORCEMENT_KEY, TASKS_KEY
from k40s.annotations.reservation_rows import HIGHEST_CORE
from k40s.cpu.model import HIGHEST_PRIORITY, MAX_PERIOD, MIN_PERIOD, Mechanism
from k40s.cpu.workload import TaskContract, WcetTable, Workload
from k40s.criticality import Criticality, parse_criticality
from k40s.errors import InvalidAnnotationError
from k40s.strict_json import MAX_TEXT, Json, read_json
from k40s.units import Nanoseconds, format_duration

MAX_TASKS = 32
"""Of a pod."""
MAX_TASKS_OF_CONTAINER = 16
MAX_TASKS_TEXT = 16 * 1024
"""Longest annotation with tasks, in characters."""
MAX_TASKS_HELD = 64
"""Of a pod that was admitted under an older, larger limit; its contract is still read."""
MAX_PLATFORMS = 64

CRITICALITY_FORM = 'one of "NO", "LOW", "HI"'
TASK_NAME = re.compile(r"[!-~](?:[ -~]{0,13}[!-~])?", re.ASCII)
CONTAINER_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
PLATFORM = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Containers:
    """A pod's containers, by kind; None where they are not known."""

    ordinary: Collection[str] | None
    sidecars: Collection[str]
    initial: Collection[str]


def read_workload(
    *,
    labels: Mapping[str, str],
    annotations: Mapping[str, str],
    containers: Collection[str] | None = None,
    sidecars: Collection[str] = (),
    init_containers: Collection[str] = (),
    held: bool = False,
) -> Workload:
    """Read a pod's contract; a pod without our keys is a workload of criticality NO.

    ``containers`` are the names of the pod's containers, where known: a task may omit its
    container when there is exactly one, and may not name one that is absent. ``sidecars`` are
    init containers that run beside them (restartPolicy Always): a task may name one.
    ``init_containers`` are those that end before, which have no task. ``held`` reads the contract
    of a pod that runs already, which may be larger than a new one (``read_tasks``).
    Raises ``InvalidAnnotationError``.
    """
    criticality = _read_criticality(labels, annotations)
    text = annotations.get(TASKS_KEY)
    mechanism = _read_enforcement(annotations.get(ENFORCEMENT_KEY), tasks=text)
    if text is None:
        return Workload(criticality=criticality)
    if criticality is Criticality.NO:
        raise InvalidAnnotationError(
            source=CRITICALITY_KEY,
            path="$",
            found=annotations.get(CRITICALITY_KEY, labels.get(CRITICALITY_KEY)),
            expected=f'"LOW" or "HI", because the pod has real-time tasks in {TASKS_KEY}',
        )
    tasks = read_tasks(
        read_json(
            text,
            source=TASKS_KEY,
            error=InvalidAnnotationError,
            at_most=MAX_TEXT if held else MAX_TASKS_TEXT,
        ),
        criticality=criticality,
        containers=containers,
        sidecars=sidecars,
        init_containers=init_containers,
        held=held,
    )
    return Workload(criticality=criticality, tasks=tasks, mechanism=mechanism)


def parse_tasks(
    value: object,
    *,
    source: str,
    criticality: Criticality,
    containers: Collection[str] | None = None,
) -> tuple[TaskContract, ...]:
    """Read a decoded JSON list of tasks. Raises ``InvalidAnnotationError``."""
    place = Json(value=value, source=source, error=InvalidAnnotationError)
    return read_tasks(place, criticality=criticality, containers=containers)


def read_tasks(
    place: Json,
    *,
    criticality: Criticality,
    containers: Collection[str] | None = None,
    sidecars: Collection[str] = (),
    init_containers: Collection[str] = (),
    held: bool = False,
) -> tuple[TaskContract, ...]:
    """Read the list of tasks that stands at a place. Raises the place's error.

    The number of tasks is bounded, because each takes priorities, a row of the published state and
    steps of every later analysis, whatever its bandwidth; ``held`` takes the bound of before.
    """
    known = _Containers(ordinary=containers, sidecars=sidecars, initial=init_containers)
    contracts: list[TaskContract] = []
    named: set[tuple[str, str]] = set()
    number = len(place.value) if isinstance(place.value, list) else 0
    if number > MAX_TASKS and not held:
        raise place.invalid(f"at most {MAX_TASKS} tasks in a pod", found=f"{number} tasks")
    for item in place.items(at_least=1, at_most=MAX_TASKS_HELD):
        contract = _read_task(item, criticality, known)
        if (contract.container, contract.name) in named:
            raise item.members()["name"].invalid("a name used once per container")
        named.add((contract.container, contract.name))
        contracts.append(contract)
    counts = Counter(contract.container for contract in contracts)
    for container, number in counts.items():
        if number > MAX_TASKS_OF_CONTAINER and not held:
            raise place.invalid(
                f"at most {MAX_TASKS_OF_CONTAINER} tasks in a container",
                found=f'{number} tasks in container "{container}"',
            )
    return tuple(contracts)


def task_json(contract: TaskContract) -> dict[str, object]:
    """The JSON object of a task, such that ``parse_tasks`` gives back the same contract."""
    wcet: object
    if contract.wcet.by_platform is not None:
        wcet = {name: format_duration(time) for name, time in contract.wcet.by_platform.items()}
    else:
        wcet = format_duration(contract.wcet.baseline or 0)
    written: dict[str, object] = {
        "name": contract.name,
        "container": contract.container,
        "period": format_duration(contract.period),
        "deadline": format_duration(contract.deadline),
        "wcet": wcet,
    }
    if contract.priority is not None:
        written["priority"] = contract.priority
    if contract.core is not None:
        written["core"] = contract.core
    return written


def _read_enforcement(text: str | None, *, tasks: str | None) -> Mechanism | None:
    if text is None:
        return None
    place = Json(value=text, source=ENFORCEMENT_KEY, error=InvalidAnnotationError)
    if tasks is None:
        raise place.invalid(f"no such annotation on a pod without {TASKS_KEY}")
    return place.member_of(Mechanism)


def _read_criticality(labels: Mapping[str, str], annotations: Mapping[str, str]) -> Criticality:
    annotation = annotations.get(CRITICALITY_KEY)
    label = labels.get(CRITICALITY_KEY)
    text = annotation if annotation is not None else label
    if text is None:
        return Criticality.NO
    if label is not None and label != text:
        raise InvalidAnnotationError(
            source=f"label {CRITICALITY_KEY}",
            path="$",
            found=label,
            expected="the same as the annotation, or no such label",
        )
    try:
        return parse_criticality(text)
    except ValueError:
        raise InvalidAnnotationError(
            source=CRITICALITY_KEY, path="$", found=text, expected=CRITICALITY_FORM
        ) from None


def _read_task(place: Json, criticality: Criticality, containers: _Containers) -> TaskContract:
    field = place.fields(("name", "period", "wcet"), ("deadline", "container", "priority", "core"))
    period = field["period"].duration()
    if not MIN_PERIOD <= period <= MAX_PERIOD:
        raise field["period"].invalid(
            f"{format_duration(MIN_PERIOD)} to {format_duration(MAX_PERIOD)}"
        )
    deadline = field["deadline"].duration() if "deadline" in field else period
    if deadline > period:
        raise field["deadline"].invalid(f"at most the period, {format_duration(period)}")
    return TaskContract(
        name=field["name"].text(
            TASK_NAME, "a thread's name: 1 to 15 printable ASCII characters, no space at the ends"
        ),
        container=_read_container(place, field.get("container"), containers),
        period=period,
        deadline=deadline,
        wcet=_read_wcet(field["wcet"], deadline, criticality),
        priority=field["priority"].integer(1, HIGHEST_PRIORITY) if "priority" in field else None,
        core=field["core"].integer(0, HIGHEST_CORE) if "core" in field else None,
    )


def _read_container(task: Json, named: Json | None, known: _Containers) -> str:
    ordinary = known.ordinary
    if named is None:
        if ordinary is not None and len(ordinary) == 1:
            return next(iter(ordinary))
        raise task.invalid(
            "the field container, because the pod may have several", found="no container"
        )
    name = named.text(CONTAINER_NAME, "a container's name")
    if ordinary is None or name in ordinary or name in known.sidecars:
        return name
    choice = ", ".join(sorted((*ordinary, *known.sidecars)))
    if name in known.initial:
        raise named.invalid(
            f"one of the pod's containers: {choice}; or restartPolicy: Always on this one, because "
            "an init container without it ends before the others start"
        )
    raise named.invalid(f"one of the pod's containers: {choice}")


def _read_wcet(place: Json, deadline: Nanoseconds, criticality: Criticality) -> WcetTable:
    if isinstance(place.value, str):
        baseline = _within(place, deadline)
        if criticality is Criticality.HI:
            raise place.invalid(
                f'a table of platforms, such as {{"xeon": "{place.value}"}}: '
                "a HI task runs only on platforms for which its WCET is known"
            )
        return WcetTable(baseline=baseline)
    if not isinstance(place.value, dict):
        raise place.invalid('a duration with a unit ("20ms"), or a table {"platform": "20ms"}')
    members = place.members()
    if not 1 <= len(members) <= MAX_PLATFORMS:
        raise place.invalid(f"1 to {MAX_PLATFORMS} platforms")
    for name, member in members.items():
        if PLATFORM.fullmatch(name) is None:
            raise member.invalid("under a platform's name that can be a label's value")
    return WcetTable(
        by_platform=MappingProxyType(
            {name: _within(member, deadline) for name, member in members.items()}
        )
    )


def _within(place: Json, deadline: Nanoseconds) -> Nanoseconds:
    wcet = place.duration()
    if wcet > deadline:
        raise place.invalid(f"at most the deadline, {format_duration(deadline)}")
    return wcet

"""Conditions of reservations that are not enforced: a closed set of codes, with texts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from daemons.rubicante.book.entry import Phase
from daemons.rubicante.enforcement.pod import SETTLED_AFTER
from daemons.rubicante.enforcement.tracked_pods import ReservationState, TrackedPod, state_of
from daemons.rubicante.kernel.sandboxes import Sandbox, SandboxKind
from daemons.rubicante.mechanisms.back_end import Held
from k40s.kube.records import PodRecord

NOT_FOUND_AFTER = 5.0
"""Seconds for which the pod's status may differ from what the kernel shows."""
_SHOWN = 5

Describe = Callable[[], str]
"""A description that takes a search, made only where it is shown."""
ListNames = Callable[[], tuple[str, ...]]
"""The names of what is in a cgroup."""


class Trouble(StrEnum):
    """Codes: never changed or reused."""

    THREAD_MISSING = "thread-missing"
    """The container runs, and a task has no thread of its name for ten seconds."""
    NO_THREAD = "no-thread"
    """The container runs by the pod's status, and its cgroup has no thread at all."""
    THREAD_UNCLEAR = "thread-unclear"
    """The container runs, and several threads may be a task's."""
    CONTAINER_UNKNOWN = "container-unknown"
    """The pod's cgroup is there, but not which of its containers this one is."""
    POD_NOT_FOUND = "pod-not-found"
    """The container runs by the pod's status, and the pod has no cgroup where it is looked for."""
    CONTAINER_NOT_FOUND = "container-not-found"
    """The container runs by the pod's status, and the pod's cgroup has none of its id."""
    UNREADABLE = "unreadable"
    """The container runs by the pod's status, and what the kernel shows of it cannot be read."""
    INSIDE_VM = "inside-virtual-machine"
    """The pod runs in a virtual machine, whose kernel schedules its tasks."""
    INSIDE_SANDBOX = "inside-sandbox"
    """The pod runs on a kernel in user space, such as gVisor's, which schedules its tasks."""
    NOT_RUNNING = "not-running"
    """The container cannot run, or has ended badly, by the pod's status."""
    CORE_CHANGING = "core-changing"
    """The thread is there and waits for neighbours' servers to change, for ten seconds."""
    REFUSED_BY_KERNEL = "refused-by-kernel"
    """The kernel refused a step; it is tried again each second."""
    NOT_RELEASED = "not-released"
    """The pod is gone and the kernel still holds its bandwidth."""
    ENFORCED_LATE = "enforced-late"
    """Budgets on the node may be overrun by more than the pod was admitted for."""


_SANDBOX_TROUBLES = {
    SandboxKind.VIRTUAL_MACHINE: Trouble.INSIDE_VM,
    SandboxKind.USER_KERNEL: Trouble.INSIDE_SANDBOX,
}
_INSIDE_ADVICE = (
    "run it by a RuntimeClass whose containers are processes of the node, such as runc, "
    "or declare no real-time tasks"
)
_ADVICE = "name the task's thread (pthread_setname_np, prctl PR_SET_NAME)"
_TEXT = {
    Trouble.THREAD_MISSING: "no thread bears the name of {tasks} (container {container}): "
    "it runs as an ordinary one",
    Trouble.NO_THREAD: "container {container} runs, and no thread is in its cgroup: "
    "{tasks} may run as an ordinary thread",
    Trouble.THREAD_UNCLEAR: "which thread is {tasks} (container {container}) cannot be told: "
    "it runs as an ordinary one",
    Trouble.CONTAINER_UNKNOWN: "which of the pod's cgroups is container {container} is not known: "
    "{tasks} runs as an ordinary thread",
    Trouble.POD_NOT_FOUND: "container {container} runs, and its pod's cgroup is not found: "
    "{tasks} runs as an ordinary thread",
    Trouble.CONTAINER_NOT_FOUND: "container {container} runs, and its cgroup is not found: "
    "{tasks} runs as an ordinary thread",
    Trouble.UNREADABLE: "container {container} runs, and what the kernel shows of it cannot be "
    "read: {tasks} may run as an ordinary thread",
    Trouble.INSIDE_VM: "container {container} runs in a virtual machine, whose own kernel "
    "schedules {tasks}: this node cannot hold it to its budget",
    Trouble.INSIDE_SANDBOX: "container {container} runs on a kernel in user space, which "
    "schedules {tasks}: this node cannot hold it to its budget",
    Trouble.NOT_RUNNING: "container {container} does not run, and so not {tasks}",
    Trouble.CORE_CHANGING: "{tasks} (container {container}) waits for its core's servers to change",
    Trouble.REFUSED_BY_KERNEL: "{tasks} (container {container}) is not enforced",
    Trouble.ENFORCED_LATE: "{tasks} (container {container}) may miss deadlines",
    Trouble.NOT_RELEASED: "{tasks} (container {container}) is gone, its bandwidth is not free yet",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One trouble of one reservation.

    ``tasks`` are the tasks concerned, ``detail`` is the cause as a text, ``since`` the
    time on the enforcer's clock (seconds) from which it counts.
    """

    pod_uid: str
    container: str
    tasks: tuple[str, ...]
    trouble: Trouble
    detail: str
    since: float

    @property
    def text(self) -> str:
        """The whole text: the same in events, in the log and in the pod's condition."""
        names = ", ".join(self.tasks)
        text = _TEXT[self.trouble].format(tasks=names, container=self.container)
        return f"{text}: {self.detail}" if self.detail else text


@dataclass(frozen=True, slots=True, kw_only=True)
class StandIn:
    """A main thread that is enforced for a task whose name no thread bears; one of ``threads``."""

    pod_uid: str
    container: str
    task: str
    thread: str
    tid: int
    threads: int = 1

    @property
    def text(self) -> str:
        """The whole text."""
        many = f", one of {self.threads} threads" if self.threads > 1 else ""
        main = f"{self.thread!a} (TID {self.tid}{many})"
        return (
            f"no thread bears the name of {self.task} (container {self.container}): "
            f"its main thread, {main}, is held to the budget instead; "
            f"to be sure that it is the right one, {_ADVICE}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """Findings on a pod. ``unreadable`` is why the cgroup tree could not be read, if so.

    ``held_up`` is what holds up the exchange of servers that it waits for, if anything does.
    ``search`` describes where the pod's cgroup was looked for, ``names`` lists what is in it.
    """

    pod: TrackedPod
    unreadable: str
    search: Describe
    names: ListNames
    held_up: str = ""


def find_condition(
    phase: Phase, held: Held, seen: Observation, now: float, *, late: str = ""
) -> Condition | None:
    """The condition of one reservation at ``now``, if it has lasted long enough to be reported.

    ``late`` says why the node does not guarantee its deadlines any more, if so.
    """
    state, releasing = seen.pod.enforcement.of(held), seen.pod.release.failure
    found: _Wrong | None = None
    if phase is Phase.RELEASING:
        if releasing.cause:
            found = _Wrong(Trouble.NOT_RELEASED, releasing.since, releasing.cause)
    elif state.failure.cause:
        found = _Wrong(Trouble.REFUSED_BY_KERNEL, state.failure.since, state.failure.cause)
    elif waiting := _waiting(held, state, seen.pod):
        found = _find_wrong(held.reservation.container, waiting, state, seen)
    if found is None and late and phase is not Phase.RELEASING:
        found = _Wrong(Trouble.ENFORCED_LATE, now, late)
    if found is None or now - found.since < _PATIENCE.get(found.trouble, 0.0):
        return None
    return Condition(
        pod_uid=held.name.pod_uid,
        container=held.reservation.container,
        tasks=found.tasks or tuple(task.name for task in held.reservation.tasks),
        trouble=found.trouble,
        detail=found.detail if isinstance(found.detail, str) else found.detail(),
        since=found.since,
    )


def _waiting(held: Held, state: ReservationState, pod: TrackedPod) -> list[str]:
    """Tasks without a thread; findings of an earlier run of the container do not count."""
    began = pod.status.since.get(held.reservation.container, pod.looked)
    is_over = bool(pod.unreadable.cause) and began > pod.looked
    return [t.name for t in held.reservation.tasks if is_over or t.name not in state.threads]


class _Wrong(NamedTuple):
    trouble: Trouble
    since: float
    detail: str | Describe = ""
    tasks: tuple[str, ...] = ()


_PATIENCE = {
    Trouble.THREAD_MISSING: SETTLED_AFTER,
    Trouble.THREAD_UNCLEAR: SETTLED_AFTER,
    Trouble.CONTAINER_UNKNOWN: SETTLED_AFTER,
    Trouble.CORE_CHANGING: SETTLED_AFTER,
    Trouble.NO_THREAD: NOT_FOUND_AFTER,
    Trouble.POD_NOT_FOUND: NOT_FOUND_AFTER,
    Trouble.CONTAINER_NOT_FOUND: NOT_FOUND_AFTER,
    Trouble.UNREADABLE: NOT_FOUND_AFTER,
    Trouble.INSIDE_VM: NOT_FOUND_AFTER,
    Trouble.INSIDE_SANDBOX: NOT_FOUND_AFTER,
    Trouble.NOT_RUNNING: NOT_FOUND_AFTER,
}


def _find_wrong(
    container: str, waiting: Sequence[str], state: ReservationState, seen: Observation
) -> _Wrong | None:
    """Why tasks wait for their threads; a pod that is being deleted need not have any."""
    status, changed = seen.pod.status, seen.pod.cgroups.changed
    record, runs = status.record, state_of(status.record, container)
    if record is not None and record.deleting:
        return None
    if runs is not None and not runs.running:
        since = status.since[container]
        return _Wrong(Trouble.NOT_RUNNING, since, runs.text) if runs.failing else None
    if state.sandbox is not None:
        missing: _Wrong | None = _find_inside(state.sandbox, state, record)
    else:
        missing = None if runs is None else _find_missing(container, state, seen)
    if missing is not None or changed is None:
        return missing
    since = state.appeared
    if not state.found:
        since = min(changed, status.since.get(container, changed))
        return _Wrong(Trouble.CONTAINER_UNKNOWN, since)
    for trouble, causes in (
        (Trouble.THREAD_UNCLEAR, state.unclear),
        (Trouble.THREAD_MISSING, state.missing),
    ):
        if causes:
            return _Wrong(trouble, since, _causes(causes), tuple(causes))
    return _Wrong(Trouble.CORE_CHANGING, since, seen.held_up, tuple(waiting))


def _find_inside(sandbox: Sandbox, state: ReservationState, record: PodRecord | None) -> _Wrong:
    """A program beside the sandbox, in the container itself, has its time to name threads."""
    trouble, since = _SANDBOX_TROUBLES[sandbox.kind], state.sandboxed
    if state.found and state.count:
        since = max(since, state.appeared + SETTLED_AFTER - NOT_FOUND_AFTER)
    name = "" if record is None else record.runtime_class
    asked = f"by its RuntimeClass {name}, " if name else ""
    return _Wrong(trouble, since, f"{asked}inside {sandbox.text}; {_INSIDE_ADVICE}")


def _find_missing(container: str, state: ReservationState, seen: Observation) -> _Wrong | None:
    """The part of a running container (by its pod's status) that the kernel does not show."""
    status, cgroups = seen.pod.status, seen.pod.cgroups
    since = status.since[container]
    if unreadable := seen.pod.unreadable.cause or seen.unreadable:
        return _Wrong(Trouble.UNREADABLE, since, unreadable)
    if cgroups.pod is None:
        return _Wrong(Trouble.POD_NOT_FOUND, since, seen.search)
    id_ = None if status.record is None else status.record.container_ids.get(container)
    if not state.found and id_ is not None and id_ not in cgroups.containers:
        return _Wrong(
            Trouble.CONTAINER_NOT_FOUND,
            since,
            lambda: _listed(cgroups.pod, seen.names(), id_, _runtime_of(status.record)),
        )
    if state.found and not state.count:
        return _Wrong(Trouble.NO_THREAD, since, _runtime_of(status.record))
    return None


def _runtime_of(record: PodRecord | None) -> str:
    """A hint, where the pod's runtime may be one that this node does not see into."""
    name = "" if record is None else record.runtime_class
    return f"its RuntimeClass {name} may run it in a virtual machine" if name else ""


def _causes(causes: Mapping[str, str]) -> str:
    texts = [f"{cause}; {_ADVICE}" for cause in dict.fromkeys(causes.values()) if cause]
    return "; ".join(texts)


def _listed(pod: Path | None, names: tuple[str, ...], id_: str, hint: str) -> str:
    """What a pod's cgroup has instead of a container's."""
    shown = ", ".join(f"{name[:80]!a}" for name in names[:_SHOWN])
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    found = f"{pod} has {shown if names else 'no cgroup'}{more}, and nothing of id {id_}"
    return f"{found}; {hint}" if hint else found

"""Worst-case response bounds of a node's servers and tasks.

Computed from the reservations by admission's own tests. They contain the overheads that admission
adds to each WCET.
"""

from dataclasses import dataclass

from k40s.cpu.admission.sched_deadline import interference
from k40s.cpu.analysis.containment import Group, group_responses
from k40s.cpu.analysis.deferrable_server import deferrable, server_response
from k40s.cpu.analysis.response_time import Interference, task_response
from k40s.cpu.linux import quantize_deadline_tick, quantize_server, quantize_task, quantize_tick
from k40s.cpu.model import CpuNode, Mechanism, Reservation, Task
from k40s.units import NS_PER_US, Nanoseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskBound:
    """``response`` is the bound of the worst response time; None where the deadline may pass.

    For a SCHED_DEADLINE reservation it is the deadline, all that its test guarantees.
    """

    task: Task
    priority: int | None
    response: Nanoseconds | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerBound:
    """``response`` bounds the time in which the server has its budget; None if that is too late.

    Bounds count with a budget that anything else in the container may use up. ``contained`` says
    that they hold only while the container keeps its contract, and thus never uses the budget up.
    """

    reservation: Reservation
    response: Nanoseconds | None
    tasks: tuple[TaskBound, ...]
    contained: bool = False

    @property
    def rule(self) -> str:
        """The test that the bounds come from."""
        if self.reservation.mechanism is Mechanism.DEADLINE:
            return "edf"
        return "containment" if self.contained else "hierarchical"


def bounds_of(node: CpuNode) -> tuple[ServerBound, ...]:
    """The bounds of all reservations, in the node's order."""
    return tuple(_bound(node, held) for held in node.reservations)


def server_title(held: Reservation, bounds: tuple[ServerBound, ...]) -> str:
    """Pod and container, and the tasks where the container has several servers."""
    siblings = [
        other
        for other in bounds
        if (other.reservation.pod_uid, other.reservation.container)
        == (held.pod_uid, held.container)
    ]
    title = f"{held.pod_uid}/{held.container}"
    if len(siblings) == 1:
        return title
    return f"{title} ({', '.join(task.name for task in held.tasks)})"


def interference_on(node: CpuNode, held: Reservation) -> Interference:
    """Interference on a reservation's lowest task, in microseconds."""
    lowest = min(held.priorities)
    return (
        *_always(node, held.core),
        *(
            deferrable(*quantize_server(rival.server))
            for rival in node.on_core(held.core)
            if rival is not held and max(rival.priorities) >= lowest
        ),
    )


def _bound(node: CpuNode, held: Reservation) -> ServerBound:
    if held.mechanism is Mechanism.DEADLINE:
        (task,) = held.tasks
        promised = TaskBound(task=task, priority=None, response=task.deadline)
        return ServerBound(reservation=held, response=task.deadline, tasks=(promised,))
    above = interference_on(node, held)
    tick = quantize_tick(node)
    received = server_response(*quantize_server(held.server), above, tick)
    waiting = _waiting_responses(_group(held), above, tick)
    responses = waiting
    contained = received is None or None in waiting
    if contained:
        core = node.on_core(held.core)
        groups = [_group(other) for other in core]
        always = _always(node, held.core)
        free = group_responses(core.index(held), groups, tick, always)
        responses = free or (None,) * len(held.tasks)
        contained = free is not None
    return ServerBound(
        reservation=held,
        response=_nanos(received),
        tasks=tuple(
            TaskBound(task=task, priority=priority, response=_nanos(response))
            for task, priority, response in zip(held.tasks, held.priorities, responses, strict=True)
        ),
        contained=contained,
    )


def _always(node: CpuNode, core: int) -> Interference:
    """What SCHED_DEADLINE takes from every server of a core."""
    beside = [quantize_server(held.server) for held in node.deadline_on(core)]
    return interference(beside, quantize_deadline_tick(node), quantize_tick(node))


def _group(held: Reservation) -> Group:
    return Group(
        quantize_server(held.server),
        tuple(quantize_task(task) for task in held.tasks),
        held.priorities,
    )


def _waiting_responses(group: Group, above: Interference, tick: int) -> tuple[int | None, ...]:
    """Response times of tasks that wait for their server's budget (Davis & Burns, RTSS 2005)."""
    server, tasks, priorities = group
    return tuple(
        task_response(
            tasks[own],
            tuple(
                task
                for other, task in enumerate(tasks)
                if other != own and priorities[other] >= priority
            ),
            server,
            above,
            tick,
        )
        for own, priority in enumerate(priorities)
    )


def _nanos(micros: int | None) -> Nanoseconds | None:
    return None if micros is None else Nanoseconds(micros * NS_PER_US)

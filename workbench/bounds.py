"""Bounds of what a node holds: how long each server and each task may take, at worst.

The same tests as admission's, from the reservations alone, but with their figures. They contain
the overheads that admission adds to each WCET.
"""

from dataclasses import dataclass

from k40s.cpu.cores import deadline_tick_figure, tick_figure
from k40s.cpu.deadline import interference
from k40s.cpu.figures import server_figures, task_figures
from k40s.cpu.hierarchy import task_response
from k40s.cpu.interleaved import Group, group_responses
from k40s.cpu.model import CpuNode, Mechanism, Reservation, Task
from k40s.cpu.response import Interference
from k40s.cpu.servers import deferrable, server_response
from k40s.units import NS_PER_US, Nanoseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskBound:
    """``response`` is the bound of the worst response time; None where the deadline may pass.

    For a SCHED_DEADLINE reservation it is the deadline, which is all that its test tells.
    """

    task: Task
    priority: int | None
    response: Nanoseconds | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerBound:
    """``response`` bounds the time in which the server has its budget; None if that is too late.

    Bounds count with a budget that anything else in the container may use up. ``contained`` tells
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


def interference_on(node: CpuNode, held: Reservation) -> Interference:
    """All that may run before a reservation's lowest task, in microseconds."""
    lowest = min(held.priorities)
    return (
        *_always(node, held.core),
        *(
            deferrable(*server_figures(rival.server))
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
    tick = tick_figure(node)
    received = server_response(*server_figures(held.server), above, tick)
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
    beside = [server_figures(held.server) for held in node.deadline_on(core)]
    return interference(beside, deadline_tick_figure(node), tick_figure(node))


def _group(held: Reservation) -> Group:
    return Group(
        server_figures(held.server),
        tuple(task_figures(task) for task in held.tasks),
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

"""Bounds of what a node holds: how long each server and each task may take, at worst.

The same tests as admission's, from the reservations alone, but with their figures. They contain
the overheads that admission adds to each WCET.
"""

from dataclasses import dataclass

from k40s.cpu.cores import tick_figure
from k40s.cpu.figures import server_figures, task_figures
from k40s.cpu.hierarchy import task_response
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
    """``response`` bounds the time in which the server has its budget; None if that is too late."""

    reservation: Reservation
    response: Nanoseconds | None
    tasks: tuple[TaskBound, ...]


def bounds_of(node: CpuNode) -> tuple[ServerBound, ...]:
    """The bounds of all reservations, in the node's order."""
    return tuple(_bound(node, held) for held in node.reservations)


def interference_on(node: CpuNode, held: Reservation) -> Interference:
    """All servers that may run before a reservation's lowest task, in microseconds."""
    lowest = min(held.priorities)
    return tuple(
        deferrable(*server_figures(rival.server))
        for rival in node.on_core(held.core)
        if rival is not held and max(rival.priorities) >= lowest
    )


def _bound(node: CpuNode, held: Reservation) -> ServerBound:
    if held.mechanism is Mechanism.DEADLINE:
        (task,) = held.tasks
        promised = TaskBound(task=task, priority=None, response=task.deadline)
        return ServerBound(reservation=held, response=task.deadline, tasks=(promised,))
    above = interference_on(node, held)
    tick = tick_figure(node)
    server = server_figures(held.server)
    received = server_response(*server, above, tick)
    responses = _responses(held, server, above, tick)
    return ServerBound(
        reservation=held,
        response=_nanos(received),
        tasks=tuple(
            TaskBound(
                task=task,
                priority=priority,
                response=None if received is None else _nanos(response),
            )
            for task, priority, response in zip(held.tasks, held.priorities, responses, strict=True)
        ),
    )


def _responses(
    held: Reservation, server: tuple[int, int], above: Interference, tick: int
) -> tuple[int | None, ...]:
    """Response times in microseconds, in the order of the reservation's tasks."""
    figures = [task_figures(task) for task in held.tasks]
    return tuple(
        task_response(
            figures[own],
            tuple(
                figures[other]
                for other, level in enumerate(held.priorities)
                if other != own and level >= priority
            ),
            server,
            above,
            tick,
        )
        for own, priority in enumerate(held.priorities)
    )


def _nanos(micros: int | None) -> Nanoseconds | None:
    return None if micros is None else Nanoseconds(micros * NS_PER_US)

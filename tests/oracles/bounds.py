"""Response-time bounds of the analysis for the reservations of a node, and by which test."""

from k40s.cpu.admission.sched_deadline import interference
from k40s.cpu.analysis import containment
from k40s.cpu.analysis.deferrable_server import deferrable, server_response
from k40s.cpu.analysis.response_time import Interference, TaskParameters, server_tasks_response
from k40s.cpu.linux import quantize_deadline_tick, quantize_server, quantize_task, quantize_tick
from k40s.cpu.model import CpuNode, Reservation


def name_of(reservation: Reservation) -> str:
    """The name of a reservation's server or thread in the simulation."""
    container, tasks = reservation.key
    return f"{reservation.pod_uid}/{container}/{','.join(tasks)}"


def promised(node: CpuNode) -> dict[tuple[str, str], int]:
    """Microseconds by names of server and task, for all that rt-cgroups serve."""
    return {
        (name_of(held), task): response
        for held in node.reservations
        if held.priorities
        for task, response in bounds_of(node, held)[0].items()
    }


def contained(node: CpuNode) -> set[str]:
    """Servers whose bounds, if any, hold only while their own tasks keep their WCETs."""
    servers = [held for held in node.reservations if held.priorities]
    return {name_of(held) for held in servers if _waiting(node, held) is None}


def bounds_of(node: CpuNode, held: Reservation) -> tuple[dict[str, int], bool]:
    """Responses by task, and whether they are those of a budget that is never used up."""
    found = waiting = _waiting(node, held)
    if found is None:
        tick = quantize_tick(node)
        budget, period = quantize_server(held.server)
        found = containment.responses(_tasks(held), _above(node, held), tick, _level_mates(held))
        if found is None or containment.most_used(_tasks(held), found, period + tick) > budget:
            raise AssertionError(f"{name_of(held)} is held, but not schedulable")
    names = [held.tasks[index].name for index in _order(held)]
    return dict(zip(names, found, strict=True)), waiting is None


def _waiting(node: CpuNode, held: Reservation) -> tuple[int, ...] | None:
    """Responses of tasks that wait for their budget; None where that test refuses."""
    above, tick = _above(node, held), quantize_tick(node)
    server = quantize_server(held.server)
    if server_response(*server, above, tick) is None:
        return None
    return server_tasks_response(_tasks(held), server, above, tick, _level_mates(held))


def _level_mates(held: Reservation) -> int:
    return held.priorities.count(min(held.priorities))


def _order(held: Reservation) -> list[int]:
    return sorted(range(len(held.tasks)), key=lambda i: -held.priorities[i])


def _tasks(held: Reservation) -> tuple[TaskParameters, ...]:
    return tuple(quantize_task(held.tasks[i]) for i in _order(held))


def _above(node: CpuNode, held: Reservation) -> Interference:
    deadline = [quantize_server(r.server) for r in node.deadline_on(held.core)]
    return (
        *interference(deadline, quantize_deadline_tick(node), quantize_tick(node)),
        *(
            deferrable(*quantize_server(r.server))
            for r in node.on_core(held.core)
            if r is not held and max(r.priorities) >= min(held.priorities)
        ),
    )

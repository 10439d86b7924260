"""Is everything on a core schedulable as it stands? The last word of every admission.

It starts from the reservations alone, with the priorities that the threads will really have, and
shares no intermediate result with the search that found them.
"""

from collections.abc import Sequence

from k40s.cpu.bandwidth import fits_capacity
from k40s.cpu.cores import tick_figure
from k40s.cpu.figures import server_figures, task_figures
from k40s.cpu.headroom import leaves_headroom
from k40s.cpu.hierarchy import task_response
from k40s.cpu.model import CpuNode, Reservation
from k40s.cpu.servers import deferrable, server_response


def deadlines_hold(reservations: Sequence[Reservation], tick: int) -> bool:
    """Whether each server gets its budget and each task meets its deadline on one core.

    Equal priorities interfere both ways. Where bands interleave, a server counts as interfering
    if one of its tasks ranks at or above the lowest task concerned, which is the safe side.
    """
    servers = [server_figures(r.server) for r in reservations]
    for index, reservation in enumerate(reservations):
        lowest = min(reservation.priorities)
        above = tuple(
            deferrable(*servers[other])
            for other, rival in enumerate(reservations)
            if other != index and max(rival.priorities) >= lowest
        )
        server = servers[index]
        if server_response(*server, above, tick) is None:
            return False
        tasks = [task_figures(task) for task in reservation.tasks]
        for own, priority in enumerate(reservation.priorities):
            local = tuple(
                task
                for other, task in enumerate(tasks)
                if other != own and reservation.priorities[other] >= priority
            )
            if task_response(tasks[own], local, server, above, tick) is None:
                return False
    return True


def core_holds(reservations: Sequence[Reservation], node: CpuNode) -> bool:
    """Whether a core of the node can bear these reservations: deadlines, ΣQ/P and headroom."""
    tick = tick_figure(node)
    servers = [server_figures(r.server) for r in reservations]
    return (
        fits_capacity(servers, node.core_capacity)
        and leaves_headroom(servers, tick)
        and deadlines_hold(reservations, tick)
    )


def node_holds(node: CpuNode) -> bool:
    """Whether every core of the node holds and ΣQ/P over all of them fits the node."""
    servers = [server_figures(r.server) for r in node.reservations]
    return fits_capacity(servers, node.node_capacity) and all(
        core_holds(node.on_core(core), node) for core in {r.core for r in node.reservations}
    )

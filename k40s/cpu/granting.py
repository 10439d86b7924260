"""The node after the search: what a pod is granted, and what changed for the others."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from k40s.cpu.bands import Band
from k40s.cpu.cores import CoreLoad
from k40s.cpu.figures import task_figures
from k40s.cpu.hierarchy import ServerFigures
from k40s.cpu.model import ContainerDemand, CpuNode, Mechanism, PodDemand, Reservation, Server, Task
from k40s.cpu.partition import Placement
from k40s.cpu.priorities import dense_bands
from k40s.units import NS_PER_US, Nanoseconds


def settle(
    node: CpuNode,
    load: CoreLoad,
    placement: Placement,
    newcomer: Band,
    *,
    demand: PodDemand,
    container: ContainerDemand,
    taken: Collection[int],
) -> CpuNode:
    """The node with the newcomer in its place, all bands dense, and the others' new budgets.

    ``taken`` are numbers that a new budget group must not have, besides those in use.
    """
    at = placement.position
    orders = [band.order for band in (*load.bands[:at], newcomer, *load.bands[at:])]
    priorities = list(dense_bands(orders))
    servers = list(placement.servers)
    group = placement.group
    if group is None and load.sharing:
        group = _least_free({*taken, *(held.group for held in node.reservations)})
    granted = Reservation(
        pod_uid=demand.pod_uid,
        container=container.container,
        core=load.core,
        criticality=demand.criticality,
        server=as_server(servers.pop(at)),
        tasks=container.tasks,
        priorities=priorities.pop(at),
        group=group,
    )
    after = list(node.reservations)
    for position, server, band in zip(load.positions, servers, priorities, strict=True):
        after[position] = _changed(after[position], as_server(server), band)
    return node.holding((*after, granted))


def with_grown(
    reservations: Sequence[Reservation], load: CoreLoad, servers: tuple[ServerFigures, ...]
) -> list[Reservation]:
    """The reservations with the servers that a core has by now; priorities stay."""
    after = list(reservations)
    for position, server in zip(load.positions, servers, strict=True):
        after[position] = _changed(after[position], as_server(server), after[position].priorities)
    return after


def deadline_reservation(demand: PodDemand, container: str, task: Task, core: int) -> Reservation:
    """A reservation of SCHED_DEADLINE: Q is the WCET with overheads, P the relative deadline.

    With P = D the kernel serves a job at once whenever it comes. With P > D it holds each job back
    until a whole P after it served the one before, so that one late wake-up delays all that follow.
    """
    wcet, _period, deadline = task_figures(task)
    return Reservation(
        pod_uid=demand.pod_uid,
        container=container,
        core=core,
        criticality=demand.criticality,
        server=as_server((wcet, deadline)),
        tasks=(task,),
        priorities=(),
        mechanism=Mechanism.DEADLINE,
    )


def as_server(figures: ServerFigures) -> Server:
    """(Q, P) in nanoseconds."""
    budget, period = figures
    return Server(budget=Nanoseconds(budget * NS_PER_US), period=Nanoseconds(period * NS_PER_US))


def _least_free(taken: set[int | None]) -> int:
    number = 0
    while number in taken:
        number += 1
    return number


def _changed(held: Reservation, server: Server, priorities: tuple[int, ...]) -> Reservation:
    if held.server == server and held.priorities == priorities:
        return held
    return replace(held, server=server, priorities=priorities)

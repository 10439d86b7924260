"""The full schedulability test of a node's reservations; every admission has to pass it.

It starts from the reservations alone, with the priorities that the threads will have, and
shares no intermediate result with the search that found them.
"""

from collections.abc import Iterator, Sequence

from k40s.cpu.admission.sched_deadline import domain_holds, interference
from k40s.cpu.analysis import containment
from k40s.cpu.analysis.deferrable_server import deferrable, server_response, share_of_node
from k40s.cpu.analysis.response_time import (
    Interference,
    ServerParameters,
    TaskParameters,
    task_response,
)
from k40s.cpu.bandwidth import fits_capacity
from k40s.cpu.linux import (
    avoids_rt_throttling,
    quantize_ancestor_period,
    quantize_deadline_tick,
    quantize_server,
    quantize_task,
    quantize_tick,
)
from k40s.cpu.model import ANY_CORE, CpuNode, Domain, Mechanism, Reservation


def deadlines_hold(
    reservations: Sequence[Reservation], tick: int, deadline: Interference = ()
) -> bool:
    """Whether each task meets its deadline on one core."""
    return next(late_bands(reservations, tick, deadline), None) is None


def late_bands(
    reservations: Sequence[Reservation], tick: int, deadline: Interference = ()
) -> Iterator[Reservation]:
    """Reservations of one core with a task that may miss its deadline.

    Either its server receives its budget in every period (Davis & Burns), or the budget contains
    all that its container can use (``analysis.containment``). ``deadline`` is the interference of
    SCHED_DEADLINE on all of them. Equal priorities interfere both ways. Where bands interleave, a
    server counts as interfering if one of its tasks ranks at or above the lowest task concerned,
    which is the safe side.
    """
    servers = [quantize_server(r.server) for r in reservations]
    for index, reservation in enumerate(reservations):
        lowest = min(reservation.priorities)
        above = (
            *deadline,
            *(
                deferrable(*servers[other])
                for other, rival in enumerate(reservations)
                if other != index and max(rival.priorities) >= lowest
            ),
        )
        tasks = _with_rivals(reservation)
        if not (
            _is_contained(tasks, servers[index], above, tick)
            or _hierarchical_test_holds(tasks, servers[index], above, tick)
        ):
            yield reservation


_Tasks = list[tuple[TaskParameters, tuple[TaskParameters, ...]]]
"""Each task with those of its server that rank at or above it."""


def _with_rivals(reservation: Reservation) -> _Tasks:
    tasks = [quantize_task(task) for task in reservation.tasks]
    levels = reservation.priorities
    return [
        (
            tasks[own],
            tuple(t for at, t in enumerate(tasks) if at != own and levels[at] >= level),
        )
        for own, level in enumerate(levels)
    ]


def _hierarchical_test_holds(
    tasks: _Tasks, server: ServerParameters, above: Interference, tick: int
) -> bool:
    return server_response(*server, above, tick) is not None and all(
        task_response(task, local, server, above, tick) is not None for task, local in tasks
    )


def _is_contained(tasks: _Tasks, server: ServerParameters, above: Interference, tick: int) -> bool:
    budget, period = server
    found: list[int] = []
    for task, local in tasks:
        response = containment.task_response(task, local, above, tick)
        if response is None:
            return False
        found.append(response)
    return containment.most_used([task for task, _ in tasks], found, period + tick) <= budget


def core_holds(node: CpuNode, core: int) -> bool:
    """Whether a core's reservations hold: deadlines, ΣQ/P, RT throttling, and its root domain."""
    bands = node.on_core(core)
    deadline = node.deadline_on(core)
    local = [held for held in deadline if held.core == core]
    if local and not _local_domain_holds(node, local, alone=not bands):
        return False
    if not bands:
        return True
    tick = quantize_tick(node)
    servers = [quantize_server(r.server) for r in bands]
    beside = [quantize_server(r.server) for r in deadline]
    taken = interference(beside, quantize_deadline_tick(node), tick)
    return (
        fits_capacity([*servers, *beside], node.core_capacity)
        and avoids_rt_throttling(servers, tick, taken)
        and deadlines_hold(bands, tick, taken)
    )


def migrating_hold(node: CpuNode) -> bool:
    """Whether the SCHED_DEADLINE threads that migrate between CPUs meet their deadlines."""
    migrating = [held for held in node.reservations if held.core == ANY_CORE]
    if not migrating:
        return True
    offer = node.deadline
    return offer is not None and offer.domain is Domain.SHARED and domain_holds(migrating, offer)


def groups_hold(node: CpuNode) -> bool:
    """Whether ΣQ/P over the budget groups fits the node, and each serves a core at most once.

    Where the groups are the containers' own, each serves one reservation, and counts with what
    its ancestors need.
    """
    own: list[ServerParameters] = []
    shared: dict[int, ServerParameters] = {}
    seen: set[tuple[int, int]] = set()
    containers: set[tuple[str, str]] = set()
    ancestors, tick = quantize_ancestor_period(node), quantize_tick(node)
    for held in node.reservations:
        if held.mechanism is Mechanism.DEADLINE:
            continue
        server = quantize_server(held.server)
        if ancestors is not None:
            if (held.pod_uid, held.container) in containers:
                return False
            containers.add((held.pod_uid, held.container))
            own.append(share_of_node(server, ancestors, tick))
        elif held.group is None:
            own.append(server)
        elif (held.group, held.core) in seen or shared.setdefault(held.group, server) != server:
            return False
        else:
            seen.add((held.group, held.core))
    return fits_capacity([*own, *shared.values()], node.node_capacity)


def node_holds(node: CpuNode) -> bool:
    """Whether every core and every root domain of the node holds, and its groups fit it."""
    cores = {held.core for held in node.reservations} - {ANY_CORE}
    return (
        groups_hold(node) and migrating_hold(node) and all(core_holds(node, core) for core in cores)
    )


def _local_domain_holds(node: CpuNode, local: Sequence[Reservation], *, alone: bool) -> bool:
    offer = node.deadline
    if offer is None or offer.domain is Domain.SHARED:
        return False
    if offer.domain is Domain.EXCLUSIVE and not alone:
        return False
    return domain_holds(local, offer)

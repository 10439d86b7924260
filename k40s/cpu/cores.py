"""One core of a node as the search needs it, and the node after the search."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from k40s.cpu.bands import Band
from k40s.cpu.bandwidth import room_above
from k40s.cpu.figures import server_figures
from k40s.cpu.hierarchy import ServerFigures
from k40s.cpu.model import ContainerDemand, CpuNode, PodDemand, Reservation, Server
from k40s.cpu.priorities import dense_bands
from k40s.units import NS_PER_US, Nanoseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreLoad:
    """The reservations on a core, most urgent band first, as figures in microseconds.

    ``positions`` are their places in the node's reservations, whose servers are all in
    ``everywhere``. ``core_room`` and ``node_room`` bound what is left of the capacities from
    above, in units of 2⁻⁴⁰. ``tick`` is δ.
    """

    core: int
    tick: int
    capacity: Fraction
    node_capacity: Fraction
    core_room: int
    node_room: int
    positions: tuple[int, ...]
    bands: tuple[Band, ...]
    servers: tuple[ServerFigures, ...]
    everywhere: tuple[ServerFigures, ...]


@dataclass(frozen=True, slots=True)
class Placement:
    """The servers of a core after the newcomer came in at ``position``, most urgent first."""

    position: int
    servers: tuple[ServerFigures, ...]


def tick_figure(node: CpuNode) -> int:
    """δ in microseconds, rounded up."""
    return -(-node.tick // NS_PER_US)


def loads_of(node: CpuNode) -> Iterator[CoreLoad]:
    """What is on each core, in order. Bands are ranked afresh; equals keep the order in force."""
    everywhere = tuple(server_figures(r.server) for r in node.reservations)
    node_room = room_above(everywhere, node.node_capacity)
    for core in node.cores:
        mine = [
            (Band.of_reservation(r), -max(r.priorities), position)
            for position, r in enumerate(node.reservations)
            if r.core == core
        ]
        mine.sort(key=lambda entry: (entry[0].rank, *entry[1:]))
        servers = tuple(everywhere[position] for _, _, position in mine)
        yield CoreLoad(
            core=core,
            tick=tick_figure(node),
            capacity=node.core_capacity,
            node_capacity=node.node_capacity,
            core_room=room_above(servers, node.core_capacity),
            node_room=node_room,
            positions=tuple(position for _, _, position in mine),
            bands=tuple(band for band, _, _ in mine),
            servers=servers,
            everywhere=everywhere,
        )


def settle(
    node: CpuNode,
    load: CoreLoad,
    placement: Placement,
    newcomer: Band,
    *,
    demand: PodDemand,
    container: ContainerDemand,
) -> CpuNode:
    """The node with the newcomer in its place, all bands dense, and the others' new budgets."""
    at = placement.position
    orders = [band.order for band in (*load.bands[:at], newcomer, *load.bands[at:])]
    priorities = list(dense_bands(orders))
    servers = list(placement.servers)
    granted = Reservation(
        pod_uid=demand.pod_uid,
        container=container.container,
        core=load.core,
        criticality=demand.criticality,
        server=_server(servers.pop(at)),
        tasks=container.tasks,
        priorities=priorities.pop(at),
    )
    after = list(node.reservations)
    for position, server, band in zip(load.positions, servers, priorities, strict=True):
        after[position] = _changed(after[position], _server(server), band)
    return node.holding((*after, granted))


def _server(figures: ServerFigures) -> Server:
    budget, period = figures
    return Server(budget=Nanoseconds(budget * NS_PER_US), period=Nanoseconds(period * NS_PER_US))


def _changed(held: Reservation, server: Server, priorities: tuple[int, ...]) -> Reservation:
    if held.server == server and held.priorities == priorities:
        return held
    return Reservation(
        pod_uid=held.pod_uid,
        container=held.container,
        core=held.core,
        criticality=held.criticality,
        server=server,
        tasks=held.tasks,
        priorities=priorities,
    )

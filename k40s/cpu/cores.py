"""One core of a node as the search needs it, and the node after the search."""

from dataclasses import dataclass
from fractions import Fraction

from k40s.cpu.bands import Band
from k40s.cpu.budget import Figures
from k40s.cpu.figures import server_figures
from k40s.cpu.model import ContainerDemand, CpuNode, PodDemand, Reservation, Server
from k40s.cpu.priorities import dense_bands
from k40s.units import NS_PER_US, Nanoseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreLoad:
    """The reservations on a core, most urgent band first, as figures in microseconds.

    ``positions`` are their places in the node's reservations; ``elsewhere`` are the servers on
    the node's other cores; ``tick`` is δ.
    """

    core: int
    tick: int
    capacity: Fraction
    node_capacity: Fraction
    positions: tuple[int, ...]
    bands: tuple[Band, ...]
    servers: tuple[Figures, ...]
    elsewhere: tuple[Figures, ...]


@dataclass(frozen=True, slots=True)
class Placement:
    """The servers of a core after the newcomer came in at ``position``, most urgent first."""

    position: int
    servers: tuple[Figures, ...]


def tick_figure(node: CpuNode) -> int:
    """δ in microseconds, rounded up."""
    return -(-node.tick // NS_PER_US)


def load_of(node: CpuNode, core: int) -> CoreLoad:
    """What is on a core. Bands are ranked afresh; equal ranks keep the order in force."""
    mine: list[tuple[tuple[int, int], int, int, Band]] = []
    elsewhere: list[Figures] = []
    for position, reservation in enumerate(node.reservations):
        if reservation.core == core:
            band = Band.of_reservation(reservation)
            mine.append((band.rank, -max(reservation.priorities), position, band))
        else:
            elsewhere.append(server_figures(reservation.server))
    mine.sort(key=lambda entry: entry[:3])
    positions = tuple(position for _, _, position, _ in mine)
    return CoreLoad(
        core=core,
        tick=tick_figure(node),
        capacity=node.core_capacity,
        node_capacity=node.node_capacity,
        positions=positions,
        bands=tuple(band for _, _, _, band in mine),
        servers=tuple(server_figures(node.reservations[p].server) for p in positions),
        elsewhere=tuple(elsewhere),
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


def _server(figures: Figures) -> Server:
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

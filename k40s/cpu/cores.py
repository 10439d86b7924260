"""A node and its cores as the search needs them: plain figures, and what may change."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from k40s.cpu.bands import Band
from k40s.cpu.bandwidth import fits_capacity, room_above, share_below
from k40s.cpu.deadline import interference
from k40s.cpu.figures import server_figures
from k40s.cpu.hierarchy import ServerFigures
from k40s.cpu.model import ANY_CORE, CpuNode, Mechanism, Packing
from k40s.cpu.nesting import share_of_node
from k40s.cpu.response import Interference
from k40s.units import NS_PER_US


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreLoad:
    """The rt-cgroup servers of a core, most urgent band first, as figures in microseconds.

    ``positions`` are their places in the node's reservations; ``growable`` tells whose budget
    group serves nobody else. ``elsewhere`` is what those of the node's budget groups take of it
    that no change of this core can change, ``groups`` are those (number, server) that it does not
    use yet; ``ancestors`` is the period of the groups above, None at the top. ``deadline`` is
    the interference of SCHED_DEADLINE, ``deadline_servers`` its (Q, P). ``core_room`` and
    ``node_room`` bound what is left of the capacities from above, in units of 2⁻⁴⁰. ``tick`` is δ.
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
    growable: tuple[bool, ...]
    elsewhere: tuple[ServerFigures, ...]
    groups: tuple[tuple[int, ServerFigures], ...]
    deadline: Interference
    deadline_servers: tuple[ServerFigures, ...]
    sharing: bool
    ancestors: int | None = None

    def fits_node(self, changing: Iterable[ServerFigures]) -> bool:
        """Whether the node bears the groups that serve only this core, beside all others."""
        shares = [share_of_node(server, self.ancestors, self.tick) for server in changing]
        return fits_capacity((*shares, *self.elsewhere), self.node_capacity)


def tick_figure(node: CpuNode) -> int:
    """δ of rt-cgroups in microseconds, rounded up."""
    return -(-node.tick // NS_PER_US)


def deadline_tick_figure(node: CpuNode) -> int:
    """δ of SCHED_DEADLINE in microseconds, rounded up; that of rt-cgroups where it is unknown."""
    return tick_figure(node) if node.deadline is None else -(-node.deadline.tick // NS_PER_US)


def ancestor_figure(node: CpuNode) -> int | None:
    """The period of the groups above containers' own, in microseconds; None without any."""
    return None if node.ancestor_period is None else node.ancestor_period // NS_PER_US


class NodeLoad:
    """What a node holds, in figures; each core is looked at when it is asked for."""

    def __init__(self, node: CpuNode) -> None:
        self.node = node
        self._figures = [server_figures(held.server) for held in node.reservations]
        self._bands: dict[int, list[int]] = {}
        self._deadline: dict[int, list[int]] = {}
        self._own: list[int] = []
        self._users: Counter[int] = Counter()
        self._groups: dict[int, ServerFigures] = {}
        for position, held in enumerate(node.reservations):
            if held.mechanism is Mechanism.DEADLINE:
                self._deadline.setdefault(held.core, []).append(position)
                continue
            self._bands.setdefault(held.core, []).append(position)
            group = self._group(position)
            if group is None:
                self._own.append(position)
            else:
                self._users[group] += 1
                self._groups[group] = self._figures[position]
        every = [*(self._share(position) for position in self._own), *self._groups.values()]
        self._node_room = room_above(every, node.node_capacity)

    @property
    def groups(self) -> Mapping[int, ServerFigures]:
        """The shared budget groups by their numbers."""
        return self._groups

    def on(self, core: int) -> CoreLoad:
        """What is on a core, its bands in the order in force."""
        node = self.node
        positions = self._by_urgency(core)
        servers = tuple(self._figures[position] for position in positions)
        deadline = self.deadline_servers(core)
        tick = tick_figure(node)
        used = [self._group(position) for position in positions]
        changing = {group for group in used if group is not None and self._users[group] == 1}
        return CoreLoad(
            core=core,
            tick=tick,
            capacity=node.core_capacity,
            node_capacity=node.node_capacity,
            core_room=room_above((*servers, *deadline), node.core_capacity),
            node_room=self._node_room,
            positions=tuple(positions),
            bands=tuple(Band.of_reservation(node.reservations[p]) for p in positions),
            servers=servers,
            growable=tuple(group is None or group in changing for group in used),
            elsewhere=(
                *(self._share(p) for p in self._own if node.reservations[p].core != core),
                *(server for number, server in self._groups.items() if number not in changing),
            ),
            groups=tuple(entry for entry in self._groups.items() if entry[0] not in used),
            deadline=interference(deadline, deadline_tick_figure(node), tick),
            deadline_servers=deadline,
            sharing=node.shared_groups,
            ancestors=ancestor_figure(node),
        )

    def deadline_servers(self, core: int) -> tuple[ServerFigures, ...]:
        """(Q, P) of the SCHED_DEADLINE reservations that may run on a core."""
        positions = (*self._deadline.get(core, ()), *self._deadline.get(ANY_CORE, ()))
        return tuple(self._figures[position] for position in positions)

    def in_order(self) -> Iterator[int]:
        """The cores in the order in which the node's packing tries them."""
        cores = self.node.cores
        if self.node.packing is Packing.FIRST_FIT:
            return iter(cores)
        sign = -1 if self.node.packing is Packing.BEST_FIT else 1
        return iter(sorted(cores, key=lambda core: sign * self._utilization(core)))

    def _share(self, position: int) -> ServerFigures:
        node = self.node
        return share_of_node(self._figures[position], ancestor_figure(node), tick_figure(node))

    def _utilization(self, core: int) -> int:
        positions = (*self._bands.get(core, ()), *self._deadline.get(core, ()))
        return sum(share_below(*self._figures[position]) for position in positions)

    def _group(self, position: int) -> int | None:
        nested = self.node.ancestor_period is not None
        return None if nested else self.node.reservations[position].group

    def _by_urgency(self, core: int) -> list[int]:
        held = self.node.reservations
        return sorted(
            self._bands.get(core, ()),
            key=lambda position: (-max(held[position].priorities), position),
        )

"""A node and its cores as the search needs them: bands, servers, room, and what may change.

Integers in microseconds.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise
from typing import Self

from k40s.cpu.admission.sched_deadline import interference
from k40s.cpu.analysis.deferrable_server import share_of_node
from k40s.cpu.analysis.response_time import Interference, ServerParameters, TaskParameters
from k40s.cpu.bandwidth import fits_capacity, room_above, share_below
from k40s.cpu.effort import Effort
from k40s.cpu.linux import (
    Level,
    LevelRange,
    new_levels,
    quantize_ancestor_period,
    quantize_deadline_tick,
    quantize_server,
    quantize_task,
    quantize_tick,
    urgency_order,
)
from k40s.cpu.model import ANY_CORE, ContainerDemand, CpuNode, Mechanism, Packing, Reservation, Task
from k40s.criticality import Criticality


@dataclass(frozen=True, slots=True)
class Search:
    """Parameters of the search: the levels of a core, and the effort limit.

    A ``cautious`` search lets running servers grow by the stricter of the two tests, so that its
    result stays valid when other pods depart later.
    """

    levels: LevelRange
    effort: Effort
    cautious: bool = False


@dataclass(frozen=True, slots=True)
class Band:
    """A container's tasks in microseconds, from most to least urgent, and its rank on the core.

    ``order`` are the positions of the tasks in the container's own order, ``levels`` their levels,
    never rising. A lower ``rank`` is more urgent: criticality first, then the shortest period.
    """

    rank: tuple[int, int]
    order: tuple[int, ...]
    tasks: tuple[TaskParameters, ...]
    levels: tuple[Level, ...]

    @classmethod
    def of_demand(cls, container: ContainerDemand, criticality: Criticality) -> Self:
        """The band of a container to be placed; each task has a level of its own."""
        count = len(container.tasks)
        levels = new_levels(0, count, count)
        return cls._ordered(container.tasks, urgency_order(container.tasks), levels, criticality)

    @classmethod
    def of_reservation(cls, reservation: Reservation) -> Self:
        """The band of a placed container: its order is the one in force."""
        urgency = reservation.priorities
        order = sorted(range(len(urgency)), key=lambda position: -urgency[position])
        levels = tuple((urgency[position], 0) for position in order)
        return cls._ordered(reservation.tasks, tuple(order), levels, reservation.criticality)

    @classmethod
    def _ordered(
        cls,
        tasks: tuple[Task, ...],
        order: tuple[int, ...],
        levels: tuple[Level, ...],
        criticality: Criticality,
    ) -> Self:
        quantized = tuple(quantize_task(tasks[position]) for position in order)
        rank = (-criticality, min(period for _, period, _ in quantized))
        return cls(rank, order, quantized, levels)

    @property
    def share(self) -> int:
        """ΣC/T in units of 2⁻⁴⁰, rounded down: no server with less can serve the tasks."""
        return sum(share_below(cost, period) for cost, period, _ in self.tasks)

    @property
    def top(self) -> Level:
        """The level of the most urgent task."""
        return self.levels[0]

    @property
    def bottom(self) -> Level:
        """The level of the least urgent task."""
        return self.levels[-1]

    @property
    def level_mates(self) -> int:
        """How many of the least urgent tasks have one level."""
        return self.levels.count(self.bottom)

    def at(self, levels: tuple[Level, ...]) -> "Band":
        """The same tasks at other levels."""
        return replace(self, levels=levels)


def are_disjoint(bands: Sequence[Band]) -> bool:
    """Whether each band of a core, most urgent first, is above all of the next."""
    return all(upper.levels[-1] > lower.levels[0] for upper, lower in pairwise(bands))


def bands_above(bands: Sequence[Band]) -> tuple[tuple[int, ...], ...]:
    """For each band of a core, most urgent first, the others that can interfere with it.

    Those with a task at or above its least urgent one. Where levels are shared, two bands can
    stand above each other.
    """
    rising = [band.top for band in reversed(bands)]
    ends = [len(bands) - bisect_left(rising, own.bottom) for own in bands]
    return tuple((*range(at), *range(at + 1, end)) for at, end in enumerate(ends))


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreLoad:
    """The rt-cgroup servers of a core, most urgent band first, in microseconds.

    ``disjoint`` says whether no two bands share a level. ``positions`` are their indices in the
    node's reservations; ``growable`` marks those whose budget group serves no other core.
    ``elsewhere`` are the budget groups of the node that no change of this core can change,
    ``groups`` are those (number, server) that it does not use yet; ``ancestors`` is the period of
    the groups above, None at the top. ``deadline`` is the interference of SCHED_DEADLINE,
    ``deadline_servers`` its (Q, P). ``core_room`` and ``node_room`` are upper bounds of the
    remaining capacities, in units of 2⁻⁴⁰. ``tick`` is δ.
    """

    core: int
    tick: int
    capacity: Fraction
    node_capacity: Fraction
    core_room: int
    node_room: int
    positions: tuple[int, ...]
    bands: tuple[Band, ...]
    disjoint: bool
    servers: tuple[ServerParameters, ...]
    growable: tuple[bool, ...]
    elsewhere: tuple[ServerParameters, ...]
    groups: tuple[tuple[int, ServerParameters], ...]
    deadline: Interference
    deadline_servers: tuple[ServerParameters, ...]
    sharing: bool
    ancestors: int | None = None
    standing: dict[tuple[int, bool], int | None] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    """What ``growth`` has worked out of its bands, each without a newcomer."""

    def fits_node(self, changing: Iterable[ServerParameters]) -> bool:
        """Whether the groups that serve only this core fit the node, beside all others."""
        shares = [share_of_node(server, self.ancestors, self.tick) for server in changing]
        return fits_capacity((*shares, *self.elsewhere), self.node_capacity)


class NodeLoad:
    """The reservations of a node in microseconds; cores are evaluated on demand."""

    def __init__(self, node: CpuNode) -> None:
        self.node = node
        self._servers = [quantize_server(held.server) for held in node.reservations]
        self._bands: dict[int, list[int]] = {}
        self._deadline: dict[int, list[int]] = {}
        self._own: list[int] = []
        self._users: Counter[int] = Counter()
        self._groups: dict[int, ServerParameters] = {}
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
                self._groups[group] = self._servers[position]
        self._shares = {position: self._share(position) for position in self._own}
        every = [*self._shares.values(), *self._groups.values()]
        self._node_room = room_above(every, node.node_capacity)
        self._loads: dict[int, CoreLoad] = {}

    @property
    def groups(self) -> Mapping[int, ServerParameters]:
        """The shared budget groups by their numbers."""
        return self._groups

    def on(self, core: int) -> CoreLoad:
        """The load of a core, its bands in the order in force."""
        if core not in self._loads:
            self._loads[core] = self._load(core)
        return self._loads[core]

    def _load(self, core: int) -> CoreLoad:
        node = self.node
        positions = self._by_urgency(core)
        servers = tuple(self._servers[position] for position in positions)
        deadline = self.deadline_servers(core)
        tick = quantize_tick(node)
        bands = tuple(Band.of_reservation(node.reservations[p]) for p in positions)
        here = frozenset(positions)
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
            bands=bands,
            disjoint=are_disjoint(bands),
            servers=servers,
            growable=tuple(group is None or group in changing for group in used),
            elsewhere=(
                *(share for p, share in self._shares.items() if p not in here),
                *(server for number, server in self._groups.items() if number not in changing),
            ),
            groups=tuple(entry for entry in self._groups.items() if entry[0] not in used),
            deadline=interference(deadline, quantize_deadline_tick(node), tick),
            deadline_servers=deadline,
            sharing=node.shared_groups,
            ancestors=quantize_ancestor_period(node),
        )

    def deadline_servers(self, core: int) -> tuple[ServerParameters, ...]:
        """(Q, P) of the SCHED_DEADLINE reservations that may run on a core."""
        positions = (*self._deadline.get(core, ()), *self._deadline.get(ANY_CORE, ()))
        return tuple(self._servers[position] for position in positions)

    def deadline_reservations(self, core: int) -> list[Reservation]:
        """The SCHED_DEADLINE reservations of a root domain: of a core, or of any core."""
        return [self.node.reservations[position] for position in self._deadline.get(core, ())]

    def tasks_on(self, core: int) -> tuple[int, int]:
        """Number of tasks on a core by either mechanism, and number of them below HI."""
        number = below_hi = 0
        for position in (*self._bands.get(core, ()), *self._deadline.get(core, ())):
            held = self.node.reservations[position]
            number += len(held.tasks)
            if held.criticality is not Criticality.HI:
                below_hi += len(held.tasks)
        return number, below_hi

    def in_order(self) -> Iterator[int]:
        """The cores in the order in which the node's packing tries them."""
        cores = self.node.cores
        if self.node.packing is Packing.FIRST_FIT:
            return iter(cores)
        sign = -1 if self.node.packing is Packing.BEST_FIT else 1
        return iter(sorted(cores, key=lambda core: sign * self._utilization(core)))

    def _share(self, position: int) -> ServerParameters:
        node = self.node
        return share_of_node(
            self._servers[position], quantize_ancestor_period(node), quantize_tick(node)
        )

    def _utilization(self, core: int) -> int:
        positions = (*self._bands.get(core, ()), *self._deadline.get(core, ()))
        return sum(share_below(*self._servers[position]) for position in positions)

    def _group(self, position: int) -> int | None:
        nested = self.node.ancestor_period is not None
        return None if nested else self.node.reservations[position].group

    def _by_urgency(self, core: int) -> list[int]:
        held = self.node.reservations
        return sorted(
            self._bands.get(core, ()),
            key=lambda position: (-max(held[position].priorities), position),
        )

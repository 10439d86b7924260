"""One more container on a core: its band, its server, and what becomes of the bands below it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from k40s.cpu.bands import Band
from k40s.cpu.bandwidth import as_decimal, fits_capacity
from k40s.cpu.choices import choices_by_cost
from k40s.cpu.cores import CoreLoad
from k40s.cpu.growth import grown_budget
from k40s.cpu.headroom import leaves_headroom
from k40s.cpu.hierarchy import ServerFigures
from k40s.cpu.outcome import Rejection
from k40s.cpu.priorities import LEVELS
from k40s.cpu.response import Interference
from k40s.cpu.servers import deferrable
from k40s.cpu.synthesis import room_is_missing
from k40s.reasons import Reason

MOST_DISTANT = 4
"""How many bands a newcomer may be away from the place of its rank."""


@dataclass(frozen=True, slots=True)
class Placement:
    """The servers of a core after a newcomer came in at ``position``, most urgent first.

    ``group`` is the shared budget group that it joins; None stands for a new one.
    """

    position: int
    servers: tuple[ServerFigures, ...]
    group: int | None


def place(load: CoreLoad, newcomer: Band) -> Placement | Rejection:
    """Find the newcomer's band and the cheapest server that leaves everyone below schedulable.

    The band's place is by rank, and by criticality alone where its rank finds none. Servers above
    are untouched. Servers below keep their period and may grow, in order. Among equal ranks those
    that are there rank above.
    """
    refusal = _refuse_at_once(load, newcomer)
    if refusal is not None:
        return refusal
    outcomes = []
    for position in _positions(load.bands, newcomer):
        outcome = _place_at(load, newcomer, position)
        if isinstance(outcome, Placement):
            return outcome
        outcomes.append(outcome)
    return outcomes[0]


def _positions(bands: Sequence[Band], newcomer: Band) -> Iterator[int]:
    """Where the newcomer may go: first by rank, then elsewhere in its criticality, nearest first.

    HI stays above LOW wherever that is so.
    """
    criticality = newcomer.rank[0]
    first = max((at + 1 for at, band in enumerate(bands) if band.rank[0] < criticality), default=0)
    last = first
    while last < len(bands) and bands[last].rank[0] == criticality:
        last += 1
    ranked = next((at for at in range(first, last) if bands[at].rank > newcomer.rank), last)
    yield ranked
    for distance in range(1, MOST_DISTANT + 1):
        for position in (ranked + distance, ranked - distance):
            if first <= position <= last:
                yield position


def _place_at(load: CoreLoad, newcomer: Band, position: int) -> Placement | Rejection:
    above = (*load.deadline, *(deferrable(*server) for server in load.servers[:position]))
    outcome: Rejection | None = None
    for choice in choices_by_cost(load, newcomer.tasks, above):
        lower = regrown(load, position, (*above, deferrable(*choice.server)))
        if lower is None:
            outcome = outcome or _unschedulable("a task below it would miss its deadline")
            continue
        servers = (*load.servers[:position], choice.server, *lower)
        own = [choice.server] if choice.group is None else []
        grown = _growable(load, (*load.servers[:position], *lower))
        if _within_core(load, servers) and load.fits_node((*own, *grown)):
            return Placement(position, servers, choice.group)
        outcome = _no_room(load, "with its server, and those that must grow for it")
    if outcome is not None:
        return outcome
    room = min(load.core_room, load.node_room)
    if room_is_missing(newcomer.tasks, above, load.tick, room=room):
        return _no_room(load, "every server that meets its deadlines is too large")
    return _unschedulable("no server meets its deadlines")


def grown_below(
    load: CoreLoad, deadline: Interference, deadline_servers: tuple[ServerFigures, ...]
) -> tuple[ServerFigures, ...] | Rejection:
    """The servers of a core when ``deadline`` is what SCHED_DEADLINE takes from it."""
    if not load.servers:
        return ()
    servers = regrown(load, 0, deadline)
    if servers is None:
        return _unschedulable("a task below it would miss its deadline")
    everything = (*servers, *deadline_servers)
    if (
        fits_capacity(everything, load.capacity)
        and load.fits_node(_growable(load, servers))
        and leaves_headroom(servers, load.tick, deadline)
    ):
        return servers
    return _no_room(load, "with it, and the servers that must grow for it")


def regrown(load: CoreLoad, position: int, above: Interference) -> tuple[ServerFigures, ...] | None:
    """The servers from ``position`` on under ``above``, each with the budget that it now needs.

    None where one cannot be had. Budgets never shrink, because shrinking a live group can black
    it out for seconds, and a group that serves several cores does not change at all.
    """
    before = (*load.deadline, *(deferrable(*server) for server in load.servers[:position]))
    grown: list[ServerFigures] = []
    for band, server, growable in zip(
        load.bands[position:], load.servers[position:], load.growable[position:], strict=True
    ):
        enough = grown_budget(
            band.tasks, server, before=before, above=above, tick=load.tick, growable=growable
        )
        if enough is None:
            return None
        grown.append((enough, server[1]))
        before = (*before, deferrable(*server))
        above = (*above, deferrable(*grown[-1]))
    return tuple(grown)


def _refuse_at_once(load: CoreLoad, newcomer: Band) -> Rejection | None:
    room = load.core_room if load.groups else min(load.core_room, load.node_room)
    if newcomer.share > room:
        return _no_room(load, f"its tasks alone use {as_decimal(newcomer.share)}")
    levels = sum(len(band.tasks) for band in load.bands) + len(newcomer.tasks)
    if levels > LEVELS:
        detail = f"{levels} tasks for {LEVELS} priorities"
        return Rejection(reason=Reason.CPU_NO_PRIORITY, detail=detail)
    return None


def _growable(load: CoreLoad, servers: tuple[ServerFigures, ...]) -> list[ServerFigures]:
    """Those in budget groups that serve nobody else."""
    return [server for server, own in zip(servers, load.growable, strict=True) if own]


def _within_core(load: CoreLoad, servers: tuple[ServerFigures, ...]) -> bool:
    return fits_capacity((*servers, *load.deadline_servers), load.capacity) and leaves_headroom(
        servers, load.tick, load.deadline
    )


def _no_room(load: CoreLoad, what: str) -> Rejection:
    on_node = load.node_room < load.core_room
    reason = Reason.CPU_NODE_BANDWIDTH if on_node else Reason.CPU_NO_BANDWIDTH
    left = (
        f"{as_decimal(load.core_room)} left on the core, {as_decimal(load.node_room)} on the node"
    )
    return Rejection(reason=reason, detail=f"{what}; {left}")


def _unschedulable(what: str) -> Rejection:
    return Rejection(reason=Reason.CPU_NOT_SCHEDULABLE, detail=what)

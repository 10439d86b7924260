"""One more container on a core: its levels, its server, and the budgets of the bands below it.

Servers are tried cheapest first: a new budget group, or one that other cores use. The latter costs
nothing of the node's bandwidth, but its (Q, P) was made for another container. Both kinds are
compared by what they cost the core, and a new one by its share of the node besides. New budgets are
not rounded up for the sake of sharing: that was tried, and gains nothing
(docs/adr/0010-packing-shared-groups.md). Integers in microseconds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import merge

from k40s.cpu.admission.core_load import Band, CoreLoad, Search
from k40s.cpu.admission.growth import grown_servers, hierarchical_test_holds, serves
from k40s.cpu.analysis import containment
from k40s.cpu.analysis.deferrable_server import deferrable
from k40s.cpu.analysis.response_time import Interference, ServerParameters
from k40s.cpu.bandwidth import as_decimal, fits_capacity, share_below
from k40s.cpu.effort import Effort
from k40s.cpu.linux import LevelRange, avoids_rt_throttling, new_levels
from k40s.cpu.outcome import Rejection
from k40s.cpu.synthesis import cost, needed_share, room_is_missing, servers_by_cost, shortest_period
from k40s.criticality import Criticality
from k40s.reasons import Reason

MOST_DISTANT = 4
"""Largest distance, in bands, of a newcomer from the position of its rank."""

ANALYSES_PER_SYNTHESIS = 8
"""Approximate number of analyses of a newcomer's tasks for one server."""


@dataclass(frozen=True, slots=True)
class Placement:
    """A newcomer with its levels and its server, and the ``others`` of the core beside it.

    The others are in the order of the core's bands. ``group`` is the shared budget group that the
    newcomer joins; None stands for a new one.
    """

    newcomer: Band
    server: ServerParameters
    others: tuple[ServerParameters, ...]
    group: int | None


def place_band(
    load: CoreLoad,
    newcomer: Band,
    search: Search,
    *,
    given: "Choice | None" = None,
) -> Placement | Rejection:
    """Find the newcomer's levels and the cheapest server that leaves everyone else schedulable.

    Its position is by rank, or anywhere within its criticality where its rank fits nowhere. Servers
    above are unchanged. Servers below keep their period and may grow, in order. Among equal ranks
    the present ones rank above. Where no level is left, it shares that of a neighbour. A ``given``
    server is the only one that is tried, and nothing grows for it.
    """
    may_join = load.sharing and load.groups
    room = load.core_room if may_join else min(load.core_room, load.node_room)
    if newcomer.share > room:
        return _no_room(load, f"its tasks alone use {as_decimal(newcomer.share)}")
    free = _free_levels(load.bands, newcomer, search.levels)
    outcomes: list[Rejection] = []
    for candidate in _at_levels(load.bands, newcomer, free):
        outcome = _place_at(
            load, candidate, search, reported=given is None and not outcomes, given=given
        )
        if isinstance(outcome, Placement) or search.effort.is_spent():
            return outcome
        outcomes.append(outcome)
    first = outcomes[0] if outcomes else None
    if first is None or (free == 0 and first.reason is Reason.CPU_NOT_SCHEDULABLE):
        detail = "no priority is left, and to share one would make a task late"
        return Rejection(reason=Reason.CPU_NO_PRIORITY, detail=detail)
    return first


def _free_levels(bands: Sequence[Band], newcomer: Band, levels: LevelRange) -> int:
    high = {level for band in bands if _is_hi(band) for level in band.levels}
    every = {level for band in bands for level in band.levels}
    criticality = Criticality.HI if _is_hi(newcomer) else Criticality.LOW
    return levels.free(criticality, hi=len(high), low=len(every) - len(high))


def _is_hi(band: Band) -> bool:
    return -band.rank[0] == Criticality.HI


def _at_levels(bands: Sequence[Band], newcomer: Band, free: int) -> Iterator[Band]:
    """The newcomer at its possible levels, in the order in which they are tried."""
    count = len(newcomer.tasks)
    tried = set()
    for position in _positions(bands, newcomer):
        if free:
            below = bands[position].top[0] if position < len(bands) else 0
            yield newcomer.at(new_levels(below, free, count))
            continue
        for neighbour in bands[max(0, position - 1) : position + 1]:
            level = neighbour.bottom
            if neighbour.rank[0] == newcomer.rank[0] and level not in tried:
                tried.add(level)
                yield newcomer.at((level,) * count)


def _positions(bands: Sequence[Band], newcomer: Band) -> Iterator[int]:
    """Positions of the newcomer: first by rank, then elsewhere in its criticality, nearest first.

    HI stays above LOW wherever it is so already.
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


def _place_at(
    load: CoreLoad, newcomer: Band, search: Search, *, reported: bool, given: "Choice | None"
) -> Placement | Rejection:
    """Place the newcomer at its levels.

    Only the first position's rejection is ``reported``, so that elsewhere its reason is not sought.
    """
    over = [at for at, band in enumerate(load.bands) if band.top >= newcomer.bottom]
    above = _interference(load, over, load.servers)
    outcome: Rejection | None = None
    effort = search.effort
    effort.take(len(newcomer.tasks), len(above), times=ANALYSES_PER_SYNTHESIS)
    if effort.is_spent():
        return spent()
    settled = not reported
    choices = choices_by_cost(load, newcomer, above, effort) if given is None else (given,)
    for choice in choices:
        if settled and not _within_core(load, (*load.servers, choice.server)):
            continue  # servers that grow need no less
        others = grown_servers(load, load.deadline, (newcomer, choice.server), search)
        if effort.is_spent():
            return spent()
        if others is None or (given is not None and others != load.servers):
            outcome = outcome or _unschedulable("a task below it would miss its deadline")
            continue
        grown_above = any(others[at] != load.servers[at] for at in over)
        if (grown_above or given is not None) and not serves(
            newcomer.tasks,
            choice.server,
            _interference(load, over, others),
            load.tick,
            newcomer.level_mates,
        ):
            outcome = outcome or _unschedulable("it would miss a deadline beside those it shares")
            continue
        own = [choice.server] if choice.group is None else []
        if _within_core(load, (*others, choice.server)) and load.fits_node(
            (*own, *_growable(load, others))
        ):
            return Placement(newcomer, choice.server, others, choice.group)
        outcome, settled = _no_room(load, "with its server, and those that must grow for it"), True
    if outcome is not None:
        return outcome
    room = min(load.core_room, load.node_room)
    if reported and room_is_missing(
        newcomer.tasks,
        above,
        load.tick,
        room=room,
        level_mates=newcomer.level_mates,
        effort=effort,
    ):
        return _no_room(load, "every server that meets its deadlines is too large")
    return _unschedulable("no server meets its deadlines")


def _interference(
    load: CoreLoad, over: Sequence[int], servers: Sequence[ServerParameters]
) -> Interference:
    return (*load.deadline, *(deferrable(*servers[at]) for at in over))


def grow_below_deadline(
    load: CoreLoad,
    deadline: Interference,
    deadline_servers: tuple[ServerParameters, ...],
    search: Search,
) -> tuple[ServerParameters, ...] | Rejection:
    """The servers of a core when ``deadline`` is what SCHED_DEADLINE takes from it."""
    if not load.servers:
        return ()
    servers = grown_servers(load, deadline, None, search)
    if search.effort.is_spent():
        return spent()
    if servers is None:
        return _unschedulable("a task below it would miss its deadline")
    everything = (*servers, *deadline_servers)
    if (
        fits_capacity(everything, load.capacity)
        and load.fits_node(_growable(load, servers))
        and avoids_rt_throttling(servers, load.tick, deadline)
    ):
        return servers
    return _no_room(load, "with it, and the servers that must grow for it")


def _growable(load: CoreLoad, servers: tuple[ServerParameters, ...]) -> list[ServerParameters]:
    """Those in budget groups that serve no other core."""
    return [server for server, own in zip(servers, load.growable, strict=True) if own]


def _within_core(load: CoreLoad, servers: tuple[ServerParameters, ...]) -> bool:
    return fits_capacity(
        (*servers, *load.deadline_servers), load.capacity
    ) and avoids_rt_throttling(servers, load.tick, load.deadline)


def _no_room(load: CoreLoad, what: str) -> Rejection:
    on_node = load.node_room < load.core_room
    reason = Reason.CPU_NODE_BANDWIDTH if on_node else Reason.CPU_NO_BANDWIDTH
    left = (
        f"{as_decimal(load.core_room)} left on the core, {as_decimal(load.node_room)} on the node"
    )
    return Rejection(reason=reason, detail=f"{what}; {left}")


def spent() -> Rejection:
    """Rejection of a search that has used up its effort."""
    detail = "the search for a place took more steps than it may"
    return Rejection(reason=Reason.CPU_ANALYSIS_LIMIT, detail=detail)


def _unschedulable(what: str) -> Rejection:
    return Rejection(reason=Reason.CPU_NOT_SCHEDULABLE, detail=what)


NEW_GROUP_WEIGHT = 1
"""Weight of a new group's share of the node, against its share of the core."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A server (Q, P), and the number of the group that provides it; None for a new one."""

    server: ServerParameters
    group: int | None


def choices_by_cost(
    load: CoreLoad, newcomer: Band, above: Interference, effort: Effort
) -> Iterator[Choice]:
    """Servers that serve a newcomer's tasks under ``above``, cheapest first, lazily.

    The caller checks the bands below and the capacities.
    """
    room = min(load.core_room, load.node_room)
    new = servers_by_cost(
        newcomer.tasks,
        above,
        load.tick,
        room=room,
        level_mates=newcomer.level_mates,
        effort=effort,
    )
    if not load.sharing:
        return (Choice(server, None) for server in new)
    shortest = shortest_period(newcomer.tasks)

    def rank(choice: Choice) -> int:
        alone = cost(choice.server, shortest, load.tick)
        return (
            alone
            if choice.group is not None
            else alone + NEW_GROUP_WEIGHT * share_below(*choice.server)
        )

    existing = _existing(load, newcomer, above, effort)
    return merge(existing, (Choice(server, None) for server in new), key=rank)


def _existing(
    load: CoreLoad, newcomer: Band, above: Interference, effort: Effort
) -> Iterator[Choice]:
    tasks, level_mates = newcomer.tasks, newcomer.level_mates
    shortest = shortest_period(tasks)
    found = containment.responses(tasks, above, load.tick, level_mates)
    for number, server in sorted(
        load.groups, key=lambda entry: cost(entry[1], shortest, load.tick)
    ):
        budget, period = server
        effort.take(len(tasks), len(above))
        if effort.is_spent():
            return
        if (
            budget >= needed_share(tasks, period)
            and share_below(budget, period) <= load.core_room
            and found is not None
            and (
                containment.most_used(tasks, found, period + load.tick) <= budget
                or hierarchical_test_holds(tasks, server, above, load.tick, level_mates)
            )
        ):
            yield Choice(server, number)

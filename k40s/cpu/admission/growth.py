"""The budgets that the running servers of a core need when more interferes with them.

A server grows or stays, and keeps its period. Budgets never shrink, because shrinking a live group
can black it out for seconds, and a group that serves several cores does not change at all. Either
test may hold a server, the hierarchical one or containment; but tasks that were throttled
so far are not contained from one instant to the next (``analysis.containment.backlog_budget``).

Where bands share levels, two servers can each stand above the other, so that one that grows may
make the other grow; that is repeated until nothing changes. Such servers cannot both grow before
the other does, so each has to hold with its old budget while the others have their new ones
(docs/theory.md, "Changing a live core"). ``level_mates`` of a container's least urgent tasks have
one priority. Integers in microseconds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from k40s.cpu.admission.core_load import Band, CoreLoad, Search, bands_above
from k40s.cpu.analysis import containment
from k40s.cpu.analysis.deferrable_server import deferrable, largest_budget, server_response
from k40s.cpu.analysis.response_time import (
    Interference,
    ServerParameters,
    TaskParameters,
    server_tasks_response,
)
from k40s.cpu.effort import Effort
from k40s.cpu.synthesis import least_budget

MAX_ROUNDS = 8
"""Servers that still make each other grow after so many rounds are refused."""

Newcomer = tuple[Band, ServerParameters]
"""At its levels, with its server."""


def grown_servers(
    load: CoreLoad, deadline: Interference, newcomer: Newcomer | None, search: Search
) -> tuple[ServerParameters, ...] | None:
    """The servers with the budgets that they need, or None where one cannot be had or found.

    ``deadline`` is what SCHED_DEADLINE takes.
    """
    if load.disjoint:
        return _regrown_in_order(load, deadline, newcomer, search)
    change = _Change(load, bands_above(load.bands), deadline, newcomer, search)
    servers = list(load.servers)
    for _ in range(MAX_ROUNDS):
        before = tuple(servers)
        for at in range(len(servers)):
            if not change.affects(at, servers):
                continue
            search.effort.take(len(load.bands[at].tasks), len(deadline) + len(change.above[at]))
            enough = None if search.effort.is_spent() else change.needed(at, servers)
            if enough is None:
                return None
            servers[at] = (enough, servers[at][1])
        if before == tuple(servers):
            sound = all(change.is_sound(at, servers) for at in range(len(servers)))
            return before if sound else None
    return None


def _regrown_in_order(
    load: CoreLoad, deadline: Interference, newcomer: Newcomer | None, search: Search
) -> tuple[ServerParameters, ...] | None:
    """The same where each server stands below all before it: one pass from the top."""
    servers = list(load.servers)
    before, above = load.deadline, deadline
    first = _first_below(load, newcomer)
    for at, (band, server) in enumerate(zip(load.bands, load.servers, strict=True)):
        if at >= first:
            if newcomer is not None and at == first:
                above = (*above, deferrable(*newcomer[1]))
            search.effort.take(len(band.tasks), len(above))
            if search.effort.is_spent():
                return None
            enough = grown_budget(
                band.tasks,
                server,
                standing=partial(_standing, load, at, before, search),
                above=above,
                tick=load.tick,
                growable=load.growable[at],
                level_mates=band.level_mates,
                effort=search.effort,
            )
            if enough is None:
                return None
            servers[at] = (enough, server[1])
        before = (*before, deferrable(*server))
        above = (*above, deferrable(*servers[at]))
    return tuple(servers)


def _standing(load: CoreLoad, at: int, before: Interference, search: Search) -> int | None:
    """The standing budget of a band, worked out once for all servers that a newcomer tries."""
    key = (at, search.cautious)
    if key not in load.standing:
        band = load.bands[at]
        load.standing[key] = standing_budget(
            band.tasks,
            load.servers[at],
            before,
            tick=load.tick,
            level_mates=band.level_mates,
            cautious=search.cautious,
        )
    return load.standing[key]


def _first_below(load: CoreLoad, newcomer: Newcomer | None) -> int:
    """The first band below the newcomer; all where SCHED_DEADLINE is the newcomer."""
    if newcomer is None:
        return 0
    top = newcomer[0].top
    for at, band in enumerate(load.bands):
        if top >= band.levels[-1]:
            return at
    return len(load.bands)


@dataclass(frozen=True, slots=True)
class _Change:
    """A change of a core on which servers can stand ``above`` each other, by their indices."""

    load: CoreLoad
    above: tuple[tuple[int, ...], ...]
    deadline: Interference
    newcomer: Newcomer | None
    search: Search

    def affects(self, at: int, servers: Sequence[ServerParameters]) -> bool:
        """Whether more interferes with a server than before."""
        load, newcomer = self.load, self.newcomer
        return (
            self.deadline is not load.deadline
            or (newcomer is not None and newcomer[0].top >= load.bands[at].bottom)
            or any(servers[other] != load.servers[other] for other in self.above[at])
        )

    def needed(
        self, at: int, servers: Sequence[ServerParameters], *, before: Interference | None = None
    ) -> int | None:
        """The budget that a server needs beside the others; at least its present one."""
        load, newcomer, band = self.load, self.newcomer, self.load.bands[at]
        entering: Interference = ()
        if newcomer is not None and newcomer[0].top >= band.bottom:
            entering = (deferrable(*newcomer[1]),)
        if before is None:
            before = self._interference(at, load.servers)
            standing = partial(_standing, load, at, before, self.search)
        else:
            standing = partial(
                standing_budget,
                band.tasks,
                load.servers[at],
                before,
                tick=load.tick,
                level_mates=band.level_mates,
                cautious=self.search.cautious,
            )
        return grown_budget(
            band.tasks,
            load.servers[at],
            standing=standing,
            above=(*self.deadline, *self._from_servers(at, servers), *entering),
            tick=load.tick,
            growable=load.growable[at],
            level_mates=band.level_mates,
            effort=self.search.effort,
        )

    def is_sound(self, at: int, servers: Sequence[ServerParameters]) -> bool:
        """Whether a server holds while its equals have grown already, and it has not yet."""
        load, band = self.load, self.load.bands[at]
        equals = {other for other in self.above[at] if at in self.above[other]}
        if not any(servers[other] != load.servers[other] for other in equals):
            return True
        mixed = [
            new if other in equals else old
            for other, (old, new) in enumerate(zip(load.servers, servers, strict=True))
        ]
        meanwhile = self._interference(at, mixed)
        if not same_test_holds(
            band.tasks,
            load.servers[at],
            before=self._interference(at, load.servers),
            above=meanwhile,
            tick=load.tick,
            level_mates=band.level_mates,
            cautious=self.search.cautious,
        ):
            return False
        needed = self.needed(at, servers, before=meanwhile)
        return needed is not None and needed <= servers[at][0]

    def _interference(self, at: int, servers: Sequence[ServerParameters]) -> Interference:
        return (*self.load.deadline, *self._from_servers(at, servers))

    def _from_servers(self, at: int, servers: Sequence[ServerParameters]) -> Interference:
        return tuple(deferrable(*servers[other]) for other in self.above[at])


def hierarchical_test_holds(
    tasks: tuple[TaskParameters, ...],
    server: ServerParameters,
    above: Interference,
    tick: int,
    level_mates: int = 1,
) -> bool:
    """Whether tasks meet their deadlines in a server that other threads in it may use up."""
    return (
        server_response(*server, above, tick) is not None
        and server_tasks_response(tasks, server, above, tick, level_mates) is not None
    )


def serves(
    tasks: tuple[TaskParameters, ...],
    server: ServerParameters,
    above: Interference,
    tick: int,
    level_mates: int = 1,
) -> bool:
    """Whether tasks meet their deadlines in a server, by either test."""
    return containment.contains(tasks, server, above, tick, level_mates) or hierarchical_test_holds(
        tasks, server, above, tick, level_mates
    )


def same_test_holds(
    tasks: tuple[TaskParameters, ...],
    server: ServerParameters,
    *,
    before: Interference,
    above: Interference,
    tick: int,
    level_mates: int = 1,
    cautious: bool = False,
) -> bool:
    """Whether the test that the tasks pass below ``before`` also holds below ``above``.

    A ``cautious`` answer requires the hierarchical test: tasks that are contained now may pass only
    that one when others have departed.
    """
    if cautious or hierarchical_test_holds(tasks, server, before, tick, level_mates):
        return hierarchical_test_holds(tasks, server, above, tick, level_mates)
    return containment.contains(tasks, server, above, tick, level_mates)


def grown_budget(
    tasks: tuple[TaskParameters, ...],
    server: ServerParameters,
    *,
    standing: Callable[[], int | None],
    above: Interference,
    tick: int,
    growable: bool,
    level_mates: int = 1,
    effort: Effort | None = None,
) -> int | None:
    """The least budget, from the present one on, that serves the tasks below ``above``, or None.

    ``standing`` is their ``standing_budget``, asked for where the budget does not do as it is. A
    server that is not ``growable`` keeps its budget.
    """
    budget, period = server
    received = server_response(budget, period, above, tick) is not None
    if received and server_tasks_response(tasks, server, above, tick, level_mates) is not None:
        return budget
    containing = standing()
    if containing is not None:
        least = containment.least_budget(tasks, period, above, tick, level_mates)
        containing = None if least is None else max(budget, least, containing)
    if containing == budget or not growable:
        return budget if containing == budget else None
    if not received:  # still less would be of a larger budget
        return containing
    high = largest_budget(period, above, tick, effort)
    if containing is not None:
        high = min(high, containing)
    waiting = least_budget(tasks, (budget + 1, high), period, above, tick, level_mates=level_mates)
    return containing if waiting is None else waiting


def standing_budget(
    tasks: tuple[TaskParameters, ...],
    server: ServerParameters,
    before: Interference,
    *,
    tick: int,
    level_mates: int,
    cautious: bool,
) -> int | None:
    """What containment needs besides, because of what the tasks have been through ``before``.

    0 where the server has contained them so far, else the ``backlog_budget``, or None. A
    ``cautious`` answer does not rely on that, which may end when others depart.
    """
    if cautious or hierarchical_test_holds(tasks, server, before, tick, level_mates):
        return containment.backlog_budget(tasks, period=server[1], above=before, tick=tick)
    return 0

"""Placing one container on one core: its band, its server, and what becomes of those below it."""

from bisect import bisect_right

from k40s.cpu.bands import Band
from k40s.cpu.bandwidth import as_decimal, fits_capacity
from k40s.cpu.budget import least_budget
from k40s.cpu.cores import CoreLoad, Placement
from k40s.cpu.headroom import leaves_headroom
from k40s.cpu.hierarchy import ServerFigures, server_tasks_response
from k40s.cpu.outcome import Rejection
from k40s.cpu.priorities import LEVELS
from k40s.cpu.response import Interference
from k40s.cpu.servers import deferrable, largest_budget, server_response
from k40s.cpu.synthesis import room_is_missing, servers_by_cost
from k40s.reasons import Reason


def place(load: CoreLoad, newcomer: Band) -> Placement | Rejection:
    """Find the newcomer's band and its cheapest server that leaves everyone below schedulable.

    Servers above are untouched. Servers below keep their period and may grow, in order. Among
    equal ranks those that are there rank above.
    """
    refusal = _refuse_at_once(load, newcomer)
    if refusal is not None:
        return refusal
    position = bisect_right(load.bands, newcomer.rank, key=lambda band: band.rank)
    above = tuple(deferrable(*server) for server in load.servers[:position])
    room = min(load.core_room, load.node_room)
    outcome: Rejection | None = None
    for server in servers_by_cost(newcomer.tasks, above, load.tick, room=room):
        lower = _regrown(load, position, (*above, deferrable(*server)))
        if lower is None:
            outcome = outcome or _unschedulable("a task below it would miss its deadline")
            continue
        servers = (*load.servers[:position], server, *lower)
        if _within_capacities(load, servers):
            return Placement(position, servers)
        outcome = _no_room(load, "with its server, and those that must grow for it")
    if outcome is not None:
        return outcome
    if room_is_missing(newcomer.tasks, above, load.tick, room=room):
        return _no_room(load, "every server that meets its deadlines is too large")
    return _unschedulable("no server meets its deadlines")


def _refuse_at_once(load: CoreLoad, newcomer: Band) -> Rejection | None:
    if newcomer.share > min(load.core_room, load.node_room):
        return _no_room(load, f"its tasks alone use {as_decimal(newcomer.share)}")
    levels = sum(len(band.tasks) for band in load.bands) + len(newcomer.tasks)
    if levels > LEVELS:
        detail = f"{levels} tasks for {LEVELS} priorities"
        return Rejection(reason=Reason.CPU_NO_PRIORITY, detail=detail)
    return None


def _regrown(
    load: CoreLoad, position: int, above: Interference
) -> tuple[ServerFigures, ...] | None:
    """The servers from ``position`` on under ``above``, each with the budget that it now needs.

    None where one cannot be had. Budgets never shrink, because shrinking a live group can black
    it out for seconds.
    """
    grown: list[ServerFigures] = []
    for band, (budget, period) in zip(load.bands[position:], load.servers[position:], strict=True):
        enough = _grown(band, budget, period, above, load.tick)
        if enough is None:
            return None
        grown.append((enough, period))
        above = (*above, deferrable(enough, period))
    return tuple(grown)


def _grown(band: Band, budget: int, period: int, above: Interference, tick: int) -> int | None:
    if server_response(budget, period, above, tick) is None:
        return None
    if server_tasks_response(band.tasks, (budget, period), above, tick) is not None:
        return budget
    high = largest_budget(period, above, tick)
    return least_budget(band.tasks, (budget + 1, high), period, above, tick)


def _within_capacities(load: CoreLoad, servers: tuple[ServerFigures, ...]) -> bool:
    here = set(load.positions)
    elsewhere = [s for position, s in enumerate(load.everywhere) if position not in here]
    return (
        fits_capacity(servers, load.capacity)
        and fits_capacity([*servers, *elsewhere], load.node_capacity)
        and leaves_headroom(servers, load.tick)
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

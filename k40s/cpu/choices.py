"""Which servers a container may get on a core, cheapest first: a new budget group, or a shared one.

A group that other cores use already costs nothing of the node's budget, but its (Q, P) was made
for somebody else. Both kinds are compared by cost: Q/P for a group that is there, twice that for a
new one. Integers in microseconds.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from heapq import merge

from k40s.cpu.bandwidth import SCALE_BITS, share_below
from k40s.cpu.cores import CoreLoad
from k40s.cpu.figures import SERVER_OVERHEAD
from k40s.cpu.hierarchy import ServerFigures, TaskFigures, server_tasks_response
from k40s.cpu.response import Interference
from k40s.cpu.servers import largest_budget, server_response
from k40s.cpu.synthesis import needed_share, servers_by_cost


@dataclass(frozen=True, slots=True)
class Choice:
    """A server (Q, P), and the number of the group that provides it; None for a new one."""

    server: ServerFigures
    group: int | None


def choices_by_cost(
    load: CoreLoad, tasks: tuple[TaskFigures, ...], above: Interference
) -> Iterator[Choice]:
    """Servers that serve ``tasks`` under ``above``, cheapest first, lazily.

    What becomes of the bands below, and whether the capacities bear it, is the caller's to see.
    """
    room = min(load.core_room, load.node_room)
    new = servers_by_cost(tasks, above, load.tick, room=room)
    if not load.sharing:
        return (Choice(server, None) for server in new)
    rounded = (Choice(_rounded(server, above, load, room), None) for server in new)
    return merge(_existing(load, tasks, above), rounded, key=_cost)


def _cost(choice: Choice) -> int:
    budget, period = choice.server
    factor = 2 if choice.group is None else 1
    return factor * share_below(budget + SERVER_OVERHEAD, period)


def _existing(
    load: CoreLoad, tasks: tuple[TaskFigures, ...], above: Interference
) -> Iterator[Choice]:
    choices = (Choice(server, number) for number, server in load.groups)
    for choice in sorted(choices, key=_cost):
        budget, period = server = choice.server
        if (
            budget >= needed_share(tasks, period)
            and share_below(budget, period) <= load.core_room
            and server_response(budget, period, above, load.tick) is not None
            and server_tasks_response(tasks, server, above, load.tick) is not None
        ):
            yield choice


def _rounded(
    server: ServerFigures, above: Interference, load: CoreLoad, room: int
) -> ServerFigures:
    """A larger server of the same period that more containers can share, if there is room."""
    budget, period = server
    step = max(1, period // 32)
    larger = -(-budget // step) * step
    high = min(largest_budget(period, above, load.tick), room * period >> SCALE_BITS)
    return (larger, period) if larger <= high else server

"""Which servers a container may get on a core, cheapest first: a new budget group, or a shared one.

A group that other cores use already costs nothing of the node's bandwidth, but its (Q, P) was made
for somebody else. Both kinds are compared by what they cost the core, and a new one by its share
of the node besides. New budgets are not rounded up for the sake of sharing: that was tried, and
gains nothing (docs/adr/0010-packing-shared-groups.md). Integers in microseconds.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from heapq import merge

from k40s.cpu import containment
from k40s.cpu.bandwidth import share_below
from k40s.cpu.cores import CoreLoad
from k40s.cpu.growth import waited_for
from k40s.cpu.hierarchy import ServerFigures, TaskFigures
from k40s.cpu.response import Interference
from k40s.cpu.synthesis import cost, needed_share, servers_by_cost, shortest_period

NEW_GROUP = 1
"""How much a share of the node weighs in a new group, against a share of the core."""


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
    shortest = shortest_period(tasks)

    def rank(choice: Choice) -> int:
        alone = cost(choice.server, shortest, load.tick)
        return (
            alone if choice.group is not None else alone + NEW_GROUP * share_below(*choice.server)
        )

    return merge(_existing(load, tasks, above), (Choice(server, None) for server in new), key=rank)


def _existing(
    load: CoreLoad, tasks: tuple[TaskFigures, ...], above: Interference
) -> Iterator[Choice]:
    shortest = shortest_period(tasks)
    found = containment.responses(tasks, above, load.tick)
    for number, server in sorted(
        load.groups, key=lambda entry: cost(entry[1], shortest, load.tick)
    ):
        budget, period = server
        if (
            budget >= needed_share(tasks, period)
            and share_below(budget, period) <= load.core_room
            and found is not None
            and (
                containment.most_used(tasks, found, period + load.tick) <= budget
                or waited_for(tasks, server, above, load.tick)
            )
        ):
            yield Choice(server, number)

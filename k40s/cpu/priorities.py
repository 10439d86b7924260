"""Disjoint bands of SCHED_FIFO priorities for the containers on a core.

Disjoint bands make the kernel's one priority order a fixed order of servers, which the analyses
assume. Everything lies above 50, the priority of the kernel's threaded interrupt handlers; 99
belongs to the kernel.
"""

from collections.abc import Iterator

from k40s.cpu.model import HIGHEST_PRIORITY, Task

LOWEST_PRIORITY = 51
LEVELS = HIGHEST_PRIORITY - LOWEST_PRIORITY + 1
"""Tasks that fit on one core, as each gets a priority of its own."""


def urgency_order(tasks: tuple[Task, ...]) -> tuple[int, ...]:
    """Positions of a container's tasks from most to least urgent.

    Tasks that state a priority come first, by it; the deadline decides among equals and among
    the rest (deadline-monotonic); then the given order.
    """

    def rank(position: int) -> tuple[int, int, int]:
        task = tasks[position]
        stated = -task.priority if task.priority is not None else 1
        return (stated, task.deadline, position)

    return tuple(sorted(range(len(tasks)), key=rank))


def dense_bands(orders: list[tuple[int, ...]]) -> Iterator[tuple[int, ...]]:
    """Priorities for each container, given its positions from most to least urgent.

    Containers come from the most to the least urgent band; priorities go down from 98 without
    gaps, and each result is in the order of the container's tasks.
    """
    following = HIGHEST_PRIORITY
    for order in orders:
        band = [0] * len(order)
        for position in order:
            band[position] = following
            following -= 1
        yield tuple(band)

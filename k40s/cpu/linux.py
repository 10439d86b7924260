"""What Linux imposes: whole microseconds with overheads, RT throttling, SCHED_FIFO priorities.

Quantization: the analyses run on plain integers of microseconds, rounded to the safe side. That is
the granularity of the kernel's budget interface, and small integers are fast.

RT throttling: Linux throttles the root of all real-time groups at 950 ms in each second, and its
fair server may take 50 ms in a second when ordinary threads starved. ΣQ/P ≤ 0.9 does not keep a
core below that, since each server can spend two budgets nearly back to back.

SCHED_FIFO levels: a band of its own for each container of a core makes the kernel's one priority
order a fixed order of servers. A core has few levels, so they can run out: then the tasks of a
newcomer share levels among each other, or with another container of the same criticality, and the
analyses count what is equal as interfering both ways. Tasks below HI have a part of the levels
only, so that they can never use up those of HI. Everything lies above 50, the priority of the
kernel's threaded interrupt handlers; 99 belongs to the kernel.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from k40s.cpu.analysis.response_time import Interference, TaskParameters
from k40s.cpu.model import HIGHEST_PRIORITY, CpuNode, Server, Task
from k40s.criticality import Criticality
from k40s.units import NS_PER_US

SWITCH_OVERHEAD = 10
"""One context switch."""
TIMER_OVERHEAD = 100
"""Lateness of a timer interrupt."""
JOB_OVERHEAD = 2 * SWITCH_OVERHEAD + TIMER_OVERHEAD
"""Added to each WCET: the switches to and from the job, and its late release."""
SERVER_OVERHEAD = 2 * (SWITCH_OVERHEAD + TIMER_OVERHEAD)
"""Charged to each period of a server when periods are compared; no part of the budget."""

LONGEST_DEADLINE_PERIOD = 1 << 22
"""Microseconds. The kernel takes no longer period for SCHED_DEADLINE."""


def quantize_task(task: Task) -> TaskParameters:
    """(C, T, D): C rounded up plus the overhead of a job, T and D rounded down."""
    return (
        -(-task.wcet // NS_PER_US) + JOB_OVERHEAD,
        task.period // NS_PER_US,
        task.deadline // NS_PER_US,
    )


def quantize_server(server: Server) -> tuple[int, int]:
    """(Q, P). Raises ``ValueError`` where they are not whole microseconds."""
    budget, budget_rest = divmod(server.budget, NS_PER_US)
    period, period_rest = divmod(server.period, NS_PER_US)
    if budget_rest or period_rest:
        raise ValueError(f"server ({server.budget}, {server.period}) is not in whole microseconds")
    return budget, period


def quantize_tick(node: CpuNode) -> int:
    """δ of rt-cgroups in microseconds, rounded up."""
    return -(-node.tick // NS_PER_US)


def quantize_deadline_tick(node: CpuNode) -> int:
    """δ of SCHED_DEADLINE in microseconds, rounded up; that of rt-cgroups where it is unknown."""
    return quantize_tick(node) if node.deadline is None else -(-node.deadline.tick // NS_PER_US)


def quantize_ancestor_period(node: CpuNode) -> int | None:
    """The period of the groups above containers' own, in microseconds; None without any."""
    return None if node.ancestor_period is None else node.ancestor_period // NS_PER_US


ROOT_PERIOD = 1_000_000
ROOT_RUNTIME = 950_000
FAIR_SERVER = 50_000


def avoids_rt_throttling(
    servers: Iterable[tuple[int, int]], tick: int, above: Interference = ()
) -> bool:
    """Whether servers (Q, P) of one core, and the threads ``above``, stay below the limits."""
    inside_period = 0
    inside_runtime = 0
    for budget, period in servers:
        slack = period - budget
        inside_period -= -(ROOT_PERIOD + slack) // period * budget - tick
        inside_runtime -= -(ROOT_RUNTIME + slack) // period * budget - tick
    for budget, period, jitter in above:
        inside_period -= -(ROOT_PERIOD + jitter) // period * budget - tick
        inside_runtime -= -(ROOT_RUNTIME + jitter) // period * budget - tick
    return (
        inside_period <= ROOT_PERIOD - FAIR_SERVER and inside_runtime <= ROOT_RUNTIME - FAIR_SERVER
    )


LOWEST_PRIORITY = 51
LEVELS = HIGHEST_PRIORITY - LOWEST_PRIORITY + 1
"""SCHED_FIFO levels of a core."""
LEVELS_BELOW_HI = LEVELS // 2
"""Levels of a core that tasks of LOW containers may use."""

Level = tuple[int, int]
"""Larger is more urgent. In force it is (its priority, 0); new ones lie between two of those."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelRange:
    """The number of levels of a core, at most ``below_hi`` of them for LOW containers."""

    total: int = LEVELS
    below_hi: int = LEVELS_BELOW_HI

    def __post_init__(self) -> None:
        if not 1 <= self.below_hi < self.total <= LEVELS:
            raise ValueError("1 <= below_hi < total <= 48 levels are needed")

    def free(self, criticality: Criticality, *, hi: int, low: int) -> int:
        """Free levels for a container, where HI and LOW ones use ``hi`` and ``low`` levels.

        HI leaves one to LOW, which all LOW containers can share.
        """
        if criticality is Criticality.HI:
            return max(0, self.total - max(low, 1) - hi)
        return max(0, min(self.below_hi, self.total - hi) - low)


ALL_LEVELS = LevelRange()


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


def new_levels(below: int, count: int, tasks: int) -> tuple[Level, ...]:
    """Levels for a number of tasks, most urgent first, just above the priority ``below``.

    At most ``count`` of them are distinct: the least urgent tasks share the last.
    """
    own = min(count, tasks)
    return tuple((below, max(own - position, 1)) for position in range(tasks))


def dense_priorities(levels: Iterable[Level]) -> Mapping[Level, int]:
    """The priority of each level: from 98 down without gaps, equal levels staying equal."""
    distinct = sorted(set(levels), reverse=True)
    return {level: HIGHEST_PRIORITY - position for position, level in enumerate(distinct)}

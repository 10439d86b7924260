"""Tasks and servers as whole microseconds, rounded to the safe side, overheads included.

The analyses run on plain integers of microseconds: that is the granularity of the kernel's budget
interface, and small integers are fast.
"""

from k40s.cpu.hierarchy import TaskFigures
from k40s.cpu.model import Server, Task
from k40s.units import NS_PER_US

SWITCH_OVERHEAD = 10
"""One context switch."""
TIMER_OVERHEAD = 100
"""Lateness of a timer interrupt."""
JOB_OVERHEAD = 2 * SWITCH_OVERHEAD + TIMER_OVERHEAD
"""Added to each WCET: the switches to and from the job, and its late release."""
SERVER_OVERHEAD = 2 * (SWITCH_OVERHEAD + TIMER_OVERHEAD)
"""Charged to each period of a server when periods are compared; no part of the budget."""


def task_figures(task: Task) -> TaskFigures:
    """(C, T, D): C rounded up plus the overhead of a job, T and D rounded down."""
    return (
        -(-task.wcet // NS_PER_US) + JOB_OVERHEAD,
        task.period // NS_PER_US,
        task.deadline // NS_PER_US,
    )


def server_figures(server: Server) -> tuple[int, int]:
    """(Q, P). Raises ``ValueError`` where they are not whole microseconds."""
    budget, budget_rest = divmod(server.budget, NS_PER_US)
    period, period_rest = divmod(server.period, NS_PER_US)
    if budget_rest or period_rest:
        raise ValueError(f"server ({server.budget}, {server.period}) is not in whole microseconds")
    return budget, period

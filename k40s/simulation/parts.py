"""The state of a simulation of one core: tasks, servers, and deadline misses."""

from collections import deque
from dataclasses import dataclass, field

ENDLESS = 1 << 60
"""The execution time of a job that never ends."""


@dataclass(slots=True, kw_only=True)
class SimTask:
    """Jobs of ``wcet``, released at ``release`` and ``period`` plus the next of ``gaps`` later."""

    name: str
    wcet: int
    period: int
    deadline: int
    priority: float
    release: int
    gaps: tuple[int, ...] = (0,)
    released: int = 0
    jobs: deque[list[int]] = field(default_factory=deque)


@dataclass(slots=True, kw_only=True)
class SimServer:
    """A server (Q, P) with its tasks.

    ``judged`` is False for a container that breaks its contract: its own deadlines do not count.
    """

    name: str
    budget: int
    period: int
    next_replenishment: int
    tasks: list[SimTask]
    judged: bool = True
    used: int = 0
    throttled: bool = False
    timer_runs: bool = True

    @property
    def ready(self) -> bool:
        """Whether a job waits or runs."""
        return any(task.jobs for task in self.tasks)


@dataclass(frozen=True, slots=True)
class Miss:
    """A job that was not finished at its deadline."""

    server: str
    task: str
    release: int

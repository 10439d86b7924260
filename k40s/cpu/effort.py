"""Search effort of an admission: counted in steps, not in time, so that results are reproducible.

Contracts can force hundreds of placements, each with a long analysis of every server on the core.
The same admission to the same node counts the same steps on every machine.
"""

from typing import Self

BASE_STEPS = 100_000
STEPS_PER_CORE = 2_000
"""Ordinary admissions take up to some hundreds on a core (``bench.admission.worst_case``)."""
POINTS_PER_STEP = 8
"""So many points of one interfering server take about as long as a step."""


class Effort:
    """The steps that an admission has left. A step is a task and another that can delay it."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    @classmethod
    def for_cores(cls, cores: int) -> Self:
        """The effort of one admission to a node of so many cores."""
        return cls(BASE_STEPS + cores * STEPS_PER_CORE)

    def is_spent(self) -> bool:
        """Whether the limit is exceeded."""
        return self.left < 0

    def take(self, tasks: int, above: int, *, times: int = 1) -> None:
        """Count analyses of ``tasks`` below ``above`` others."""
        self.left -= times * tasks * (tasks + above)

    def take_points(self, points: int, above: int) -> None:
        """Count points at which the interference of ``above`` others was summed."""
        self.left -= points * above // POINTS_PER_STEP

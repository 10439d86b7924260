"""A container's rank on a core, and its tasks in figures."""

from dataclasses import dataclass
from typing import Self

from k40s.cpu.bandwidth import share_below
from k40s.cpu.figures import task_figures
from k40s.cpu.hierarchy import TaskFigures
from k40s.cpu.model import ContainerDemand, Reservation, Task
from k40s.cpu.priorities import urgency_order
from k40s.criticality import Criticality


@dataclass(frozen=True, slots=True)
class Band:
    """A container's tasks in figures, from most to least urgent, and its rank on the core.

    ``order`` are the positions of the tasks in the container's own order. A lower ``rank`` is
    more urgent: criticality first, then the shortest period.
    """

    rank: tuple[int, int]
    order: tuple[int, ...]
    tasks: tuple[TaskFigures, ...]

    @classmethod
    def of_demand(cls, container: ContainerDemand, criticality: Criticality) -> Self:
        """The band of a container that asks for a place."""
        return cls._ordered(container.tasks, urgency_order(container.tasks), criticality)

    @classmethod
    def of_reservation(cls, reservation: Reservation) -> Self:
        """The band of a container that has its place: its order is the one in force."""
        urgency = reservation.priorities
        order = sorted(range(len(urgency)), key=lambda position: -urgency[position])
        return cls._ordered(reservation.tasks, tuple(order), reservation.criticality)

    @classmethod
    def _ordered(
        cls, tasks: tuple[Task, ...], order: tuple[int, ...], criticality: Criticality
    ) -> Self:
        figures = tuple(task_figures(tasks[position]) for position in order)
        return cls((-criticality, min(period for _, period, _ in figures)), order, figures)

    @property
    def share(self) -> int:
        """ΣC/T in units of 2⁻⁴⁰, rounded down: no server with less can serve the tasks."""
        return sum(share_below(cost, period) for cost, period, _ in self.tasks)

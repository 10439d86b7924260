"""A pod's contract, and its demand on a platform.

WCETs depend on criticality and platform (k4.0s, section III): a HI workload runs only on
platforms in its tables, without fallback; a LOW workload may give one baseline, which the
platform's factor scales.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType

from k40s.cpu.model import ContainerDemand, Mechanism, PodDemand, Reservation, Task
from k40s.criticality import Criticality
from k40s.reasons import Reason
from k40s.units import NS_PER_US, Nanoseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class WcetTable:
    """WCETs by platform, or one ``baseline`` for the reference platform. Exactly one is given."""

    baseline: Nanoseconds | None = None
    by_platform: MappingProxyType[str, Nanoseconds] | None = None

    def __post_init__(self) -> None:
        if (self.baseline is None) == (self.by_platform is None):
            raise ValueError("a WCET is either one baseline or a table by platform")

    def on(self, platform: str, factor: Fraction) -> Nanoseconds | None:
        """The WCET on a platform, rounded up; None where the table does not know it."""
        if self.by_platform is not None:
            return self.by_platform.get(platform)
        scaled = Fraction(self.baseline or 0) * factor
        return Nanoseconds(-(-scaled.numerator // scaled.denominator))


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskContract:
    """One task as the application team wrote it."""

    name: str
    container: str
    period: Nanoseconds
    deadline: Nanoseconds
    wcet: WcetTable
    priority: int | None = None
    core: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A pod's parsed contract. Real-time workloads have at least LOW criticality.

    ``mechanism`` is the one that the team requests, if any.
    """

    criticality: Criticality
    tasks: tuple[TaskContract, ...] = ()
    mechanism: Mechanism | None = None

    @property
    def is_real_time(self) -> bool:
        """Whether the workload has real-time tasks."""
        return bool(self.tasks)


def resolve(
    workload: Workload, *, pod_uid: str, platform: str, factor: Fraction
) -> PodDemand | Reason:
    """The demand of a workload on a platform, in whole microseconds, rounded to the safe side.

    ``Reason.CPU_NO_WCET`` where a table lacks the platform; ``Reason.CPU_NOT_SCHEDULABLE``
    where the scaled WCET exceeds the deadline.
    """
    containers: dict[str, list[Task]] = {}
    for contract in workload.tasks:
        wcet = contract.wcet.on(platform, factor)
        if wcet is None:
            return Reason.CPU_NO_WCET
        whole_wcet = Nanoseconds(-(-wcet // NS_PER_US) * NS_PER_US)
        deadline = Nanoseconds(contract.deadline // NS_PER_US * NS_PER_US)
        if whole_wcet > deadline:
            return Reason.CPU_NOT_SCHEDULABLE
        containers.setdefault(contract.container, []).append(
            Task(
                name=contract.name,
                wcet=whole_wcet,
                period=Nanoseconds(contract.period // NS_PER_US * NS_PER_US),
                deadline=deadline,
                priority=contract.priority,
                core=contract.core,
            )
        )
    return PodDemand(
        pod_uid=pod_uid,
        criticality=workload.criticality,
        containers=tuple(
            ContainerDemand(container=name, tasks=tuple(tasks))
            for name, tasks in containers.items()
        ),
        mechanism=workload.mechanism,
    )


def serves(granted: Iterable[Reservation], demand: PodDemand) -> bool:
    """Whether reservations serve exactly the demanded tasks, with equal parameters."""
    held = [(one.container, one.tasks) for one in granted]
    return _parameters(held) == _parameters((one.container, one.tasks) for one in demand.containers)


def _parameters(
    tasks: Iterable[tuple[str, Iterable[Task]]],
) -> list[tuple[str, str, int, int, int]]:
    return sorted(
        (container, task.name, task.wcet, task.period, task.deadline)
        for container, some in tasks
        for task in some
    )

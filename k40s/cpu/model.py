"""The values of CPU admission: task, server, demand, reservation, node.

Times are integer nanoseconds, bandwidths exact fractions. Symbols as in the literature:
a task is (C, T, D), a server (Q, P).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from k40s.criticality import Criticality
from k40s.units import NS_PER_S, NS_PER_US, Nanoseconds

MIN_PERIOD = Nanoseconds(100 * NS_PER_US)
MAX_PERIOD = Nanoseconds(3600 * NS_PER_S)
HIGHEST_PRIORITY = 98
"""99 belongs to the kernel's own threads (migration, watchdog)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A sporadic task: WCET C, period T (minimum inter-arrival time), relative deadline D ≤ T.

    ``priority`` orders tasks inside their container (larger is more urgent); None lets the
    deadline decide.
    """

    name: str
    wcet: Nanoseconds
    period: Nanoseconds
    deadline: Nanoseconds
    priority: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.wcet <= self.deadline <= self.period:
            raise ValueError(f"task {self.name!r} breaks 0 < wcet <= deadline <= period")
        if not MIN_PERIOD <= self.period <= MAX_PERIOD:
            raise ValueError(f"task {self.name!r} has a period outside 100us to 3600s")

    @property
    def utilization(self) -> Fraction:
        """C/T."""
        return Fraction(self.wcet, self.period)


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server (Q, P): ``budget`` of CPU time in every ``period``."""

    budget: Nanoseconds
    period: Nanoseconds

    def __post_init__(self) -> None:
        if not 0 < self.budget <= self.period:
            raise ValueError(f"server ({self.budget}, {self.period}) breaks 0 < budget <= period")

    @property
    def bandwidth(self) -> Fraction:
        """Q/P."""
        return Fraction(self.budget, self.period)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerDemand:
    """The real-time tasks of one container, with WCETs for the platform in question."""

    container: str
    tasks: tuple[Task, ...]

    def __post_init__(self) -> None:
        if not self.tasks:
            raise ValueError(f"container {self.container!r} has no task")


@dataclass(frozen=True, slots=True, kw_only=True)
class PodDemand:
    """What one pod asks of a node's cores. All of it is admitted, or none."""

    pod_uid: str
    criticality: Criticality
    containers: tuple[ContainerDemand, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """A server held by one container of a pod on a core.

    ``priorities`` are the SCHED_FIFO priorities of ``tasks``, in the same order: the container's
    band, disjoint from every other band on the core.
    """

    pod_uid: str
    container: str
    core: int
    criticality: Criticality
    server: Server
    tasks: tuple[Task, ...]
    priorities: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.tasks) != len(self.priorities) or not self.tasks:
            raise ValueError(f"reservation of {self.container!r} needs one priority per task")


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuNode:
    """All that admission must know of a node.

    ``tick`` is δ, the granularity of enforcement (1 s / HZ for rt-cgroups, 0 for exact
    enforcement). ``node_capacity`` bounds ΣQ/P over all containers of the node whatever their
    core (the kernel's rt-cgroup test), ``core_capacity`` the same sum on each core.
    ``platform`` names the hardware class of HI WCETs; ``platform_factor`` scales LOW baselines.
    """

    cores: tuple[int, ...]
    tick: Nanoseconds
    node_capacity: Fraction
    core_capacity: Fraction
    platform: str
    platform_factor: Fraction
    reservations: tuple[Reservation, ...] = ()

    def __post_init__(self) -> None:
        if len(set(self.cores)) != len(self.cores):
            raise ValueError("a core is listed twice")
        if self.tick < 0 or self.platform_factor <= 0:
            raise ValueError("tick must not be negative, platform_factor must be positive")
        if not 0 <= self.core_capacity <= 1 or self.node_capacity < 0:
            raise ValueError("capacities must lie in 0 to 1 per core, and from 0 per node")

    def on_core(self, core: int) -> tuple[Reservation, ...]:
        """The reservations on a core, most urgent band first."""
        mine = [r for r in self.reservations if r.core == core]
        return tuple(sorted(mine, key=lambda r: max(r.priorities), reverse=True))

    def utilization(self, core: int) -> Fraction:
        """ΣQ/P of the servers on a core."""
        return total_bandwidth(r for r in self.reservations if r.core == core)

    def without(self, pod_uid: str) -> "CpuNode":
        """The node as it is when a pod's reservations are gone."""
        kept = tuple(r for r in self.reservations if r.pod_uid != pod_uid)
        return self if len(kept) == len(self.reservations) else self.holding(kept)

    def holding(self, reservations: tuple[Reservation, ...]) -> "CpuNode":
        """The same node with other reservations."""
        return CpuNode(
            cores=self.cores,
            tick=self.tick,
            node_capacity=self.node_capacity,
            core_capacity=self.core_capacity,
            platform=self.platform,
            platform_factor=self.platform_factor,
            reservations=reservations,
        )


def total_bandwidth(reservations: Iterable[Reservation]) -> Fraction:
    """ΣQ/P, exactly."""
    return sum((r.server.bandwidth for r in reservations), Fraction(0))

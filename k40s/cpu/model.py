"""The values of CPU admission: task, server, demand, reservation, node.

Times are integer nanoseconds, bandwidths exact fractions. Symbols as in the literature:
a task is (C, T, D), a server (Q, P).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction

from k40s.criticality import Criticality
from k40s.units import NS_PER_S, NS_PER_US, Nanoseconds

MIN_PERIOD = Nanoseconds(100 * NS_PER_US)
MAX_PERIOD = Nanoseconds(3600 * NS_PER_S)
HIGHEST_PRIORITY = 98
"""99 belongs to the kernel's own threads (migration, watchdog)."""
ANY_CORE = -1
"""The core of a reservation whose thread migrates between the CPUs of a shared root domain."""


class Mechanism(StrEnum):
    """Mechanism by which the kernel enforces a reservation.

    A third one also needs a case where these two are told apart: ``k40s.cpu.admission`` (core_fit,
    core_load, schedulability, invariants, necessary_condition), ``k40s.annotations`` (cpu_state,
    reservation_rows), ``k40s.node_api.allocation``, and the back end that
    ``daemons.rubicante.mechanisms`` describes.
    """

    RT_CGROUP = "rt-cgroup"
    """A deferrable server (Q, P) for the SCHED_FIFO threads of a container on one core."""
    DEADLINE = "deadline"
    """SCHED_DEADLINE, one reservation (Q, D, P) for each thread."""


class Domain(StrEnum):
    """Partitioning of the CPUs into root domains for SCHED_DEADLINE threads."""

    PARTITIONED = "partitioned"
    """Each core is a root domain of its own, for threads of any pods (cgroup v1)."""
    EXCLUSIVE = "exclusive"
    """The same, but a core serves the threads of one pod only (cgroup v2)."""
    SHARED = "shared"
    """One root domain of several CPUs, between which threads migrate."""


class Packing(StrEnum):
    """Which core a container is tried on first."""

    FIRST_FIT = "first-fit"
    """The first in the node's list."""
    BEST_FIT = "best-fit"
    """The one with the highest utilization."""
    WORST_FIT = "worst-fit"
    """The one with the lowest utilization."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A sporadic task: WCET C, period T (minimum inter-arrival time), relative deadline D ≤ T.

    ``priority`` orders tasks inside their container (larger is more urgent); None lets the
    deadline decide. ``core`` is the requested one; None lets admission choose.
    """

    name: str
    wcet: Nanoseconds
    period: Nanoseconds
    deadline: Nanoseconds
    priority: int | None = None
    core: int | None = None

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
    """The real-time tasks of one pod. All of them are admitted, or none.

    ``mechanism`` is the requested one; None lets admission choose.
    """

    pod_uid: str
    criticality: Criticality
    containers: tuple[ContainerDemand, ...]
    mechanism: Mechanism | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """A server held on a core by tasks of one container.

    A container has one for each core that its tasks use; with SCHED_DEADLINE one for each task,
    and then Q is the task's WCET with overheads, P its deadline, and the task has no priority.
    ``priorities`` are the SCHED_FIFO priorities of ``tasks``, in the same order: a band, disjoint
    from every other band on the core. Reservations on different cores with the same ``group``
    hold one budget group, whose (Q, P) applies on each core; None is a group of one's own.
    """

    pod_uid: str
    container: str
    core: int
    criticality: Criticality
    server: Server
    tasks: tuple[Task, ...]
    priorities: tuple[int, ...]
    mechanism: Mechanism = Mechanism.RT_CGROUP
    group: int | None = None

    def __post_init__(self) -> None:
        if self.mechanism is Mechanism.DEADLINE:
            if len(self.tasks) != 1 or self.priorities or self.group is not None:
                raise ValueError(f"a deadline reservation of {self.container!r} is for one task")
        elif len(self.tasks) != len(self.priorities) or not self.tasks:
            raise ValueError(f"reservation of {self.container!r} needs one priority per task")
        elif self.core < 0:
            raise ValueError(f"reservation of {self.container!r} needs a core")

    @property
    def key(self) -> tuple[str, tuple[str, ...]]:
        """Container and tasks: they identify a reservation among those of its pod."""
        return self.container, tuple(task.name for task in self.tasks)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadlineOffer:
    """SCHED_DEADLINE as a node offers it.

    ``tick`` is the largest overrun of a budget, ``capacity`` bounds ΣQ/P per CPU,
    ``cpus`` is the number of CPUs in the root domain (1 where each core is one of its own).
    ``delay`` is charged to a thread for another's system call when it wakes, beyond the late
    timer that each WCET is increased by.
    """

    tick: Nanoseconds
    capacity: Fraction
    domain: Domain
    cpus: int = 1
    delay: Nanoseconds = Nanoseconds(0)

    def __post_init__(self) -> None:
        if self.delay < 0:
            raise ValueError("a delay is not negative")
        if self.tick < 0 or not 0 < self.capacity <= 1 or self.cpus < 1:
            raise ValueError("tick >= 0, capacity in 0 to 1 and cpus >= 1 are needed")
        if self.domain is not Domain.SHARED and self.cpus != 1:
            raise ValueError("only a shared root domain has several CPUs")


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuNode:
    """The scheduling parameters and reservations of a node.

    ``tick`` is δ, the granularity at which rt-cgroups are enforced (1 s / HZ, 0 for exact
    enforcement). ``node_capacity`` bounds ΣQ/P over all budget groups of all cores (the kernel's
    own test); 0 where there are no rt-cgroups. With ``shared_groups`` a group
    serves one reservation on each core; with an ``ancestor_period`` budgets lie in the containers'
    own cgroups, below others of that period, and a container's tasks are on one core. ``deadline``
    is None without SCHED_DEADLINE. ``core_capacity`` bounds ΣQ/P on each core. ``platform`` names
    the hardware class of HI WCETs; ``platform_factor`` scales LOW baselines. ``hi_reserve`` is the
    HI task (C, T) for which LOW pods leave bandwidth (``k40s.cpu.admission.hi_reserve``).
    ``changing`` are cores whose servers are being exchanged (``k40s.cpu.admission.exchange``): they
    take no further pod until that is done.
    """

    cores: tuple[int, ...]
    tick: Nanoseconds
    node_capacity: Fraction
    core_capacity: Fraction
    platform: str
    platform_factor: Fraction
    reservations: tuple[Reservation, ...] = ()
    shared_groups: bool = False
    deadline: DeadlineOffer | None = None
    packing: Packing = Packing.FIRST_FIT
    ancestor_period: Nanoseconds | None = None
    hi_reserve: Server | None = None
    changing: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        if len(set(self.cores)) != len(self.cores):
            raise ValueError("a core is listed twice")
        if self.tick < 0 or self.platform_factor <= 0:
            raise ValueError("tick must not be negative, platform_factor must be positive")
        above = self.ancestor_period
        if above is not None and (self.shared_groups or above < NS_PER_US):
            raise ValueError("containers' own groups are not shared, and lie below others")
        if not 0 <= self.core_capacity <= 1 or self.node_capacity < 0:
            raise ValueError("capacities must lie in 0 to 1 per core, and from 0 per node")
        if self.hi_reserve is not None and not MIN_PERIOD <= self.hi_reserve.period <= MAX_PERIOD:
            raise ValueError("the reserve for HI has a period of 100us to 3600s")

    def on_core(self, core: int) -> tuple[Reservation, ...]:
        """The rt-cgroup reservations on a core, most urgent band first."""
        mine = [r for r in self.reservations if r.core == core and r.priorities]
        return tuple(sorted(mine, key=lambda r: max(r.priorities), reverse=True))

    def deadline_on(self, core: int) -> tuple[Reservation, ...]:
        """The SCHED_DEADLINE reservations that may run on a core."""
        return tuple(
            r
            for r in self.reservations
            if r.core in (core, ANY_CORE) and r.mechanism is Mechanism.DEADLINE
        )

    def utilization(self, core: int) -> Fraction:
        """ΣQ/P of the servers on a core."""
        return total_bandwidth(r for r in self.reservations if r.core == core)

    def utilizations(self) -> dict[int, Fraction]:
        """ΣQ/P of each core, and under ``ANY_CORE`` of a shared root domain where there is one."""
        shared = self.deadline is not None and self.deadline.domain is Domain.SHARED
        return {core: self.utilization(core) for core in (*self.cores, *[ANY_CORE] * shared)}

    def without(self, pod_uid: str) -> "CpuNode":
        """The node without a pod's reservations."""
        kept = tuple(r for r in self.reservations if r.pod_uid != pod_uid)
        return self if len(kept) == len(self.reservations) else self.holding(kept)

    def holding(self, reservations: tuple[Reservation, ...]) -> "CpuNode":
        """The same node with other reservations."""
        return replace(self, reservations=reservations)


def total_bandwidth(reservations: Iterable[Reservation]) -> Fraction:
    """ΣQ/P, exactly."""
    return sum((r.server.bandwidth for r in reservations), Fraction(0))

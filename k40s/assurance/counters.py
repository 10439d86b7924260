"""One sample of the kernel counters that assurance uses."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from k40s.units import Nanoseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuTimes:
    """Time spent since boot in ticks of USER_HZ; ``user`` includes nice and guests."""

    user: int
    system: int
    idle: int
    iowait: int
    irq: int
    steal: int

    def __add__(self, other: "CpuTimes") -> "CpuTimes":
        return CpuTimes(
            user=self.user + other.user,
            system=self.system + other.system,
            idle=self.idle + other.idle,
            iowait=self.iowait + other.iowait,
            irq=self.irq + other.irq,
            steal=self.steal + other.steal,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StatCounters:
    """What /proc/stat counts, split into the node's CPUs (``own``) and the machine's other ones.

    ``contexts`` (context switches), ``forks`` and ``running`` (tasks that run or wait for a CPU
    now) are the whole machine's.
    """

    own: CpuTimes
    own_cpus: int
    others: CpuTimes
    other_cpus: int
    contexts: int
    forks: int
    running: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """One sample. None, or an empty table, where the kernel does not offer the source.

    ``at`` is monotonic. ``softirqs`` and ``interrupts`` count on the node's CPUs (``cpus`` is
    their number), by the kernel's names. ``load`` is the average of one minute, ``uptime`` in
    seconds, ``pressure`` the microseconds in which some task of the machine waited for a CPU.
    All but ``stat`` may be of an earlier sample: then ``details_at`` is the time of that.
    ``own_running`` counts the runnable tasks with an affinity to the node's CPUs alone; None on an
    idle machine.
    """

    at: Nanoseconds
    details_at: Nanoseconds | None = None
    cpus: int = 1
    stat: StatCounters | None = None
    softirqs: Mapping[str, int] = field(default_factory=dict)
    interrupts: Mapping[str, int] = field(default_factory=dict)
    load: float | None = None
    uptime: float | None = None
    pressure: int | None = None
    own_running: float | None = None

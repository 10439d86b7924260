"""The facts about a machine that its verdict rests on. None and empty: not known."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from k40s.units import Nanoseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A file that is there and could not be read or understood: ``cause`` says why."""

    path: str
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """The kernel: ``options`` are CONFIG_* without the prefix, None where no file has them.

    ``banner`` is the text of ``uname -v``. ``options_from`` is the file that has the options.
    ``command_line`` are the parameters of its start.
    """

    release: str = ""
    banner: str = ""
    options: Mapping[str, str] | None = None
    options_from: str = ""
    command_line: tuple[str, ...] = ()

    @property
    def version(self) -> tuple[int, int] | None:
        """Major and minor number; None where the release has none."""
        parts = self.release.split("-")[0].split(".")
        if len(parts) < 2 or not (parts[0].isdecimal() and parts[1].isdecimal()):  # noqa: PLR2004  # two
            return None
        return int(parts[0]), int(parts[1])

    def is_set(self, option: str) -> bool | None:
        """Whether an option is y or m; None where the options are not known.

        An option that a configuration does not name is not set.
        """
        return None if self.options is None else self.options.get(option) in ("y", "m")

    @property
    def has_high_resolution_tick(self) -> bool | None:
        """SCHED_HRTICK, which nobody is asked for: it follows HIGH_RES_TIMERS."""
        if self.options is not None and "SCHED_HRTICK" in self.options:
            return self.is_set("SCHED_HRTICK")
        return self.is_set("HIGH_RES_TIMERS")


@dataclass(frozen=True, slots=True, kw_only=True)
class RtBudgets:
    """The v1 cpu controller's real-time budgets: what the kernel grants, and who holds how much.

    ``limit`` is for all groups together, ``foreign`` are groups of other programs by name, ``own``
    is what groups of k40s hold.
    """

    limit: Fraction
    foreign: Mapping[str, Fraction] = field(default_factory=dict)
    own: Fraction = Fraction(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cgroups:
    """Mounted hierarchies: ``v1`` controllers, ``v2`` controllers; None without a v2 mount.

    ``rt`` is None without real-time budgets. ``balanced`` are v1 cpusets whose load balancing is
    on, the root as "/"; None without that hierarchy. ``partitions`` are v2 cgroups that are
    partitions, with their state. ``exclusive`` says whether cgroups of v2 can claim CPUs for
    partitions below them; None where no cgroup tells.
    """

    v1: frozenset[str] = frozenset()
    v2: frozenset[str] | None = None
    rt: RtBudgets | None = None
    balanced: tuple[str, ...] | None = None
    partitions: Mapping[str, str] = field(default_factory=dict)
    exclusive: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainFigures:
    """SCHED_DEADLINE bandwidth of one CPU's root domain: per CPU, and what is charged in all."""

    limit: Fraction
    total: Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduler:
    """The scheduler's settings. ``rt_limit`` is sched_rt_runtime_us over its period, -1 without.

    ``tick`` is measured. ``features``, ``preempt`` (the mode in force) and ``domains`` (by CPU) are
    from debugfs. ``realtime`` is /sys/kernel/realtime.
    """

    rt_limit: Fraction | None = None
    tick: Nanoseconds | None = None
    features: frozenset[str] | None = None
    preempt: str = ""
    domains: Mapping[int, DomainFigures] = field(default_factory=dict)
    has_fair_server: bool = False
    realtime: bool = False
    debugfs: bool | None = None
    lockdown: str = ""
    pressure: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The CPUs and what surrounds them.

    ``governors`` are those in use; ``turbo`` is None where no file tells. ``swap`` are the devices
    in use. ``steal`` is the share of CPU time since the start that a hypervisor took.
    """

    online: frozenset[int] = frozenset()
    isolated: frozenset[int] = frozenset()
    nohz_full: frozenset[int] = frozenset()
    smt: bool | None = None
    governors: frozenset[str] = frozenset()
    turbo: bool | None = None
    clock: str = ""
    swap: tuple[str, ...] | None = None
    hypervisor: bool | None = None
    steal: Fraction | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """What this process may do, and whether it sees the host's processes.

    Limits are texts of /proc/self/limits ("unlimited" or a number).
    """

    sys_nice: bool | None = None
    sys_admin: bool | None = None
    sees_host: bool = False
    rtprio: str = ""
    memlock: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kubelet:
    """Kubelet's settings as far as they are seen; empty where nothing tells."""

    driver: str = ""
    cpu_manager: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that is known of a machine. ``whole`` is False where only a configuration was read."""

    kernel: Kernel
    cgroups: Cgroups = Cgroups()
    scheduler: Scheduler = Scheduler()
    machine: Machine = Machine()
    rights: Rights = Rights()
    kubelet: Kubelet = Kubelet()
    gaps: tuple[Gap, ...] = ()
    whole: bool = True

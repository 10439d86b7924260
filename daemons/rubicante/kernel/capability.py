"""What this kernel can enforce for us: found out, not assumed."""

import time
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from daemons.rubicante.kernel.system import System
from k40s.units import Nanoseconds

MECHANISM = "rt-cgroup"
NO_MECHANISM = "none"
_CLOCK_MONOTONIC_COARSE = 6
_CAP_SYS_NICE = 23
_PROBE = "probe"


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """``problems`` say why budgets cannot be enforced; empty where they can.

    ``warnings`` are worth knowing, but hinder nothing. ``bandwidth`` is the real-time share that
    the kernel grants over all cores, ``tick`` the granularity at which it enforces.
    """

    problems: tuple[str, ...]
    warnings: tuple[str, ...]
    bandwidth: Fraction
    tick: Nanoseconds
    cores: frozenset[int]

    @property
    def mechanism(self) -> str:
        """The name under which the mechanism is published."""
        return NO_MECHANISM if self.problems else MECHANISM


def tick_length() -> Nanoseconds:
    """The scheduler tick, 1 s / HZ.

    It is the resolution of the coarse clocks, which the kernel advances once a tick: exact, and
    readable without any file. (CLK_TCK is a constant of the ABI and says nothing of HZ.)
    """
    return Nanoseconds(round(time.clock_getres(_CLOCK_MONOTONIC_COARSE) * 1e9))


def find_capability(
    *,
    system: System,
    cpu_root: Path,
    proc: Path,
    features: Path,
    prefix: str,
    wanted_cores: AbstractSet[int],
    tick: Nanoseconds,
) -> Capability:
    """Look at the kernel, and make and remove one group without a budget to be sure.

    ``features`` is the scheduler's feature file in debugfs, which need not be readable.
    """
    problems: list[str] = []
    warnings: list[str] = []
    bandwidth = _bandwidth(system, cpu_root, proc, problems, warnings)
    problems += _group_problems(system, cpu_root / f"{prefix}-{_PROBE}")
    if not _holds_sys_nice(system, proc):
        problems.append("the process lacks CAP_SYS_NICE")
    if _read(system, proc / "2" / "comm") != "kthreadd":
        warnings.append("the process may be outside the host's PID namespace (hostPID)")
    if "RT_RUNTIME_SHARE" in (_read(system, features) or "").split():
        problems.append("the scheduler feature RT_RUNTIME_SHARE lets groups exceed their budget")
    cores = system.online()
    if absent := sorted(wanted_cores - cores):
        problems.append(f"CPUs that are not online: {absent}")
    return Capability(
        problems=tuple(problems),
        warnings=tuple(warnings),
        bandwidth=bandwidth,
        tick=tick,
        cores=cores,
    )


def _bandwidth(
    system: System, cpu_root: Path, proc: Path, problems: list[str], warnings: list[str]
) -> Fraction:
    """The smaller of the system's limit and the root group's."""
    sysctl = proc / "sys/kernel"
    limit = _ratio(system, sysctl / "sched_rt_runtime_us", sysctl / "sched_rt_period_us")
    root = _ratio(system, cpu_root / "cpu.rt_runtime_us", cpu_root / "cpu.rt_period_us")
    if root is None:
        problems.append(
            "no cpu controller with real-time budgets (cgroup v1 with CONFIG_RT_GROUP_SCHED)"
        )
        return Fraction(0)
    if limit is None:
        problems.append("sched_rt_runtime_us is not readable")
        return Fraction(0)
    if limit < 0:
        warnings.append("sched_rt_runtime_us is -1: real-time threads outside can take everything")
        return root
    return min(limit, root)


def _group_problems(system: System, probe: Path) -> list[str]:
    try:
        system.make_directory(probe)
    except FileExistsError:
        pass
    except OSError as error:
        return [f"no group can be made in the cpu hierarchy: {error}"]
    try:
        system.remove_directory(probe)
    except OSError as error:
        return [f"the probe group {probe.name} cannot be removed: {error}"]
    return []


def _holds_sys_nice(system: System, proc: Path) -> bool:
    for line in (_read(system, proc / "self" / "status") or "").splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> _CAP_SYS_NICE & 1)
    return False


def _ratio(system: System, runtime: Path, period: Path) -> Fraction | None:
    numerator, denominator = _read(system, runtime), _read(system, period)
    if numerator is None or denominator is None:
        return None
    return Fraction(int(numerator), int(denominator))


def _read(system: System, path: Path) -> str | None:
    try:
        return system.read(path).strip()
    except OSError:
        return None

"""The kernel's capability to enforce budgets, found by probing."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from daemons.rubicante.kernel.rt_bandwidth import RtBandwidth
from daemons.rubicante.kernel.rt_budget import (
    has_bandwidth_control,
    limit_ordinary_threads,
)
from daemons.rubicante.kernel.system import System, read_if_readable
from daemons.rubicante.mechanisms.deadline.discovery import DeadlineSupport
from k40s.annotations import NO_MECHANISM
from k40s.cpu.model import DeadlineOffer, Mechanism
from k40s.errors import KernelError
from k40s.units import Nanoseconds

_CAP_SYS_NICE = 23
_PROBE = "probe"
_UNBOUNDED = (
    "the kernel lacks CONFIG_CFS_BANDWIDTH: until they are moved back, children of real-time "
    "threads may use CPUs that nobody else wants, whatever their container's CPU limit"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RtSupport:
    """Budget groups on this node: ``problems`` say why there are none; empty where there are.

    ``bandwidth`` is the real-time share that the kernel has for all of k40s's groups.
    """

    bandwidth: Fraction
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """``problems`` say why budgets cannot be enforced by anything; empty where they can.

    ``warnings`` do not prevent enforcement. ``bandwidth`` is what the kernel grants to budget
    groups over all cores, None without them; ``deadline`` is None without SCHED_DEADLINE. ``tick``
    is the granularity at which the kernel enforces, ``cores`` are the CPUs online.
    """

    problems: tuple[str, ...]
    warnings: tuple[str, ...]
    bandwidth: Fraction | None
    deadline: DeadlineOffer | None
    tick: Nanoseconds
    cores: frozenset[int]

    @property
    def mechanism(self) -> str:
        """The names under which the mechanisms are published, joined by "+"."""
        if self.problems:
            return NO_MECHANISM
        found = {Mechanism.RT_CGROUP: self.bandwidth, Mechanism.DEADLINE: self.deadline}
        return "+".join(name.value for name, offer in found.items() if offer is not None)


def find_rt_cgroups(
    *, system: System, bandwidth: RtBandwidth, cpu_root: Path, debug: Path, prefix: str
) -> RtSupport:
    """Probe the cpu hierarchy, by making and removing one group without a budget.

    ``debug`` is the scheduler's directory in debugfs, which need not be readable.
    """
    offer, problem = bandwidth.read()
    problems = [problem] if problem else []
    warnings = list(offer.warnings)
    found, unbounded = _group_problems(system, cpu_root / f"{prefix}-{_PROBE}")
    problems += found
    warnings += unbounded
    if "RT_RUNTIME_SHARE" in (read_if_readable(system, debug / "features") or "").split():
        problems.append("the scheduler feature RT_RUNTIME_SHARE lets groups exceed their budget")
    return RtSupport(bandwidth=offer.free, problems=tuple(problems), warnings=tuple(warnings))


def combine(
    *,
    system: System,
    proc: Path,
    wanted_cores: AbstractSet[int],
    tick: Nanoseconds,
    rt_cgroups: RtSupport | None,
    deadline: DeadlineSupport | None,
) -> Capability:
    """The node's capability from that of its mechanisms; None for one that is not to be used.

    What is missing for one mechanism is a warning where the other is there, else a problem.
    """
    problems, warnings = _general(system, proc, wanted_cores)
    lacks: list[str] = []
    has_groups = rt_cgroups is not None and not rt_cgroups.problems
    offer = None if deadline is None else deadline.offer
    for mechanism, support in ((Mechanism.RT_CGROUP, rt_cgroups), (Mechanism.DEADLINE, deadline)):
        if support is not None:
            lacks += [f"{mechanism.value}: {text}" for text in support.problems]
            warnings += [f"{mechanism.value}: {text}" for text in support.warnings]
    if has_groups or offer is not None:
        warnings += lacks
    else:
        problems += lacks or ["no mechanism is to be used"]
    return Capability(
        problems=tuple(problems),
        warnings=tuple(warnings),
        bandwidth=rt_cgroups.bandwidth if has_groups and rt_cgroups is not None else None,
        deadline=offer,
        tick=tick,
        cores=system.online(),
    )


def _general(
    system: System, proc: Path, wanted_cores: AbstractSet[int]
) -> tuple[list[str], list[str]]:
    problems, warnings = [], []
    if not _holds_sys_nice(system, proc):
        problems.append("the process lacks CAP_SYS_NICE")
    if read_if_readable(system, proc / "2" / "comm") != "kthreadd":
        warnings.append("the process may be outside the host's PID namespace (hostPID)")
    if absent := sorted(wanted_cores - system.online()):
        problems.append(f"CPUs that are not online: {absent}")
    return problems, warnings


def _group_problems(system: System, probe: Path) -> tuple[list[str], list[str]]:
    """Problems and warnings of a probe group, which is removed."""
    try:
        system.make_directory(probe)
    except FileExistsError:
        pass
    except OSError as error:
        return [f"no group can be made in the cpu hierarchy: {error}"], []
    problems, warnings = [], []
    try:
        limit_ordinary_threads(system, probe)
        if not has_bandwidth_control(system, probe):
            warnings.append(_UNBOUNDED)
    except KernelError as error:
        problems.append(str(error))
    try:
        system.remove_directory(probe)
    except OSError as error:
        problems.append(f"the probe group {probe.name} cannot be removed: {error}")
    return problems, warnings


def _holds_sys_nice(system: System, proc: Path) -> bool:
    for line in (read_if_readable(system, proc / "self" / "status") or "").splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> _CAP_SYS_NICE & 1)
    return False

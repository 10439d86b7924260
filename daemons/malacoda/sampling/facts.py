"""Reads the facts for β: preemption model, tick, isolation. An unreadable fact is unknown."""

import gzip
import re
from collections.abc import Collection
from pathlib import Path

from k40s.assurance.software import Preemption, SoftwareFacts
from k40s.units import Nanoseconds, parse_cpu_list

_CPU_HIERARCHIES = ("cpu", "cpu,cpuacct", "cpuacct,cpu")
_FLAG = re.compile(r"\+?(0[xX])?[0-9a-fA-F]+", re.ASCII)
_CURRENT = re.compile(r"\((\w+)\)")
_ON_COMMAND_LINE = re.compile(r"(?:^|\s)preempt=(\w+)")
_MODELS = {
    "none": Preemption.GENERAL,
    "voluntary": Preemption.GENERAL,
    "lazy": Preemption.LOW_LATENCY,
    "full": Preemption.LOW_LATENCY,
}
_BUILDS = {
    "CONFIG_PREEMPT_RT": Preemption.REAL_TIME,
    "CONFIG_PREEMPT": Preemption.LOW_LATENCY,
    "CONFIG_PREEMPT_LAZY": Preemption.LOW_LATENCY,
    "CONFIG_PREEMPT_VOLUNTARY": Preemption.GENERAL,
    "CONFIG_PREEMPT_NONE": Preemption.GENERAL,
}


def read_software_facts(
    *, proc: Path, sys: Path, cpus: Collection[int], tick: Nanoseconds | None
) -> SoftwareFacts:
    """Read the facts of the running kernel and the node's CPUs; ``tick`` is 1/HZ if known."""
    config = _read_config(proc / "config.gz")
    return SoftwareFacts(
        preemption=_read_preemption(proc, sys, config),
        tick=tick,
        isolated=_are_isolated(sys, cpus),
        group_budgets=_has_group_budgets(proc, sys, config),
        deadline=_has_deadline(proc),
        governor=_read_governor(sys, cpus),
        multithreading=_text(sys / "devices/system/cpu/smt/active") == "1",
        virtual=_is_virtual(proc, sys),
    )


def read_kernel_release(proc: Path) -> str:
    """The kernel's release as of ``uname -r``; empty where it cannot be read."""
    return _text(proc / "sys/kernel/osrelease")


def online_cpus(sys: Path) -> tuple[int, ...]:
    """The machine's CPUs. Raises ``ValueError`` when the kernel's list is unreadable."""
    return parse_cpu_list(_text(sys / "devices/system/cpu/online"))


def _read_preemption(proc: Path, sys: Path, config: frozenset[str]) -> Preemption | None:
    if (proc / "xenomai").exists():
        return Preemption.CO_KERNEL
    version = _text(proc / "version")
    if _text(sys / "kernel/realtime") == "1" or "PREEMPT_RT" in version:
        return Preemption.REAL_TIME
    current = _CURRENT.search(_text(sys / "kernel/debug/sched/preempt"))
    chosen = current or _ON_COMMAND_LINE.search(_text(proc / "cmdline"))
    if chosen is not None and chosen[1] in _MODELS:
        return _MODELS[chosen[1]]
    for option, model in _BUILDS.items():
        if option in config:
            return model
    if not version or "PREEMPT_DYNAMIC" in version:
        return None
    return Preemption.LOW_LATENCY if "PREEMPT" in version else Preemption.GENERAL


def _has_group_budgets(proc: Path, sys: Path, config: frozenset[str]) -> bool:
    """Whether cgroups have real-time budgets: built in, switched on, and in a v1 hierarchy.

    Where no cgroups are mounted here, /proc/cgroups shows whether there is a v1 hierarchy.
    """
    if not _switched_on(proc, default="CONFIG_RT_GROUP_SCHED_DEFAULT_DISABLED" not in config):
        return False
    if any((sys / "fs/cgroup" / name / "cpu.rt_runtime_us").exists() for name in _CPU_HIERARCHIES):
        return True
    return "CONFIG_RT_GROUP_SCHED" in config and _is_in_v1(proc, "cpu")


def _switched_on(proc: Path, *, default: bool) -> bool:
    """The last valid ``rt_group_sched=`` (0 or 1) on the kernel's command line."""
    found = default
    for word in _text(proc / "cmdline").split():
        if word == "--":
            break  # what follows is for init
        name, _, value = word.replace("-", "_").replace('"', "").partition("=")
        if name == "rt_group_sched" and _FLAG.fullmatch(value):
            number = int(value, 16)  # 0 and 1 are the same in every base
            found = bool(number) if number in (0, 1) else found
    return found


def _is_in_v1(proc: Path, controller: str) -> bool:
    rows = (line.split() for line in _text(proc / "cgroups").splitlines())
    return any(row[0] == controller and row[1] != "0" for row in rows if len(row) > 1)


def _has_deadline(proc: Path) -> bool:
    """Whether the kernel has SCHED_DEADLINE, and leaves it any bandwidth."""
    sysctl = proc / "sys/kernel"
    known = (sysctl / "sched_deadline_period_max_us").exists()
    return known and _text(sysctl / "sched_rt_runtime_us") not in ("", "0")


def _are_isolated(sys: Path, cpus: Collection[int]) -> bool:
    for name in ("isolated", "nohz_full"):
        try:
            isolated = parse_cpu_list(_text(sys / "devices/system/cpu" / name))
        except ValueError:
            continue
        if set(cpus) <= set(isolated):
            return True
    return False


def _read_governor(sys: Path, cpus: Collection[int]) -> str | None:
    """The node's frequency governor; if CPUs differ, one other than "performance"."""
    found: set[str] = set()
    for cpu in cpus:
        found.add(_text(sys / f"devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor"))
    found.discard("")
    return min(found, key=lambda name: (name == "performance", name), default=None)


def _is_virtual(proc: Path, sys: Path) -> bool:
    if (sys / "hypervisor/type").exists():
        return True
    for line in _text(proc / "cpuinfo").splitlines():
        if line.startswith("flags"):
            return "hypervisor" in line.split()
    return False


def _read_config(path: Path) -> frozenset[str]:
    """The options that are built in."""
    try:
        text = gzip.decompress(path.read_bytes()).decode(errors="replace")
    except (OSError, EOFError):
        return frozenset()
    return frozenset(line[:-2] for line in text.splitlines() if line.endswith("=y"))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""

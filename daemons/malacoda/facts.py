"""Reads what β is proposed from. What cannot be read is unknown, never an error."""

import gzip
import re
from collections.abc import Collection
from pathlib import Path

from k40s.assurance.software import Preemption, SoftwareFacts
from k40s.runtime.settings import parse_cpu_list
from k40s.units import Nanoseconds

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
    """Look at the running kernel and the node's CPUs; ``tick`` is 1/HZ where it is known."""
    config = _read_config(proc / "config.gz")
    budgets = ("cpu", "cpu,cpuacct", "cpuacct,cpu")
    return SoftwareFacts(
        preemption=_read_preemption(proc, sys, config),
        tick=tick,
        isolated=_are_isolated(sys, cpus),
        group_budgets="CONFIG_RT_GROUP_SCHED" in config
        or any((sys / "fs/cgroup" / name / "cpu.rt_runtime_us").exists() for name in budgets),
        governor=_read_governor(sys, cpus),
        multithreading=_text(sys / "devices/system/cpu/smt/active") == "1",
        virtual=_is_virtual(proc, sys),
    )


def online_cpus(sys: Path) -> tuple[int, ...]:
    """The machine's CPUs. Raises ``ValueError`` where the kernel does not tell."""
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
    """The governor of the node's CPUs, and of several the one that is not "performance"."""
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

"""Paths of the kernel's interfaces on this node, as far as they exist."""

from dataclasses import dataclass, replace
from pathlib import Path

from daemons.rubicante.kernel.pod_cgroups import (
    TASKS_V1,
    TASKS_V2,
    PodTree,
    resolve_cgroup_root,
)
from daemons.rubicante.kernel.sched_features import SchedFeatures
from daemons.rubicante.kernel.system import System, is_readable, read_if_readable
from daemons.rubicante.mechanisms.origin_log import OriginLog
from daemons.rubicante.mechanisms.timer.hrtick import HrtickFeature
from daemons.rubicante.mechanisms.timer.marks import Marks
from daemons.rubicante.settings import Settings
from k40s.node_agent.kubepods import kubepods_paths

_SAVED_VALUES = "cpusets.json"
_ORIGINS = "origins.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelPaths:
    """Paths of the kernel's interfaces.

    ``debug`` is the scheduler's directory in debugfs (…/sched), ``saved_values`` the file in which
    former values of cpusets are kept. ``cpusets`` is the v1 hierarchy of the cpuset controller,
    ``unified`` the v2 mount, and ``pods`` kubelet's cgroup of all pods in that; None without one.
    """

    proc: Path
    debug: Path
    saved_values: Path
    cpusets: Path | None = None
    unified: Path | None = None
    pods: Path | None = None


def find_kernel_paths(settings: Settings, system: System) -> KernelPaths:
    """Paths for SCHED_DEADLINE, in both cgroup versions; saved values lie beside the store."""
    cpusets, unified = settings.cpuset_cgroup_path, settings.unified_cgroup_path
    tops = (unified / path for path in kubepods_paths(settings.cgroup_root))
    pods = next((top for top in tops if is_readable(system, top)), None)
    has_v1 = read_if_readable(system, cpusets / "cpuset.cpus") is not None
    has_v2 = read_if_readable(system, unified / "cgroup.controllers") is not None
    return KernelPaths(
        proc=settings.proc_path,
        debug=settings.scheduler_debug_path,
        saved_values=settings.store.with_name(_SAVED_VALUES),
        cpusets=cpusets if has_v1 else None,
        unified=unified if has_v2 else None,
        pods=pods if has_v2 else None,
    )


def with_resolved_root(settings: Settings, system: System) -> tuple[Settings, str]:
    """The settings with the cgroup root to use, and a warning for the operator."""
    root, text = resolve_cgroup_root(system, _top(settings, system), settings.cgroup_root)
    return replace(settings, cgroup_root=root), text


def find_pod_tree(settings: Settings, system: System) -> PodTree:
    """The tree of kubelet's pods: in the cpu hierarchy of cgroup v1, or in v2."""
    top = _top(settings, system)
    return PodTree(
        system=system,
        cpu_root=top,
        cgroup_root=settings.cgroup_root,
        tasks=TASKS_V1 if top == settings.cpu_cgroup_path else TASKS_V2,
    )


def find_marks(settings: Settings, system: System) -> Marks:
    """The marks of rubicantes that count on HRTICK_DL, at the top of the pods' hierarchy."""
    return Marks(system=system, top=_top(settings, system), prefix=settings.group_prefix)


def find_hrtick(settings: Settings, system: System) -> HrtickFeature:
    """The scheduler feature HRTICK_DL, which the operator may permit to switch on."""
    return HrtickFeature(
        features=SchedFeatures(system=system, debug=settings.scheduler_debug_path),
        marks=find_marks(settings, system),
        permitted=settings.hrtick and not settings.dry_run,
    )


def find_origin_log(settings: Settings, system: System) -> OriginLog:
    """The log of thread origins; it lies beside the store."""
    return OriginLog(
        system=system, proc=settings.proc_path, file=settings.store.with_name(_ORIGINS)
    )


def _top(settings: Settings, system: System) -> Path:
    v1 = is_readable(system, settings.cpu_cgroup_path)
    return settings.cpu_cgroup_path if v1 else settings.unified_cgroup_path

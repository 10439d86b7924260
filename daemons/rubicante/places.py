"""Where the kernel's interfaces are on this node, as far as they are there."""

from pathlib import Path

from daemons.rubicante.kernel.deadline_setup import DeadlinePlaces
from daemons.rubicante.kernel.system import System
from daemons.rubicante.settings import Settings

_MEMORY = "cpusets.json"
_KUBEPODS = ("kubepods", "kubepods.slice")


def find_places(settings: Settings, system: System) -> DeadlinePlaces:
    """What SCHED_DEADLINE needs, of both cgroup versions; its memory lies beside the store."""
    cpusets, unified = settings.cpuset_cgroup_path, settings.unified_cgroup_path
    top = unified / settings.cgroup_root.strip("/")
    pods = next((top / name for name in _KUBEPODS if exists(system, top / name)), None)
    has_v1 = reads(system, cpusets / "cpuset.cpus")
    has_v2 = reads(system, unified / "cgroup.controllers")
    return DeadlinePlaces(
        proc=settings.proc_path,
        debug=settings.scheduler_debug_path,
        memory=settings.store.with_name(_MEMORY),
        cpusets=cpusets if has_v1 else None,
        unified=unified if has_v2 else None,
        pods=pods if has_v2 else None,
    )


def exists(system: System, path: Path) -> bool:
    """Whether there is a directory that can be listed."""
    try:
        system.directories(path)
    except OSError:
        return False
    return True


def reads(system: System, path: Path) -> bool:
    """Whether there is a file that can be read."""
    try:
        system.read(path)
    except OSError:
        return False
    return True

"""Plan of moving a pod off some CPUs: it keeps the others of those that it may run on, no new one.

cgroup v1 refuses a cpuset with CPUs that its parent lacks, and a parent's without those of a child.
So there each cgroup of the pod is narrowed, from the leaves to the pod, and restored last. v2 takes
what parent and child have in common by itself.
"""

from collections.abc import Sequence

from daemons.malacoda.actuator.holds import Write
from daemons.malacoda.actuator.kernel import CgroupFiles, is_v1
from daemons.malacoda.actuator.plan import Plan, PodCgroup, cgroups_below
from daemons.malacoda.actuator.protocol import Refusal
from k40s.units import format_cpu_list, parse_cpu_list

_FILE = "cpuset.cpus"


def plan_move(files: CgroupFiles, pod: PodCgroup, off: tuple[int, ...]) -> Plan:
    """Writes after which the pod runs on none of these CPUs. Raises ``OSError``, ``ValueError``."""
    if pod.cpuset is None:
        return Refusal.NO_CONTROLLER
    try:
        if pod.unified:
            return _plan_v2(files, pod.cpuset, off)
        return _plan_v1(files, pod.cpuset, off)
    except FileNotFoundError:
        return Refusal.NO_CONTROLLER


def _plan_v2(files: CgroupFiles, path: str, off: tuple[int, ...]) -> Plan:
    """The pod's own cpuset, which is empty unless somebody has set it.

    The kernel lets no cpuset with tasks become empty again (ENOSPC). So all of the machine's CPUs
    are what is restored then: the pod has of them what its parent has, as before.
    """
    effective = _cpus(files.read(f"{path}/{_FILE}.effective"))
    left = effective.difference(off)
    if left == effective:
        return Refusal.AWAY
    if not left:
        return Refusal.NO_OTHER_CPU
    before = files.read(f"{path}/{_FILE}") or files.read(f"{_FILE}.effective")
    return (Write(path=f"{path}/{_FILE}", before=before, after=format_cpu_list(left)),)


def _plan_v1(files: CgroupFiles, path: str, off: tuple[int, ...]) -> Plan:
    below = cgroups_below(files, path)
    if below is None:
        return Refusal.TOO_MANY_CGROUPS
    whole = _cpus(files.read(f"{path}/{_FILE}")).difference(off)
    writes, moves = [], False
    for group in (*below, path):
        try:
            before = files.read(f"{group}/{_FILE}")
        except FileNotFoundError:
            if group == path:
                raise
            continue  # it has just been removed
        cpus = _cpus(before)
        left = cpus.difference(off)
        if cpus and not left:
            return Refusal.NO_OTHER_CPU
        if left != cpus or cpus == whole:  # the latter is told from a copy by its entry
            moves = moves or left != cpus
            writes.append(
                Write(path=f"{group}/{_FILE}", before=before, after=format_cpu_list(left))
            )
    return tuple(writes) if moves else Refusal.AWAY


def find_copies(files: CgroupFiles, writes: Sequence[Write]) -> tuple[Write, ...]:
    """Cgroups that were made since in a moved pod, and have its CPUs, as if they were written.

    Runtimes copy a v1 cpuset from the parent, and nobody else would widen it again. Children come
    first. Raises ``OSError``.
    """
    pod = writes[-1]
    if not is_v1(files, pod.path.partition("/")[0]):
        return ()
    known = {write.path for write in writes}
    copies = []
    for group in cgroups_below(files, pod.path.rpartition("/")[0]) or ():
        path = f"{group}/{_FILE}"
        try:
            copied = path not in known and files.read(path) == pod.after
        except FileNotFoundError:
            continue  # it has just been removed
        if copied:
            copies.append(Write(path=path, before=pod.before, after=pod.after))
    return tuple(copies)


def _cpus(text: str) -> frozenset[int]:
    return frozenset(parse_cpu_list(text)) if text else frozenset()

"""Plans of throttling and freezing a pod: which files, their values before and after.

Moving it to other CPUs is in ``plan_cpus``.

cgroup v1 refuses a quota above the parent's and a parent's quota below a child's. So there every
cgroup of the pod that has a larger quota of its own is lowered first, from the leaves to the pod,
and restored last. v2 takes the least of all by itself. Threads with a real-time policy do not
notice a quota; the freezer stops them as well.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice

from daemons.malacoda.actuator.holds import Write
from daemons.malacoda.actuator.kernel import FREEZER_STATE, CgroupFiles, is_v1
from daemons.malacoda.actuator.protocol import Refusal
from k40s.node_agent.kubepods import kubepods_paths, pod_name, qos_paths

_MOST_CGROUPS = 512
_MOST_DEPTH = 16
_SHORTEST_QUOTA = 1000
"""Microseconds; the kernel refuses shorter ones."""
_PERIOD = 100_000
"""Microseconds, kubelet's default: for a period in which the quota would be too short."""

Plan = tuple[Write, ...] | Refusal
"""The writes in their order; a refusal where the act is not possible, or would change nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodCgroup:
    """A pod's cgroup, by paths below /sys/fs/cgroup.

    ``freezer`` and ``cpuset`` are None where there is none.
    """

    cpu: str
    freezer: str | None
    cpuset: str | None
    unified: bool


def find_pod(files: CgroupFiles, cgroup_root: str, uid: str) -> PodCgroup | Refusal:
    """The pod's cgroup under a kubelet with this cgroupRoot, whichever its driver.

    Raises ``OSError`` where cgroups cannot be read.
    """
    cpu, freezer, cpuset, unified = _hierarchies(files)
    if cpu is None:
        return Refusal.NO_CONTROLLER
    found: list[tuple[str, bool]] = []
    for top in kubepods_paths(cgroup_root):
        for parent in qos_paths(top):
            name = pod_name(parent, uid)
            if name in _directories(files, _join(cpu, str(parent))):
                found.append((f"{parent}/{name}", parent == top))
    if len(found) != 1:
        return Refusal.AMBIGUOUS if found else Refusal.UNKNOWN_POD
    path, guaranteed = found[0]
    if guaranteed:
        return Refusal.GUARANTEED
    return PodCgroup(
        cpu=_join(cpu, path),
        freezer=None if freezer is None else _join(freezer, path),
        cpuset=None if cpuset is None else _join(cpuset, path),
        unified=unified,
    )


def plan_throttle(files: CgroupFiles, pod: PodCgroup, quota: Fraction) -> Plan:
    """Writes after which the pod has at most so many CPUs. Raises ``OSError``, ``ValueError``."""
    try:
        if pod.unified:
            return _lower_v2(files, pod.cpu, quota) or Refusal.ALREADY_LOWER
        own = _lower_v1(files, pod.cpu, quota, is_pod=True)
    except FileNotFoundError:
        return Refusal.NO_CONTROLLER
    if not own:
        return Refusal.ALREADY_LOWER
    below = cgroups_below(files, pod.cpu)
    if below is None:
        return Refusal.TOO_MANY_CGROUPS
    writes: list[Write] = []
    for path in below:
        try:
            writes += _lower_v1(files, path, quota, is_pod=False)
        except FileNotFoundError:
            continue  # it has just been removed
    return (*writes, *own)


def plan_freeze(files: CgroupFiles, pod: PodCgroup) -> Plan:
    """The write after which no thread of the pod runs. Raises ``OSError``."""
    if pod.freezer is None:
        return Refusal.NO_CONTROLLER
    name, before, after = (
        ("cgroup.freeze", "0", "1") if pod.unified else (FREEZER_STATE, "THAWED", "FROZEN")
    )
    path = f"{pod.freezer}/{name}"
    try:
        if files.read(path) != before:
            return Refusal.ALREADY_FROZEN
    except FileNotFoundError:
        return Refusal.NO_CONTROLLER
    return (Write(path=path, before=before, after=after),)


def find_kill(files: CgroupFiles, cgroup_root: str, uid: str) -> str | Refusal:
    """The file that kills all of the pod's processes, whatever they fork meanwhile.

    v2 alone has it. Under v1 it would take signals, so a capability, and the host's processes.
    Raises ``OSError``.
    """
    pod = find_pod(files, cgroup_root, uid)
    if isinstance(pod, Refusal):
        return pod
    path = f"{pod.cpu}/cgroup.kill"
    return path if pod.unified and files.exists(path) else Refusal.NO_CONTROLLER


def cgroups_below(files: CgroupFiles, path: str) -> list[str] | None:
    """The cgroups below one, children first; None where they are too many."""
    below = list(islice(_below(files, path), _MOST_CGROUPS + 1))
    return None if len(below) > _MOST_CGROUPS else below


def _hierarchies(files: CgroupFiles) -> tuple[str | None, str | None, str | None, bool]:
    """The trees with CPU quotas, with freezers and with cpusets; whether they are that of v2.

    v1 comes first: where both are there, kubelet uses v1.
    """
    names = files.directories("")
    cpu, freezer, cpuset = (
        _find_v1(files, names, controller) for controller in ("cpu", "freezer", "cpuset")
    )
    if cpu is not None:
        return cpu, freezer, cpuset, False
    try:
        files.read("cgroup.controllers")
    except FileNotFoundError:
        return None, None, None, False
    return "", "", "", True


def _find_v1(files: CgroupFiles, names: tuple[str, ...], controller: str) -> str | None:
    for name in names:
        if controller in name.split(",") and is_v1(files, name):
            return name
    return None


def _directories(files: CgroupFiles, path: str) -> tuple[str, ...]:
    try:
        return files.directories(path)
    except (FileNotFoundError, NotADirectoryError):
        return ()


def _below(files: CgroupFiles, path: str, depth: int = 0) -> Iterator[str]:
    """The cgroups below one, children first; too many where they are too deep."""
    if depth >= _MOST_DEPTH:
        yield from [path] * (_MOST_CGROUPS + 1)
        return
    for name in _directories(files, path):
        yield from _below(files, f"{path}/{name}", depth + 1)
        yield f"{path}/{name}"


def _lower_v1(files: CgroupFiles, path: str, quota: Fraction, *, is_pod: bool) -> tuple[Write, ...]:
    """Writes for one cgroup; none where its quota is low enough."""
    quota_path, period_path = f"{path}/cpu.cfs_quota_us", f"{path}/cpu.cfs_period_us"
    before, period = files.read(quota_path), files.read(period_path)
    unlimited = int(before) < 0
    if (unlimited and not is_pod) or (
        not unlimited and Fraction(int(before), int(period)) <= quota
    ):
        return ()
    length = _period(int(period), quota)
    after = int(length * quota)
    writes = list(_without_burst(files, f"{path}/cpu.cfs_burst_us", after))
    if length != int(period):
        writes.append(Write(path=period_path, before=period, after=str(length)))
    writes.append(Write(path=quota_path, before=before, after=str(after)))
    return tuple(writes)


def _lower_v2(files: CgroupFiles, path: str, quota: Fraction) -> tuple[Write, ...]:
    before = files.read(f"{path}/cpu.max")
    own, period = before.split()
    if own != "max" and Fraction(int(own), int(period)) <= quota:
        return ()
    length = _period(int(period), quota)
    after = int(length * quota)
    return (
        *_without_burst(files, f"{path}/cpu.max.burst", after),
        Write(path=f"{path}/cpu.max", before=before, after=f"{after} {length}"),
    )


def _without_burst(files: CgroupFiles, path: str, quota: int) -> Iterator[Write]:
    """A burst above the quota makes the kernel refuse the quota; old kernels have none."""
    try:
        burst = files.read(path)
    except FileNotFoundError:
        return
    if int(burst) > quota:
        yield Write(path=path, before=burst, after="0")


def _period(period: int, quota: Fraction) -> int:
    return period if period * quota >= _SHORTEST_QUOTA else _PERIOD


def _join(top: str, path: str) -> str:
    return f"{top}/{path}" if top else path

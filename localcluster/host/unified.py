"""A named cgroup of cgroup v2, at the top of the one hierarchy that there is.

A node for real-time pods gets its CPUs alone: its cgroup is a *partition*
(``cpuset.cpus.partition``, at the top any Linux since 5.0), so these CPUs are a root domain of
their own, and the kernel accepts SCHED_DEADLINE for threads that run on them only. Of the machine's
other cgroups nothing is written but which controllers the top hands down. systemd leaves alone what
others made there, and does not withdraw a controller that is handed down further.
"""

import errno
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from k40s.units import parse_cpu_list
from localcluster.errors import LocalClusterError
from localcluster.host.cgroups import Binding, CgroupTree, Hierarchies
from localcluster.host.group_files import GroupFiles, LinuxGroupFiles

CONTROLLERS = frozenset({"cpuset", "cpu", "io", "memory", "hugetlb", "pids"})
"""Kubelet wants each that the machine has."""
NEEDED = frozenset({"cpu", "memory", "pids"})
_CONTROL = "cgroup.subtree_control"
_CPUS = "cpuset.cpus"
_PARTITION = "cpuset.cpus.partition"
_ROOT = "root"
_MEMBER = "member"
_INSIDE = "; processes are in it, as in a container that sees no more of the machine's cgroups"
_TRIES = 5
"""systemd may withdraw a controller of the top until something below hands it down."""


class UnifiedTree(CgroupTree):
    """The cgroup ``/<name>`` of cgroup v2. Its processes are all below it, as v2 requires."""

    def __init__(self, name: str, *, root: Path, files: GroupFiles | None = None) -> None:
        super().__init__(name, hierarchies=(root,))
        self._files = files or LinuxGroupFiles()
        self._controllers = Controllers(root, self._files)
        self._root = root
        self._top = root / name

    def create(self, *, cpus: str, below: str = "", binding: Binding = Binding.LOOSE) -> str:
        """Make it with the controllers that the machine has; see ``CgroupTree.create``.

        A partition comes first: older kernels make none of a cgroup that hands cpusets down.
        """
        why = ""
        for _ in range(_TRIES):
            self._controllers.hand_down(self._root)
            self._files.make(self._top)
            why = self._bind(cpus, binding)
            self._controllers.hand_down(self._top)
            if self._controllers.wanted() <= self._controllers.handed_down(self._top):
                break
        if below:
            self._files.make(self._top / below)
        return why

    def _bind(self, cpus: str, binding: Binding) -> str:
        free = self._files.read(self._root / f"{_CPUS}.effective")
        if binding is Binding.LOOSE or _cpus(cpus) == _cpus(free):
            # That is where it runs anyway; a list of its own would stand in a partition's way.
            return ""
        if "cpuset" not in self._controllers.handed_down(self._root):
            return "the machine's cgroup v2 has no cpuset controller"
        if self._state() == _ROOT and self._files.read(self._top / _CPUS) == cpus:
            return ""
        self._write(_CPUS, cpus)
        return self._part(cpus) if binding is Binding.ALONE else ""

    def _part(self, cpus: str) -> str:
        """Make it a partition of its CPUs; why it is none."""
        try:
            self._files.write(self._top / _PARTITION, _ROOT)
            state = self._state()
        except OSError as error:
            state = str(error)
        if state == _ROOT:
            return ""
        with suppress(OSError):
            self._files.write(self._top / _PARTITION, _MEMBER)
        return f"the kernel makes no partition of CPU {cpus}: {state or 'it has none'}"

    def _state(self) -> str:
        return self._files.read(self._top / _PARTITION)

    def _write(self, name: str, text: str) -> None:
        try:
            self._files.write(self._top / name, text)
        except OSError as error:
            raise LocalClusterError(f"{self._top / name} = {text}: {error}") from error


class Controllers:
    """Which controllers the cgroups of a machine have; ``root`` is where v2 is mounted."""

    def __init__(self, root: Path, files: GroupFiles | None = None) -> None:
        self._root = root
        self._files = files or LinuxGroupFiles()

    def wanted(self) -> frozenset[str]:
        """The controllers of the machine that a cluster's cgroups are to have."""
        return self._offered(self._root)

    def missing(self) -> frozenset[str]:
        """The machine's controllers that the top does not hand down yet.

        runc and kubelet hand down all that there are, also those that nobody wants here.
        """
        offered = frozenset(self._files.read(self._root / "cgroup.controllers").split())
        return offered - self.handed_down(self._root)

    def handed_down(self, cgroup: Path) -> frozenset[str]:
        """The controllers that a cgroup's children have."""
        return frozenset(self._files.read(cgroup / _CONTROL).split())

    def hand_down(self, cgroup: Path) -> None:
        """Let a cgroup's children have all of ``CONTROLLERS`` that it has itself."""
        for controller in sorted(self._offered(cgroup) - self.handed_down(cgroup)):
            try:
                self._files.write(cgroup / _CONTROL, f"+{controller}")
            except OSError as error:
                inside = _INSIDE if error.errno == errno.EBUSY else ""
                raise LocalClusterError(
                    f"cgroups in {cgroup} cannot have the controller {controller}: {error}{inside}"
                ) from error

    def groups(self) -> frozenset[str]:
        """The names of the cgroups at the top."""
        return self._files.children(self._root)

    def take_back(self, controllers: Iterable[str], *, known: frozenset[str]) -> None:
        """Let the top's children have these controllers no more, unless one may use them.

        ``known`` are the cgroups that were there before any of them was handed down.
        """
        if self.groups() - known:
            return
        for controller in controllers:
            # EBUSY: a cgroup hands it down on, so somebody uses it.
            with suppress(OSError):
                self._files.write(self._root / _CONTROL, f"-{controller}")

    def _offered(self, cgroup: Path) -> frozenset[str]:
        return CONTROLLERS & frozenset(self._files.read(cgroup / "cgroup.controllers").split())


def tree_of(name: str, hierarchies: Hierarchies) -> CgroupTree:
    """The cgroup of this name, as the machine has cgroups; none is made."""
    if hierarchies.unified is not None:
        return UnifiedTree(name, root=hierarchies.unified)
    return CgroupTree(name, hierarchies=hierarchies.paths)


def _cpus(text: str) -> frozenset[int]:
    return frozenset(parse_cpu_list(text) if text else ())

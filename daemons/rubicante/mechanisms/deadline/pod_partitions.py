"""A core as a root domain of its own for one pod, by a remote partition of cgroup v2.

Linux 6.7 and up: CPUs that are listed in ``cpuset.cpus.exclusive`` of a cgroup and of all above it
can be made a partition there, whatever the cgroups between are. So the pod's cgroup gets the core
alone, with all of its processes, and every other cgroup of the node loses it. One CPU must be left
to them. Nothing is moved, and the partition goes with the pod's cgroup.

Making one needs CAP_SYS_ADMIN. The state of a partition is shown where it is
read: "root", or "root invalid" with the reason.
"""

from collections.abc import Set as AbstractSet
from pathlib import Path

from daemons.rubicante.kernel.pod_cgroups import find_directories
from daemons.rubicante.kernel.saved_values import SavedValues
from daemons.rubicante.kernel.system import System, read_cpuset
from k40s.cpu.model import Domain
from k40s.errors import KernelError
from k40s.units import parse_cpu_list

EXCLUSIVE = "cpuset.cpus.exclusive"
PARTITION = "cpuset.cpus.partition"
_ROOT = "root"
_MEMBER = "member"


class PodPartitions:
    """Makes pods' cgroups under ``root`` (the mount) partitions, and takes that back.

    ``pods`` is kubelet's cgroup of all pods. What it and the cgroups between held before is
    saved. Every method raises ``KernelError`` where the kernel refuses.
    """

    domain = Domain.EXCLUSIVE

    def __init__(
        self, *, system: System, root: Path, pods: Path, prefix: str, saved: SavedValues
    ) -> None:
        self._system = system
        self._root = root
        self._pods = pods
        self._probe = pods / f"{prefix}-probe"
        self._saved = saved

    def set_up(self, cores: AbstractSet[int]) -> None:
        """See whether the kernel makes a partition of a core that no pod has at present."""
        if not self._system.online() - cores:
            raise KernelError("exclusive partitions need a CPU besides those of K40S_CPUS")
        if self._exists(self._probe):  # of a process that died just here, with its core
            self.undo(self._probe)
            self._remove_probe()
        free = sorted(cores - self.held(self._pods))
        if not free:
            return
        try:
            self._system.make_directory(self._probe)
        except FileExistsError:
            pass
        except OSError as error:
            raise KernelError(f"exclusive partitions: {error}") from error
        try:
            self.make(self._probe, free[0])
        finally:
            self.undo(self._probe)
            self._remove_probe()

    def make(self, cgroup: Path, core: int) -> bool:
        """Give a core to a cgroup alone; True when something was written.

        After an error, everything is as it was.
        """
        if self.state(cgroup) == _ROOT and self.held(cgroup) == {core}:
            return False
        try:
            for step in self._between(cgroup):
                self._add(step, core)
            self._write(cgroup / EXCLUSIVE, str(core))
            self._write(cgroup / PARTITION, _ROOT)
            self._verify(cgroup, core)
        except KernelError:
            self.undo(cgroup)
            raise
        return True

    def undo(self, cgroup: Path) -> None:
        """Make it an ordinary cgroup again, and remove from those above what no pod needs."""
        if self.state(cgroup) not in {"", _MEMBER}:
            self._write(cgroup / PARTITION, _MEMBER)
        if self.held(cgroup):
            self._write(cgroup / EXCLUSIVE, "\n")
        self.tidy()

    def tidy(self) -> None:
        """Take from the cgroups above the pods what no pod holds any more."""
        saved = self._saved.values()
        for name in sorted(saved, key=lambda n: n.count("/"), reverse=True):
            path = self._root / name
            needed = _cpus(saved[name]).union(*map(self.held, self._children(path)))
            if self._exists(path) and self.held(path) != needed:
                self._write(path / EXCLUSIVE, _text(needed))
            if self.held(path) == _cpus(saved[name]):
                self._saved.forget(name)

    def state(self, cgroup: Path) -> str:
        """The kernel's state of a cgroup's partition; empty where there is no such file."""
        return read_cpuset(self._system, cgroup / PARTITION) or ""

    def held(self, cgroup: Path) -> frozenset[int]:
        """CPUs that a cgroup claims for itself and those below."""
        return _cpus(read_cpuset(self._system, cgroup / EXCLUSIVE) or "")

    def partitions(self) -> tuple[Path, ...]:
        """Pods' cgroups that hold a core."""
        above = [self._root / name for name in self._saved.values()]
        found = {child for path in above for child in self._children(path) if self.held(child)}
        return tuple(sorted(found - set(above)))

    def _verify(self, cgroup: Path, core: int) -> None:
        if (state := self.state(cgroup)) != _ROOT:
            raise KernelError(f"partition of CPU {core} for {cgroup.name}: {state}")

    def _between(self, cgroup: Path) -> list[Path]:
        """The cgroups above it, from the top; the mount itself takes no exclusive CPUs."""
        return [p for p in reversed(cgroup.parents) if self._root in p.parents]

    def _add(self, cgroup: Path, core: int) -> None:
        present = self.held(cgroup)
        if core not in present:
            self._saved.note(str(cgroup.relative_to(self._root)), _text(present).strip())
            self._write(cgroup / EXCLUSIVE, _text(present | {core}))

    def _children(self, path: Path) -> tuple[Path, ...]:
        return tuple(path / name for name in find_directories(self._system, path) or ())

    def _exists(self, path: Path) -> bool:
        return read_cpuset(self._system, path / EXCLUSIVE) is not None

    def _remove_probe(self) -> None:
        try:
            self._system.remove_directory(self._probe)
        except OSError as error:
            raise KernelError(f"rmdir {self._probe.name}: {error}") from error

    def _write(self, path: Path, value: str) -> None:
        try:
            self._system.write(path, value)
        except OSError as error:
            raise KernelError(f"{path.parent.name}/{path.name} = {value!r}: {error}") from error


def _cpus(text: str) -> frozenset[int]:
    return frozenset(parse_cpu_list(text) if text else ())


def _text(cpus: AbstractSet[int]) -> str:
    """As the kernel reads a list; an empty one is a bare line end, for nothing is no write."""
    return ",".join(map(str, sorted(cpus))) or "\n"

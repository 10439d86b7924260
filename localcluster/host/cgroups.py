"""A named cgroup of the machine, in every hierarchy of it: made, filled and removed as one.

On a machine with cgroup v1 that is one in each of its hierarchies. Where v2 has the controllers it
is one cgroup there (``localcluster.host.unified``).
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from localcluster.errors import LocalClusterError

_ROUNDS = 200
_PAUSE = 0.05
_FIELDS = 4  # device, place, type, options
_UNIFIED = Path("/sys/fs/cgroup")


class Binding(Enum):
    """How a cgroup is bound to CPUs, where that is a choice."""

    LOOSE = "loose"
    """It runs wherever the machine has room."""
    BOUND = "bound"
    """It runs on these CPUs, and others may too."""
    ALONE = "alone"
    """It runs on these CPUs, and nothing else does: they are scheduled apart from all others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hierarchies:
    """Where a cgroup has to be made. ``unified`` is cgroup v2's mount, where that has all of it."""

    paths: tuple[Path, ...]
    unified: Path | None = None

    @property
    def cpu(self) -> Path:
        """The one that has the cpu controller."""
        named = (path for path in self.paths if "cpu" in path.name.split(","))
        return self.unified or next(named, Path("/sys/fs/cgroup/cpu"))

    @property
    def has_real_time_budgets(self) -> bool:
        """Whether groups have budgets for real-time threads, which only v1 has."""
        return self.unified is None and (self.cpu / "cpu.rt_runtime_us").exists()


def parse_hierarchies(mounts: str) -> Hierarchies:
    """The cgroup hierarchies out of the text of ``/proc/mounts``.

    A machine is of v2 where no hierarchy of v1 has the cpu controller.
    """
    v1: dict[Path, None] = {}
    v2: dict[Path, None] = {}
    controllers: set[str] = set()
    for line in mounts.splitlines():
        fields = line.split()
        if len(fields) >= _FIELDS and fields[2] == "cgroup":
            v1[Path(fields[1])] = None
            controllers.update(fields[3].split(","))
        elif len(fields) >= _FIELDS and fields[2] == "cgroup2":
            v2[Path(fields[1])] = None
    if v2 and "cpu" not in controllers:
        root = _UNIFIED if _UNIFIED in v2 else next(iter(v2))
        return Hierarchies(paths=(root,), unified=root)
    return Hierarchies(paths=(*v1, *v2))


def read_hierarchies() -> Hierarchies:
    """The cgroup hierarchies of this machine."""
    return parse_hierarchies(Path("/proc/mounts").read_text(encoding="utf-8"))


class CgroupTree:
    """The cgroup ``/<name>`` in every hierarchy, with all that is below it."""

    def __init__(self, name: str, *, hierarchies: tuple[Path, ...]) -> None:
        self.name = name
        self._tops = tuple(hierarchy / name for hierarchy in hierarchies)

    def create(self, *, cpus: str, below: str = "", binding: Binding = Binding.LOOSE) -> str:
        """Make it, and ``below`` in it; ``cpus`` such as ``0,2-3``.

        Returns why it is not ``Binding.ALONE`` although that was asked for; empty where it is, and
        where a cgroup's threads get real-time budgets instead. In v1 a cgroup is always bound.
        """
        del binding
        for top in self._tops:
            for path in (top, top / below) if below else (top,):
                path.mkdir(exist_ok=True)
                if (path / "cpuset.mems").exists() and (path / "tasks").exists():
                    memory = (path.parent / "cpuset.mems").read_text()
                    (path / "cpuset.mems").write_text(memory)
                    (path / "cpuset.cpus").write_text(cpus)
        return ""

    def adopt(self, pid: int, *, below: str = "") -> None:
        """Move a process into it (or into ``below`` in it), in every hierarchy."""
        for top in self._tops:
            # A process that ended at once is reported by the wait for it, with its log.
            with suppress(ProcessLookupError):
                (top / below / "cgroup.procs").write_text(str(pid))

    def exists(self) -> bool:
        """Whether any hierarchy has it."""
        return any(top.is_dir() for top in self._tops)

    def pids(self) -> set[int]:
        """All processes in it and below it."""
        found: set[int] = set()
        for group in self._groups():
            for name in ("cgroup.procs", "tasks"):
                with suppress(OSError):
                    found.update(int(line) for line in (group / name).read_text().split())
        return found

    def remove(self, *, rounds: int = _ROUNDS) -> None:
        """Kill every process in it and remove it. Raises ``LocalClusterError`` if it stays busy.

        A v1 freezer holds SIGKILL back, so a pod that malacoda has frozen is thawed first.
        """
        pause = threading.Event()
        for _ in range(rounds):
            for group in self._groups():
                with suppress(OSError):
                    self._thaw(group)
            for pid in self.pids():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            for group in self._groups():
                # A dying process keeps its group busy for some milliseconds more.
                with suppress(OSError):
                    group.rmdir()
            if not self.exists():
                return
            pause.wait(_PAUSE)
        left = sorted(self.pids())
        raise LocalClusterError(f"cgroup /{self.name} cannot be removed; processes in it: {left}")

    def _thaw(self, group: Path) -> None:
        state = group / "freezer.state"
        if state.exists() and state.read_text() != "THAWED\n":
            state.write_text("THAWED")

    def _groups(self) -> Iterator[Path]:
        """All groups, children first."""
        for top in self._tops:
            for directory, _, _ in os.walk(top, topdown=False):
                yield Path(directory)


def find_trees(prefix: str, *, hierarchies: Hierarchies) -> list[CgroupTree]:
    """All top-level cgroups whose name begins so, such as a node's budget groups; to be removed."""
    names = {
        path.name
        for hierarchy in hierarchies.paths
        for path in hierarchy.glob(f"{prefix}*")
        if path.is_dir()
    }
    return [CgroupTree(name, hierarchies=hierarchies.paths) for name in sorted(names)]

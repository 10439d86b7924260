"""A named cgroup in every hierarchy of the machine: made, filled and removed as one."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from localcluster.errors import LocalClusterError

_ROUNDS = 200
_PAUSE = 0.05


def parse_hierarchies(mounts: str) -> tuple[Path, ...]:
    """The mount points of all cgroup hierarchies out of the text of ``/proc/mounts``."""
    found: dict[Path, None] = {}
    for line in mounts.splitlines():
        fields = line.split()
        if len(fields) > 2 and fields[2] in {"cgroup", "cgroup2"}:  # noqa: PLR2004  # device, place, type
            found[Path(fields[1])] = None
    return tuple(found)


def read_hierarchies() -> tuple[Path, ...]:
    """The cgroup hierarchies of this machine."""
    return parse_hierarchies(Path("/proc/mounts").read_text(encoding="utf-8"))


class CgroupTree:
    """The cgroup ``/<name>`` in every hierarchy, with all that is below it."""

    def __init__(self, name: str, *, hierarchies: tuple[Path, ...]) -> None:
        self.name = name
        self._tops = tuple(hierarchy / name for hierarchy in hierarchies)

    def create(self, *, cpus: str, below: str = "") -> None:
        """Make it, and ``below`` in it; ``cpus`` such as ``0,2-3`` binds it where cpuset is v1."""
        for top in self._tops:
            for path in (top, top / below) if below else (top,):
                path.mkdir(exist_ok=True)
                if (path / "cpuset.mems").exists() and (path / "tasks").exists():
                    memory = (path.parent / "cpuset.mems").read_text()
                    (path / "cpuset.mems").write_text(memory)
                    (path / "cpuset.cpus").write_text(cpus)

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
        """Kill every process in it and remove it. Raises ``LocalClusterError`` if it stays busy."""
        pause = threading.Event()
        for _ in range(rounds):
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

    def _groups(self) -> Iterator[Path]:
        """All groups, children first."""
        for top in self._tops:
            for directory, _, _ in os.walk(top, topdown=False):
                yield Path(directory)


def find_trees(prefix: str, *, hierarchies: tuple[Path, ...]) -> list[CgroupTree]:
    """All top-level cgroups whose name begins so, such as a node's budget groups."""
    names = {
        path.name
        for hierarchy in hierarchies
        for path in hierarchy.glob(f"{prefix}*")
        if path.is_dir()
    }
    return [CgroupTree(name, hierarchies=hierarchies) for name in sorted(names)]

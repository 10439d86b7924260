"""Finds the cgroups of pods: in the hierarchies of cgroup v1, or in v2."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from k40s.node_agent.kubepods import (
    kubepods_paths,
    pod_name,
    pod_uid,
    qos_paths,
    static_pod_hash,
)
from k40s.units import NS_PER_S, Clock

_LIST_EVERY = 10 * NS_PER_S
"""Pods are listed when a directory shows that it changed, and at least this often."""
_UNIFIED = "unified"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hierarchies:
    """Where the node's cgroups are.

    ``cpu`` is the cpuacct hierarchy of v1, or the tree of v2 (``unified``). ``pids`` and
    ``pressure`` are the trees with these files; None where there is none.
    """

    cpu: Path
    unified: bool
    pids: Path | None
    pressure: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PodCgroup:
    """A pod's cgroup, and its files. ``name`` is unique on the node, whatever the hierarchy."""

    uid: str
    name: str
    directory: str
    used: str
    system: str
    pids: str | None
    cpuset: str
    pressure: str | None

    @property
    def files(self) -> tuple[str, ...]:
        """All its files."""
        found = (self.used, self.system, self.pids, self.cpuset, self.pressure)
        return tuple(dict.fromkeys(path for path in found if path is not None))


def find_hierarchies(root: Path) -> Hierarchies | None:
    """The hierarchies mounted in ``root`` (the host's /sys/fs/cgroup); None without any.

    v1 comes first: where both are there, kubelet uses v1, and v2 has no controllers.
    """
    accounting = _find_v1(root, "cpuacct")
    if accounting is not None:
        mixed = root / _UNIFIED
        return Hierarchies(
            cpu=accounting,
            unified=False,
            pids=_find_v1(root, "pids"),
            pressure=mixed if _exists(mixed / "cgroup.controllers") else None,
        )
    if _exists(root / "cgroup.controllers"):
        return Hierarchies(cpu=root, unified=True, pids=root, pressure=root)
    return None


def _find_v1(root: Path, controller: str) -> Path | None:
    try:
        names = sorted(os.listdir(root))  # noqa: PTH208  # names alone
    except OSError:
        return None
    found = (root / name for name in names if controller in name.split(","))
    return next((path for path in found if _exists(path / "tasks")), None)


def _exists(path: Path) -> bool:
    """Whether it can be seen; one below a directory that must not be entered cannot."""
    return os.path.exists(path)  # noqa: PTH110  # pathlib raises PermissionError


class PodCgroups:
    """The pods of a kubelet with this cgroupRoot, at most ``most``."""

    def __init__(
        self, *, hierarchies: Hierarchies, cgroup_root: str, clock: Clock, most: int
    ) -> None:
        self._hierarchies = hierarchies
        self._clock = clock
        self._most = most
        self._parents = [
            hierarchies.cpu / parent
            for top in kubepods_paths(cgroup_root)
            for parent in qos_paths(top)
        ]
        self._marks: dict[str, tuple[int, ...] | None] = {}
        self._listed: int | None = None
        self._pods: dict[str, PodCgroup] = {}
        self.complete = False
        """Whether kubepods were found, could be read, and held no more than ``most`` pods."""

    def find(self) -> dict[str, PodCgroup]:
        """The pods' cgroups by UID (a static pod's hash)."""
        now = self._clock()
        due = self._listed is None or now - self._listed >= _LIST_EVERY or not self._marks
        if due or any(_mark(path) != mark for path, mark in self._marks.items()):
            self._listed = now
            self._list()
        return self._pods

    def list_again(self) -> None:
        """Have the next call list the pods: one of them is gone."""
        self._listed = None

    def _list(self) -> None:
        found: dict[str, PodCgroup] = {}
        self._marks = {}
        self.complete = True
        for parent in self._parents:
            mark = _mark(str(parent))
            try:
                names = _directories(parent)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError:
                self.complete = False
                continue
            self._marks[str(parent)] = mark
            for uid, name in _pods(parent, names):
                known = self._pods.get(uid)
                same = known is not None and known.directory == f"{parent}/{name}"
                found[uid] = known if known and same else self._pod(parent, name, uid)
        kept = [uid for uid in self._pods if uid in found]
        chosen = dict.fromkeys((*kept, *found))
        if not self._marks or len(chosen) > self._most:
            self.complete = False
        self._pods = {uid: found[uid] for uid in list(chosen)[: self._most]}

    def _pod(self, parent: Path, name: str, uid: str) -> PodCgroup:
        trees = self._hierarchies
        directory = f"{parent}/{name}"
        path = Path(directory).relative_to(trees.cpu)
        v1 = not trees.unified
        return PodCgroup(
            uid=uid,
            name=name,
            directory=directory,
            used=f"{directory}/{'cpuacct.usage_percpu' if v1 else 'cpu.stat'}",
            system=f"{directory}/{'cpuacct.usage_percpu_sys' if v1 else 'cpu.stat'}",
            pids=None if trees.pids is None else f"{trees.pids}/{path}/pids.current",
            cpuset=f"{directory}/cpuset.cpus.effective",
            pressure=None if trees.pressure is None else f"{trees.pressure}/{path}/cpu.pressure",
        )


def _pods(parent: Path, names: list[str]) -> Iterator[tuple[str, str]]:
    for name in names:
        uid = pod_uid(name) or static_pod_hash(name)
        if uid is not None and name == pod_name(parent, uid):
            yield uid, name


def _directories(path: Path) -> list[str]:
    with os.scandir(path) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))


def _mark(path: str) -> tuple[int, ...] | None:
    """What changes when a directory is made or removed in this one.

    A cgroup file system keeps the number of directories, others also the time.
    """
    try:
        found = os.stat(path)  # noqa: PTH116  # every sample
    except OSError:
        return None
    return found.st_ino, found.st_nlink, found.st_mtime_ns


def outermost_pod(text: bytes) -> str | None:
    """Read /proc/PID/cgroup: the uid of the outermost pod in whose cgroup the process is."""
    for line in text.decode(errors="replace").split("\n"):
        for name in line.split(":", 2)[-1].split("/"):
            uid = pod_uid(name) or static_pod_hash(name)
            if uid is not None:
                return uid
    return None

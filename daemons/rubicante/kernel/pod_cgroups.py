"""Paths of pods' cgroups, found in a hierarchy by the names that kubelet gives them.

The tree is that of the v1 cpu hierarchy or of cgroup v2; both look the same but for the file that
lists a cgroup's threads.
"""

import errno
from collections.abc import Iterator
from pathlib import Path

from daemons.rubicante.kernel.system import (
    System,
    is_readable,
    list_if_readable,
)
from k40s.node_agent.kubepods import (
    cgroup_root_of,
    container_id,
    is_kubepods,
    kubepods_paths,
    pod_name,
    pod_uid,
    qos_paths,
    root_parts,
)

_SEARCH_DEPTH, _SEARCH_MOST = 5, 4000
"""Levels and groups that a search for kubepods reads: they lie near the top."""
_DEPTH = 8


TASKS_V1 = "tasks"
TASKS_V2 = "cgroup.threads"


def find_directories(system: System, path: Path) -> tuple[str, ...] | None:
    """Names of the directories in a directory; None where it is not there.

    Raises ``OSError`` where it is there and cannot be read.
    """
    try:
        return system.directories(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def is_directory(system: System, path: Path) -> bool:
    """Whether a directory is there. Raises ``OSError`` where it is and cannot be read."""
    return find_directories(system, path) is not None


def find_kubepods(system: System, top: Path) -> tuple[Path, ...]:
    """Paths of kubepods near the top of a hierarchy, relative to it."""
    return tuple(path.relative_to(top) for path in _search(system, top))


def resolve_cgroup_root(system: System, top: Path, configured: str) -> tuple[str, str]:
    """The cgroupRoot to use, and a warning for the operator ("" for none).

    Where kubelet's default is configured and has no kubepods, the only kubepods elsewhere is used:
    a pod is identified by its UID, not by its path. Of several none is used.
    """
    try:
        if any(is_directory(system, top / path) for path in kubepods_paths(configured)):
            return configured, ""
    except OSError:  # it is there, and PodTree says why it cannot be read
        return configured, ""
    found = find_kubepods(system, top)
    roots = [cgroup_root_of(path) for path in found]
    if not found:
        return configured, ""
    if not root_parts(configured) and len(found) == 1:
        text = f"K40S_CGROUP_ROOT is not set, and the only kubepods are at /{found[0]}"
        return roots[0], f"{text}: {roots[0]} is used"
    where = ", ".join(f"{root} (/{path})" for root, path in zip(roots, found, strict=True))
    return configured, f"K40S_CGROUP_ROOT {configured} has no kubepods; there are some in {where}"


def _search(system: System, top: Path) -> Iterator[Path]:
    level, left = [top], _SEARCH_MOST
    for _ in range(_SEARCH_DEPTH):
        deeper: list[Path] = []
        for directory in level:
            for name in list_if_readable(system, directory):
                left -= 1
                if is_kubepods(name):
                    yield directory / name
                elif left > 0:
                    deeper.append(directory / name)
        level = deeper


class PodTree:
    """Finds pods and containers below ``cgroup_root`` (kubelet's setting) in ``cpu_root``.

    ``tasks`` is the file of a cgroup that lists its TIDs.
    """

    def __init__(
        self, *, system: System, cpu_root: Path, cgroup_root: str, tasks: str = TASKS_V1
    ) -> None:
        self._system = system
        self._tasks = tasks
        self._cpu_root = cpu_root
        self._tops = tuple(cpu_root / path for path in kubepods_paths(cgroup_root))
        self._parents = tuple(parent for top in self._tops for parent in qos_paths(top))
        self._seen: dict[Path, dict[str, tuple[str, Path] | None]] = {}

    def describe(self) -> str:
        """The path of kubepods in use, and those of others: a text for operators."""
        tops = " and ".join(map(str, self._tops))
        there = any(is_readable(self._system, top) for top in self._tops)
        found = find_kubepods(self._system, self._cpu_root)
        elsewhere = [path for path in found if self._cpu_root / path not in self._tops]
        others = ", ".join(f"/{path} (cgroupRoot {cgroup_root_of(path)})" for path in elsewhere)
        if not others and there:
            return f"{tops}: does the runtime put its cgroups elsewhere?"
        missing = "" if there else ", which are not there"
        seen = f"there are some at {others}" if others else f"{self._cpu_root} has none at all"
        return f"{tops}{missing}; {seen}: is K40S_CGROUP_ROOT kubelet's cgroupRoot?"

    def pods(self) -> dict[str, Path]:
        """The cgroups of all pods, by UID."""
        seen: dict[Path, dict[str, tuple[str, Path] | None]] = {}
        for parent in self._parents:
            names, before = find_directories(self._system, parent), self._seen.get(parent, {})
            if names is not None:
                seen[parent] = {
                    name: before[name] if name in before else self._pod_at(parent, name)
                    for name in names
                }
        self._seen = seen
        return dict(found for names in seen.values() for found in names.values() if found)

    def above(self) -> tuple[Path, ...]:
        """Directories in which pods' cgroups, or ones that lead to them, will appear.

        Those that existed when ``pods`` last looked; one that cannot be read is left out.
        """
        known = {path for parent in self._seen for path in self._inside(parent)}
        found = known or {path for top in self._tops for path in self._inside(top)}
        return (
            *self._seen,
            *(p for p in found - self._seen.keys() if known or is_readable(self._system, p)),
        )

    def pod(self, uid: str) -> Path | None:
        """The pod's cgroup, once it exists."""
        for parent in self._parents:
            path = parent / pod_name(parent, uid)
            if self.exists(path):
                return path
        return None

    def above_pods(self) -> tuple[Path, ...]:
        """The groups there are in which pods lie: kubepods, and those of classes below it."""
        return tuple(path for path in self._parents if self.exists(path))

    def containers(self, pod: Path) -> dict[str, Path]:
        """Cgroups in a pod's, by container id; the sandbox's is among them."""
        names = find_directories(self._system, pod) or ()
        return {id_: pod / name for name in names if (id_ := container_id(name))}

    def names(self, path: Path) -> tuple[str, ...]:
        """Names of the groups in a cgroup; none where it is gone or cannot be read."""
        return list_if_readable(self._system, path)

    def tids(self, container: Path, depth: int = _DEPTH) -> tuple[int, ...]:
        """TIDs in a container's cgroup and the ones it made below, down to eight levels."""
        try:
            tids = tuple(map(int, self._system.read(container / self._tasks).split()))
            names = self._system.directories(container) if depth else ()
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENODEV):
                return ()
            raise
        return tids + tuple(tid for name in names for tid in self.tids(container / name, depth - 1))

    def path(self, kubepods_path: str) -> Path | None:
        """A path that another hierarchy shows, in this one; None outside of kubelet's tree."""
        path = Path(f"{self._cpu_root}/{kubepods_path.strip('/')}")
        return path if any(path.is_relative_to(top) for top in self._tops) else None

    def existing(self, kubepods_path: str) -> Path | None:
        """The cgroup at a path that another hierarchy shows, while it exists."""
        path = self.path(kubepods_path)
        return path if path is not None and self.exists(path) else None

    def nearest(self, path: Path) -> Path | None:
        """The lowest cgroup that exists on the way to a path, kubepods at the least."""
        above = (path, *path.parents)
        inside = (p for p in above if any(p.is_relative_to(top) for top in self._tops))
        return next((p for p in inside if self.exists(p)), None)

    @staticmethod
    def owner(kubepods_path: str) -> str | None:
        """The UID of the pod that a path lies in."""
        return next(filter(None, map(pod_uid, kubepods_path.split("/"))), None)

    def exists(self, path: Path) -> bool:
        """Whether a cgroup is there."""
        return is_directory(self._system, path)

    def _pod_at(self, parent: Path, name: str) -> tuple[str, Path] | None:
        uid = self.owner(name)
        return (uid, parent / name) if uid and name == pod_name(parent, uid) else None

    def _inside(self, path: Path) -> tuple[Path, ...]:
        """The groups above a path, up to the top of the hierarchy."""
        return tuple(p for p in path.parents if p.is_relative_to(self._cpu_root))

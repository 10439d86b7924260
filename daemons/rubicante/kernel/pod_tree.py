"""Where kubelet puts a pod's cgroups, with either of its cgroup drivers.

The tree is that of the v1 cpu hierarchy or of cgroup v2; both look the same but for the file that
lists a cgroup's threads.

cgroupfs: ``<root>/kubepods[/burstable|/besteffort]/pod<uid>/<container id>``; systemd:
``<root>/kubepods.slice[/kubepods-burstable.slice]/kubepods[-burstable]-pod<uid>.slice/
cri-containerd-<container id>.scope``, with underscores for the dashes of the UID.
"""

import errno
import re
from pathlib import Path

from daemons.rubicante.kernel.system import System

_QOS = ("", "burstable", "besteffort")
_CONTAINER = re.compile(r"(?:[a-z]+(?:-[a-z]+)*-)?([0-9a-f]{64})(?:\.scope)?")
_POD = re.compile(
    r"(?:pod|kubepods(?:-[a-z]+)?-pod)([0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12})(?:\.slice)?"
)
_DEPTH = 8


TASKS_V1 = "tasks"
TASKS_V2 = "cgroup.threads"


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
        self._root = cpu_root / cgroup_root.strip("/")
        plain, slices = self._root / "kubepods", self._root / "kubepods.slice"
        self._parents = (
            *(plain / qos for qos in _QOS),
            *(slices / f"kubepods-{qos}.slice" if qos else slices for qos in _QOS),
        )
        inside = (path for path in (self._root, *self._root.parents))
        self._ancestors = tuple(path for path in inside if path.is_relative_to(cpu_root))
        self._seen: dict[Path, dict[str, tuple[str, Path] | None]] = {}

    def pods(self) -> dict[str, Path]:
        """The cgroups of all pods, by UID."""
        seen: dict[Path, dict[str, tuple[str, Path] | None]] = {}
        for parent in self._parents:
            names, before = self._find_names(parent), self._seen.get(parent, {})
            if names is not None:
                seen[parent] = {
                    name: before[name] if name in before else self._pod_at(parent, name)
                    for name in names
                }
        self._seen = seen
        return dict(found for names in seen.values() for found in names.values() if found)

    def above(self) -> tuple[Path, ...]:
        """Directories in which pods' cgroups, or ones that lead to them, will appear.

        Those that existed when ``pods`` last looked.
        """
        return (*self._seen, *(p for p in self._ancestors if self._seen or self.exists(p)))

    def pod(self, uid: str) -> Path | None:
        """The pod's cgroup, once it exists."""
        flat = uid.replace("-", "_")
        for parent in self._parents:
            if parent.suffix == ".slice":
                stem = parent.stem
                path = parent / f"{stem}-pod{flat}.slice"
            else:
                path = parent / f"pod{uid}"
            if self.exists(path):
                return path
        return None

    def above_pods(self) -> tuple[Path, ...]:
        """The groups there are in which pods lie: kubepods, and those of classes below it."""
        return tuple(path for path in self._parents if self.exists(path))

    def containers(self, pod: Path) -> dict[str, Path]:
        """Cgroups in a pod's, by container id; the sandbox's is among them."""
        names = self._find_names(pod) or ()
        return {match[1]: pod / name for name in names if (match := _CONTAINER.fullmatch(name))}

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
        return path if path.is_relative_to(self._root) else None

    def home(self, kubepods_path: str) -> Path | None:
        """The cgroup at a path that another hierarchy shows, while it exists."""
        path = self.path(kubepods_path)
        return path if path is not None and self.exists(path) else None

    @staticmethod
    def owner(kubepods_path: str) -> str | None:
        """The UID of the pod that a path lies in."""
        found = (_POD.fullmatch(part) for part in kubepods_path.split("/"))
        return next((match[1].replace("_", "-") for match in found if match), None)

    def exists(self, path: Path) -> bool:
        """Whether a cgroup is there."""
        return self._find_names(path) is not None

    def _pod_at(self, parent: Path, name: str) -> tuple[str, Path] | None:
        uid = self.owner(name)
        return None if uid is None else (uid, parent / name)

    def _find_names(self, path: Path) -> tuple[str, ...] | None:
        try:
            return self._system.directories(path)
        except (FileNotFoundError, NotADirectoryError):
            return None

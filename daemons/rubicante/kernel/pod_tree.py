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

    def pod(self, uid: str) -> Path | None:
        """The pod's cgroup, once it exists."""
        return next((p for p in self._candidates(uid) if self.exists(p)), None)

    def containers(self, pod: Path) -> dict[str, Path]:
        """Cgroups in a pod's, by container id; the sandbox's is among them."""
        try:
            names = self._system.directories(pod)
        except FileNotFoundError:
            return {}
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

    def home(self, kubepods_path: str) -> Path | None:
        """The cpu cgroup at a path that another hierarchy shows, while it exists."""
        path = self._cpu_root / kubepods_path.strip("/")
        return path if path.is_relative_to(self._root) and self.exists(path) else None

    @staticmethod
    def owner(kubepods_path: str) -> str | None:
        """The UID of the pod that a path lies in."""
        found = (_POD.fullmatch(part) for part in kubepods_path.split("/"))
        return next((match[1].replace("_", "-") for match in found if match), None)

    def watched(self, uid: str) -> tuple[Path, ...]:
        """Existing directories in which the pod's or its containers' cgroups will appear."""
        found = self.pod(uid)
        if found is not None:
            return (found, *self.containers(found).values())
        parents = {parent for path in self._candidates(uid) for parent in self._ancestors(path)}
        return tuple(sorted(parent for parent in parents if self.exists(parent)))

    def _ancestors(self, pod: Path) -> list[Path]:
        return [p for p in pod.parents if p.is_relative_to(self._cpu_root)]

    def _candidates(self, uid: str) -> list[Path]:
        plain = [self._root / "kubepods" / qos / f"pod{uid}" for qos in _QOS]
        flat = uid.replace("-", "_")
        slices = []
        for qos in _QOS:
            stem = f"kubepods-{qos}" if qos else "kubepods"
            parent = self._root / "kubepods.slice"
            parent = parent / f"{stem}.slice" if qos else parent
            slices.append(parent / f"{stem}-pod{flat}.slice")
        return plain + slices

    def exists(self, path: Path) -> bool:
        """Whether a cgroup is there."""
        try:
            self._system.directories(path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

"""Where threads come from: the cgroup of their container, and the CPUs that they might use."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from daemons.rubicante.kernel.pod_tree import PodTree
from daemons.rubicante.kernel.threads import Thread, Threads


@dataclass(frozen=True, slots=True, kw_only=True)
class _Origin:
    started: int
    pod_uid: str
    cgroup: Path
    affinity: frozenset[int]


class Homes:
    """Remembers it for threads that are enforced, and reads it from /proc where it can.

    What is remembered does not outlive the process. ``cores`` are the CPUs online.
    """

    def __init__(self, *, threads: Threads, tree: PodTree, cores: AbstractSet[int]) -> None:
        self._threads = threads
        self._tree = tree
        self._cores = frozenset(cores)
        self._origins: dict[int, _Origin] = {}

    def note(self, thread: Thread, *, pod_uid: str, cgroup: Path) -> None:
        """A thread that is about to be enforced for a pod; a repeat changes nothing."""
        known = self._origins.get(thread.tid)
        if known is None or (known.started, known.pod_uid) != (thread.started, pod_uid):
            self._origins[thread.tid] = _Origin(
                started=thread.started,
                pod_uid=pod_uid,
                cgroup=cgroup,
                affinity=self._threads.affinity(thread.tid) or self._cores,
            )

    def path(self, tid: int) -> Path | None:
        """The same as ``cgroup``, but it may be gone already."""
        shown = self._threads.kubepods_path(tid)
        path = None if shown is None else self._tree.path(shown)
        if path is not None:
            return path
        origin = self._origin(tid)
        return None if origin is None else origin.cgroup

    def cgroup(self, tid: int) -> Path | None:
        """The cgroup in the pod tree that a thread belongs to, while it exists.

        It is the one that the thread's other hierarchies show, else the one that was noted.
        """
        path = self._threads.kubepods_path(tid)
        shown = None if path is None else self._tree.home(path)
        if shown is not None:
            return shown
        origin = self._origin(tid)
        return origin.cgroup if origin is not None and self._tree.exists(origin.cgroup) else None

    def pod(self, tid: int) -> str | None:
        """The UID of the pod that a thread belongs to, also when its cgroup is gone already."""
        path = self._threads.kubepods_path(tid)
        shown = None if path is None else self._tree.owner(path)
        if shown is not None:
            return shown
        origin = self._origin(tid)
        return None if origin is None else origin.pod_uid

    def affinity(self, tid: int, *, pod_uid: str) -> frozenset[int]:
        """The CPUs of a thread before it was enforced; of a child, what its pod's threads had."""
        origin = self._origin(tid)
        if origin is not None:
            return origin.affinity
        of_pod = (o.affinity for o in self._origins.values() if o.pod_uid == pod_uid)
        return min(of_pod, key=sorted, default=self._cores)

    def keep_only_living(self) -> None:
        """Forget threads that died."""
        self._origins = {tid: o for tid, o in self._origins.items() if self._origin(tid)}

    def _origin(self, tid: int) -> _Origin | None:
        origin = self._origins.get(tid)
        if origin is None:
            return None
        found = self._threads.find(tid)
        return origin if found is not None and found.started == origin.started else None

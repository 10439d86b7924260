"""Origins of enforced threads: their container's cgroup and the CPUs that they might use."""

from collections.abc import Set as AbstractSet
from pathlib import Path

from daemons.rubicante.kernel.pod_cgroups import PodTree
from daemons.rubicante.kernel.threads import Thread, Threads
from daemons.rubicante.mechanisms.origin_log import Origin, OriginLog


class Origins:
    """Keeps the origins of enforced threads, and reads them from /proc where it can.

    ``log`` keeps them for the next process; None keeps them in memory only. ``cores`` are the CPUs
    online.
    """

    def __init__(
        self,
        *,
        threads: Threads,
        tree: PodTree,
        cores: AbstractSet[int],
        log: OriginLog | None = None,
    ) -> None:
        self._threads = threads
        self._tree = tree
        self._cores = frozenset(cores)
        self._log = log
        self._origins = {origin.tid: origin for origin in (() if log is None else log.read())}

    def note(self, thread: Thread, *, pod_uid: str, cgroup: Path) -> None:
        """A thread that is about to be enforced for a pod; a repeat changes nothing."""
        known = self._origins.get(thread.tid)
        if known is not None and (known.started, known.pod_uid) == (thread.started, pod_uid):
            return
        origin = self._origins[thread.tid] = Origin(
            tid=thread.tid,
            started=thread.started,
            pod_uid=pod_uid,
            cgroup=cgroup,
            affinity=self._threads.affinity(thread.tid) or self._cores,
        )
        if self._log is not None:
            self._log.note(origin)

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
        shown = None if path is None else self._tree.existing(path)
        if shown is not None:
            return shown
        origin = self._origin(tid)
        return origin.cgroup if origin is not None and self._tree.exists(origin.cgroup) else None

    def nearest_cgroup(self, tid: int) -> Path | None:
        """The nearest cgroup above a thread's own that exists: its pod's, its class, kubepods.

        For one whose container's cgroup has gone, and which could not even die where it has no
        CPU time.
        """
        shown = self._threads.kubepods_path(tid)
        path = None if shown is None else self._tree.path(shown)
        return None if path is None else self._tree.nearest(path)

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

    def moved(self) -> dict[int, frozenset[int]]:
        """TID → former CPUs, of living threads that have others now."""
        living = {tid: o for tid, o in self._origins.items() if self._origin(tid)}
        return {
            tid: o.affinity
            for tid, o in living.items()
            if self._threads.affinity(tid) not in (o.affinity, frozenset())
        }

    def forget(self, tid: int) -> None:
        """A thread has back what it had, as far as its container allows."""
        self._origins.pop(tid, None)

    def keep_only_living(self) -> None:
        """Forget threads that died."""
        self._origins = {tid: o for tid, o in self._origins.items() if self._origin(tid)}
        if self._log is not None:
            self._log.keep(self._origins.values())

    def _origin(self, tid: int) -> Origin | None:
        origin = self._origins.get(tid)
        if origin is None:
            return None
        return origin if self._threads.lives(tid, origin.started) else None

"""DEADLINE threads and the reservation that each is held to.

The kernel keeps a thread's attributes, not the reservation for which they were set. What this
process set it keeps; what an earlier process set is found by the thread's name and attributes.
"""

from collections.abc import Sequence

from daemons.rubicante.kernel.pod_cgroups import PodTree
from daemons.rubicante.kernel.sched_attr import Attributes, deadline_attr
from daemons.rubicante.kernel.threads import NAME_BYTES, Thread, Threads, is_deadline
from daemons.rubicante.mechanisms.back_end import GroupName, Held
from daemons.rubicante.mechanisms.deadline.affinity import Affinity
from daemons.rubicante.mechanisms.origins import Origins


class DeadlineMembers:
    """Reads the kernel once, and then tracks what is noted.

    ``book`` are all DEADLINE reservations. ``known`` is TID → start and reservation of what this
    process set, which outlives this.
    """

    def __init__(
        self,
        book: Sequence[Held],
        *,
        attributes: Attributes,
        threads: Threads,
        origins: Origins,
        tree: PodTree,
        affinity: Affinity,
        known: dict[int, tuple[int, GroupName]],
    ) -> None:
        self._attributes = attributes
        self._threads = threads
        self._origins = origins
        self._tree = tree
        self._affinity = affinity
        self._book = {held.name: held for held in book}
        self._known = known
        self._found: dict[str, dict[int, GroupName]] = {}

    @property
    def pods(self) -> frozenset[str]:
        """UIDs of the pods with DEADLINE reservations."""
        return frozenset(name.pod_uid for name in self._book)

    def of_pod(self, pod_uid: str) -> dict[int, GroupName]:
        """TID → reservation: the DEADLINE threads of a pod's containers, and those with them.

        The latter are other threads in a core's k40s cpuset, such as children.
        """
        if pod_uid not in self._found:
            held = [h for name, h in sorted(self._book.items()) if name.pod_uid == pod_uid]
            tids = self._candidates(pod_uid, held) if held else ()
            self._found[pod_uid] = {tid: self._owner(tid, held) for tid in tids}
        return self._found[pod_uid]

    def lost(self) -> dict[int, str]:
        """TID → pod ("" if unknown) of members that no reservation of the book accounts for."""
        pods = self.pods
        for tid in [
            tid
            for tid, (started, _) in self._known.items()
            if not self._threads.lives(tid, started)
        ]:
            del self._known[tid]
        tids = dict.fromkeys((*self._affinity.all_inside(), *self._known))
        owners = {tid: self._origins.pod(tid) or "" for tid in tids}
        return {tid: pod for tid, pod in owners.items() if pod not in pods}

    def note(self, thread: Thread, name: GroupName) -> None:
        """A thread is held to a reservation."""
        self._known[thread.tid] = (thread.started, name)
        self.of_pod(name.pod_uid)[thread.tid] = name

    def forget(self, tid: int, pod_uid: str) -> None:
        """A thread is ordinary."""
        self._known.pop(tid, None)
        self._found.get(pod_uid, {}).pop(tid, None)

    def hold_bandwidth(self, pod_uid: str) -> bool:
        """Whether a thread of the pod is still a DEADLINE thread."""
        return any(self._is_deadline(tid) for tid in self._tids(pod_uid))

    def _candidates(self, pod_uid: str, held: Sequence[Held]) -> list[int]:
        placed = {
            tid: None
            for core in sorted({h.reservation.core for h in held})
            for tid in self._affinity.inside(core)
            if self._origins.pod(tid) == pod_uid
        }
        running = dict.fromkeys(tid for tid in self._tids(pod_uid) if self._is_deadline(tid))
        return list(placed | running)

    def _tids(self, pod_uid: str) -> tuple[int, ...]:
        pod = self._tree.pod(pod_uid)
        return () if pod is None else self._tree.tids(pod)

    def _owner(self, tid: int, held: Sequence[Held]) -> GroupName:
        started, name = self._known.get(tid, (0, None))
        if name in self._book and self._threads.lives(tid, started):
            return name
        return max(held, key=lambda h: self._likeness(tid, h)).name

    def _likeness(self, tid: int, held: Held) -> tuple[bool, bool, bool]:
        """Likeness of thread and reservation: its CPUs are certain, name and attributes are not."""
        reservation, found = held.reservation, self._threads.find(tid)
        there = self._threads.affinity(tid) == self._affinity.cpus(reservation.core)
        task = reservation.tasks[0]
        named = found is not None and found.name == task.name[:NAME_BYTES]
        try:
            attr = self._attributes.get(tid)
        except OSError:
            return there, named, False
        return there, named, attr == deadline_attr(reservation.server, task.deadline)

    def _is_deadline(self, tid: int) -> bool:
        policy = self._threads.policy(tid)
        return policy is not None and is_deadline(policy[0])

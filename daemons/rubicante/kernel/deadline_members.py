"""Which DEADLINE threads there are, and which reservation each is held to.

The kernel knows a thread's attributes and not for whom they were set. What this process set it
remembers; of what a process before it set, the thread's name and attributes tell.
"""

from collections.abc import Sequence

from daemons.rubicante.kernel.confinement import Confinement
from daemons.rubicante.kernel.homes import Homes
from daemons.rubicante.kernel.mechanism import GroupName, Held
from daemons.rubicante.kernel.pod_tree import PodTree
from daemons.rubicante.kernel.sched_attr import Attributes, deadline_attr, is_deadline
from daemons.rubicante.kernel.threads import NAME_BYTES, Thread, Threads


class DeadlineMembers:
    """Looks once after each ``know``, and follows what is noted from then on."""

    def __init__(
        self,
        *,
        attributes: Attributes,
        threads: Threads,
        homes: Homes,
        tree: PodTree,
        confinement: Confinement,
    ) -> None:
        self._attributes = attributes
        self._threads = threads
        self._homes = homes
        self._tree = tree
        self._confinement = confinement
        self._book: dict[GroupName, Held] = {}
        self._known: dict[int, tuple[int, GroupName]] = {}
        self._found: dict[str, dict[int, GroupName]] = {}

    def know(self, book: Sequence[Held]) -> None:
        """All DEADLINE reservations."""
        self._book = {held.name: held for held in book}
        self._found = {}

    def of_pod(self, pod_uid: str) -> dict[int, GroupName]:
        """TID → reservation: the DEADLINE threads of a pod's containers, and those with them.

        Those are threads that stand in a core's cpuset of ours, such as children.
        """
        if pod_uid not in self._found:
            held = [h for name, h in sorted(self._book.items()) if name.pod_uid == pod_uid]
            tids = self._candidates(pod_uid, held) if held else ()
            self._found[pod_uid] = {tid: self._owner(tid, held) for tid in tids}
        return self._found[pod_uid]

    def lost(self) -> dict[int, str]:
        """TID → pod ("" if unknown) of members that no reservation of the book accounts for."""
        pods = {name.pod_uid for name in self._book}
        self._known = {tid: k for tid, k in self._known.items() if self._lives(tid, k[0])}
        tids = dict.fromkeys((*self._confinement.everyone(), *self._known))
        owners = {tid: self._homes.pod(tid) or "" for tid in tids}
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
            for tid in self._confinement.inside(core)
            if self._homes.pod(tid) == pod_uid
        }
        running = dict.fromkeys(tid for tid in self._tids(pod_uid) if self._is_deadline(tid))
        return list(placed | running)

    def _tids(self, pod_uid: str) -> tuple[int, ...]:
        pod = self._tree.pod(pod_uid)
        return () if pod is None else self._tree.tids(pod)

    def _owner(self, tid: int, held: Sequence[Held]) -> GroupName:
        started, name = self._known.get(tid, (0, None))
        if name in self._book and self._lives(tid, started):
            return name
        return max(held, key=lambda h: self._likeness(tid, h)).name

    def _likeness(self, tid: int, held: Held) -> tuple[bool, bool, bool]:
        """Where a DEADLINE thread may run is certain, its name and attributes may be another's."""
        reservation, found = held.reservation, self._threads.find(tid)
        there = self._threads.affinity(tid) == self._confinement.cpus(reservation.core)
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

    def _lives(self, tid: int, started: int) -> bool:
        found = self._threads.find(tid)
        return found is not None and found.started == started

"""Finds a container's cgroup and threads, and the back end that enforces a reservation."""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from daemons.rubicante.entry import Entry
from daemons.rubicante.kernel.homes import Homes
from daemons.rubicante.kernel.mechanism import BackEnd, GroupName, Held
from daemons.rubicante.kernel.pod_tree import PodTree
from daemons.rubicante.kernel.threads import Thread, Threads
from daemons.rubicante.kernel.unavailable import Unavailable
from k40s.cpu.model import Mechanism

_SANDBOX = "pause"
_RUNTIMES = ("runc", "crun")
"""A runtime's own processes stand in the container's cgroup until they become the program."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A container's cgroup, and its threads there and where they are enforced.

    ``certain`` says that the pod's status names it; else it might be an init container's.
    """

    cgroup: Path
    certain: bool
    threads: tuple[Thread, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """The interfaces of the kernel that enforcement uses."""

    back_ends: dict[Mechanism, BackEnd]
    threads: Threads
    tree: PodTree
    homes: Homes

    def all(self) -> Iterator[tuple[Mechanism, BackEnd]]:
        """Every mechanism with what enforces it here."""
        for mechanism in Mechanism:
            yield mechanism, self.back_ends.get(mechanism) or Unavailable(mechanism)

    def of(self, held: Held) -> BackEnd:
        """What enforces a reservation."""
        mechanism = held.reservation.mechanism
        return self.back_ends.get(mechanism) or Unavailable(mechanism)

    def know(self, book: Sequence[Held]) -> None:
        """Tell each back end its reservations."""
        for mechanism, back_end in self.all():
            back_end.know(tuple(h for h in book if h.reservation.mechanism is mechanism))

    def release(self, pod_uid: str) -> bool:
        """Whether no mechanism holds bandwidth for a pod any more, its threads sent home."""
        gone = [back_end.release(pod_uid) for _, back_end in self.all()]
        return all(gone)

    def find(
        self,
        entry: Entry,
        container: str,
        members: Mapping[GroupName, Sequence[int]],
        *,
        cgroups: Mapping[str, Path],
        ids: Mapping[str, str],
    ) -> Place | None:
        """Where a container is; None while that cannot be said for certain.

        ``members`` are the TIDs that the kernel holds to the pod's reservations, ``cgroups`` those
        of the pod (by container id), ``ids`` (name → container id) what its status tells so far.
        """
        mine = {
            tid
            for index, reservation in enumerate(entry.reservations)
            if reservation.container == container
            for tid in members.get(GroupName(pod_uid=entry.pod.uid, index=index), ())
        }
        homes = {tid: self.homes.path(tid) for tids in members.values() for tid in tids}
        named = cgroups.get(ids.get(container, ""))
        cgroup = named or self._home_of({homes[tid] for tid in mine}, cgroups)
        present: tuple[Thread, ...] | None = None
        if cgroup is None and len(entry.containers) == 1:
            cgroup, present = self._only_program(cgroups, set(ids.values()))
        if cgroup is None:
            return None
        if present is None:
            present = self._living(self.tree.tids(cgroup))
        away = [
            tid
            for tid, home in homes.items()
            if (tid in mine if home is None else home.is_relative_to(cgroup))
        ]
        known = {thread.tid for thread in present}
        moved = self._living([tid for tid in away if tid not in known])
        return Place(cgroup=cgroup, certain=named is not None, threads=moved + present)

    def main_thread(self, threads: Sequence[Thread]) -> Thread | None:
        """The first thread of the container's first process, once the program itself runs.

        That is PID 1 of the container's PID namespace; where it has none, the oldest process.
        """
        leaders: list[tuple[bool, int, int, Thread]] = []
        for thread in threads:
            process = self.threads.process(thread.tid)
            if process is None or process.pid != thread.tid or _is_runtime(thread):
                continue
            leaders.append((process.inner_pid != 1, thread.started, thread.tid, thread))
        return min(leaders)[3] if leaders else None

    def _living(self, tids: Sequence[int]) -> tuple[Thread, ...]:
        return tuple(t for t in map(self.threads.find, tids) if t is not None)

    def _home_of(self, homes: AbstractSet[Path | None], cgroups: Mapping[str, Path]) -> Path | None:
        """The container that enforced threads came from."""
        known = [home for home in homes if home is not None]
        return next((p for p in cgroups.values() if any(h.is_relative_to(p) for h in known)), None)

    def _only_program(
        self, cgroups: Mapping[str, Path], gone: AbstractSet[str]
    ) -> tuple[Path | None, tuple[Thread, ...]]:
        """The one cgroup that runs something else than the sandbox or the runtime, and its threads.

        Ids in ``gone`` belong to former containers.
        """
        running = []
        for id_, cgroup in cgroups.items():
            threads = () if id_ in gone else self._living(self.tree.tids(cgroup))
            if any(t.name != _SANDBOX and not _is_runtime(t) for t in threads):
                running.append((cgroup, threads))
        return running[0] if len(running) == 1 else (None, ())


def _is_runtime(thread: Thread) -> bool:
    return thread.name.startswith(_RUNTIMES)


def held_by(*entries: Entry) -> tuple[Held, ...]:
    """The reservations of pods, in the order of the entries."""
    return tuple(
        Held(name=GroupName(pod_uid=entry.pod.uid, index=index), reservation=reservation)
        for entry in entries
        for index, reservation in enumerate(entry.reservations)
    )

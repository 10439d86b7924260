"""Makes the kernel follow the book: each task's thread in its budget group, at its priority.

What to do is read from the book, the cgroup tree and /proc each time, and what is as it should be
is left alone, so that a look may come late, twice, or after a restart.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from daemons.rubicante.book import Book
from daemons.rubicante.container import ContainerEnforcer, Followed
from daemons.rubicante.entry import Entry, Phase
from daemons.rubicante.kernel.mechanism import GroupName
from daemons.rubicante.live_core import LiveCores, Permits, move_bands
from daemons.rubicante.matching import SLOW_RESCAN, rescan_delay
from daemons.rubicante.metrics import EnforcementMetrics
from daemons.rubicante.placement import Kernel
from k40s.cpu.model import Reservation
from k40s.errors import KernelError, UnavailableError

log = logging.getLogger(__name__)


class Statuses(Protocol):
    """What the API server tells of this node's pods."""

    def container_ids(self, pod_uid: str) -> Mapping[str, str]:
        """Container name → id, of the containers that have started."""
        ...


class Enforcer:
    """Acts on the kernel under the book's lock. ``clock`` is monotonic, in seconds."""

    def __init__(
        self,
        *,
        book: Book,
        kernel: Kernel,
        statuses: Statuses,
        metrics: EnforcementMetrics,
        clock: Callable[[], float],
    ) -> None:
        self._book = book
        self._kernel = kernel
        self._statuses = statuses
        self._metrics = metrics
        self._clock = clock
        self._containers = ContainerEnforcer(kernel=kernel, metrics=metrics, clock=clock)
        self._followed: dict[GroupName, Followed] = {}
        self._orphans: frozenset[GroupName] = frozenset()
        self._cores = LiveCores(groups=kernel.groups, clock=clock, held=book.node().reservations)

    def claim(self, entry: Entry) -> None:
        """Make a pod's budget groups, so that the kernel too has agreed before the pod is bound.

        Raises ``KernelError`` and leaves no group when it has not.
        """
        try:
            for name, reservation in _groups(entry):
                self._containers.renew(name, reservation, self._following(name))
                self._kernel.groups.ensure(name, reservation.server, patient=True)
        except KernelError:
            self._withdraw(entry.pod.uid)
            raise

    def look(self) -> float:
        """Do what is due, and say in how many seconds the next look is."""
        with self._book.lock:
            entries = self._book.entries()
            for entry in entries:
                if entry.phase is Phase.RELEASING:
                    self._end(entry.pod.uid)
            permits = self._prepare(entries)
            for entry, name, reservation in _lowest_first(entries):
                self._look_at(entry, name, reservation, permits)
            present = {name for entry in entries for name, _ in _groups(entry)}
            self._followed = {n: f for n, f in self._followed.items() if n in present}
            self._count()
            now = self._clock()
            next_look = min((max(0.0, f.due - now) for f in self._followed.values()), default=1.0)
            return next_look if permits.again is None else min(next_look, permits.again)

    def look_soon(self) -> None:
        """Everything is due: the book or the tree has changed."""
        with self._book.lock:
            for followed in self._followed.values():
                followed.due = 0.0

    def release(self, pod_uid: str) -> bool:
        """Take a pod's threads out of its groups, remove them, and strike it from the book.

        False when threads keep a group alive: the next look tries again.
        """
        with self._book.lock:
            followed = self._following(GroupName(pod_uid=pod_uid, index=0))
            try:
                gone = self._withdraw(pod_uid) and self._book.forget(pod_uid)
            except (KernelError, UnavailableError) as error:
                self._metrics.failures.inc()
                if str(error) != followed.failure:
                    log.warning("not released", extra={"pod": pod_uid, "cause": str(error)})
                followed.failure = str(error)
                return False
            if gone:
                log.info("bandwidth given back", extra={"pod": pod_uid})
            return gone

    def sweep(self) -> tuple[GroupName, ...]:
        """Dismantle groups of ours that the book does not know; returns those that it found."""
        with self._book.lock:
            orphans = tuple(
                name
                for name in self._kernel.groups.names()
                if not _is_reserved(self._book.find(name.pod_uid), name)
            )
            for name in orphans:
                try:
                    idle, cause = self._kernel.dismantle(name, {}), ""
                except KernelError as error:
                    self._metrics.failures.inc()
                    idle, cause = False, str(error)
                if name not in self._orphans:
                    log.warning(
                        "group without a reservation",
                        extra={
                            "pod": name.pod_uid,
                            "index": name.index,
                            "idle": idle,
                            "cause": cause,
                        },
                    )
            self._orphans = frozenset(orphans)
            return orphans

    def watched(self) -> tuple[Path, ...]:
        """Directories whose next child may be a pod or container with a reservation."""
        paths = {
            path
            for entry in self._book.entries()
            if entry.phase is not Phase.RELEASING
            for path in self._kernel.tree.watched(entry.pod.uid)
        }
        return tuple(sorted(paths))

    def threads(self, pod_uid: str) -> dict[tuple[str, str], int]:
        """(container, task) → TID of what is enforced for a pod."""
        with self._book.lock:
            entry = self._book.find(pod_uid)
            return {
                (reservation.container, task): thread.tid
                for name, reservation in (_groups(entry) if entry else ())
                for task, thread in self._following(name).threads.items()
            }

    def _prepare(self, entries: Sequence[Entry]) -> Permits:
        """Move bands, and find out what else may change; who may grow is due."""
        reserved = [(name, reservation) for _, name, reservation in _lowest_first(entries)]
        move_bands(
            self._kernel.threads,
            (
                (thread, priority)
                for name, reservation in reserved
                for task, priority in zip(reservation.tasks, reservation.priorities, strict=True)
                if (thread := self._following(name).threads.get(task.name)) is not None
            ),
        )
        permits = self._cores.permits(reserved)
        for name in permits.grow:
            self._following(name).due = 0.0
        return permits

    def _end(self, pod_uid: str) -> None:
        followed = self._following(GroupName(pod_uid=pod_uid, index=0))
        if followed.due <= self._clock() and not self.release(pod_uid):
            followed.due = self._clock() + SLOW_RESCAN

    def _look_at(
        self, entry: Entry, name: GroupName, reservation: Reservation, permits: Permits
    ) -> None:
        followed = self._following(name)
        now = self._clock()
        if followed.due > now:
            return
        try:
            ids = self._statuses.container_ids(entry.pod.uid)
            settled = self._containers.bring_in_line(
                entry, name, reservation, followed, ids, permits=permits
            )
            followed.failure = ""
        except KernelError as error:
            settled = False
            self._metrics.failures.inc()
            if str(error) != followed.failure:
                log.warning(
                    "not enforced",
                    extra={
                        "pod": entry.pod.uid,
                        "container": reservation.container,
                        "cause": str(error),
                    },
                )
            followed.failure = str(error)
        unseen = followed.seen is None
        age = 0.0 if followed.seen is None else self._clock() - followed.seen
        followed.due = now + (SLOW_RESCAN if settled or unseen else rescan_delay(age))

    def _withdraw(self, pod_uid: str) -> bool:
        names = [name for name in self._kernel.groups.names() if name.pod_uid == pod_uid]
        gone = [self._kernel.dismantle(name, self._following(name).homes()) for name in names]
        return all(gone)

    def _following(self, name: GroupName) -> Followed:
        return self._followed.setdefault(name, Followed())

    def _count(self) -> None:
        tasks = [r.tasks for entry in self._book.entries() for r in entry.reservations]
        enforced = sum(len(followed.threads) for followed in self._followed.values())
        self._metrics.tasks.labels(state="enforced").set(enforced)
        self._metrics.tasks.labels(state="waiting").set(sum(map(len, tasks)) - enforced)


def _groups(entry: Entry) -> tuple[tuple[GroupName, Reservation], ...]:
    return tuple(
        (GroupName(pod_uid=entry.pod.uid, index=index), reservation)
        for index, reservation in enumerate(entry.reservations)
    )


def _lowest_first(entries: Sequence[Entry]) -> list[tuple[Entry, GroupName, Reservation]]:
    """Whom the kernel is to serve, the least urgent band first."""
    reserved = [
        (entry, name, reservation)
        for entry in entries
        if entry.phase is not Phase.RELEASING
        for name, reservation in _groups(entry)
    ]
    return sorted(reserved, key=lambda one: min(one[2].priorities))


def _is_reserved(entry: Entry | None, name: GroupName) -> bool:
    return entry is not None and name.index < len(entry.reservations)

"""Makes the kernel follow the book: each task's thread in its budget group, at its priority.

What to do is read from the book, the cgroup tree and /proc each time, and what is as it should be
is left alone, so that a look may come late, twice, or after a restart. Pods that start all at once
wait for one another, so a look reads only what there is a reason to read: a pod that something
was heard of, whose entry or status changed, or that was last looked at a second ago.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from daemons.rubicante.book import Book
from daemons.rubicante.conditions import Condition, judge
from daemons.rubicante.container import PodEnforcer
from daemons.rubicante.departures import Departures
from daemons.rubicante.entry import Entry, Phase
from daemons.rubicante.followed import Following
from daemons.rubicante.kernel.mechanism import Held, Stray
from daemons.rubicante.kernel.threads import Thread
from daemons.rubicante.live_core import NO_PERMITS, LiveCores, Permits, move_bands
from daemons.rubicante.matching import SLOW_RESCAN, rescan_delay
from daemons.rubicante.metrics import EnforcementMetrics
from daemons.rubicante.placement import Kernel, held_by
from k40s.errors import KernelError

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
        self._pods = PodEnforcer(kernel=kernel, metrics=metrics, clock=clock)
        self._departures = Departures(book=book, kernel=kernel, metrics=metrics, clock=clock)
        self._cores = LiveCores(kernel=kernel, clock=clock, held=book.node().reservations)
        self._permits = NO_PERMITS
        self._known: tuple[Held, ...] = ()
        self._prepare_due = self._again = 0.0
        self._strays: frozenset[str] = frozenset()
        self._followed = Following(tree=kernel.tree, clock=clock)
        for entry in book.entries():
            self._followed.of(entry.pod.uid).dropped = clock()

    def claim(self, entry: Entry, others: Iterable[Entry]) -> None:
        """Get the kernel's consent, so that it too has agreed before the pod is bound.

        ``others`` are the other pods' entries as they will be. Raises ``KernelError``, and gives
        back what it took, when it has not.
        """
        self._kernel.know(held_by(*others, entry))
        try:
            for mechanism, back_end in self._kernel.all():
                back_end.claim([h for h in held_by(entry) if h.reservation.mechanism is mechanism])
        except KernelError:
            self._kernel.release(entry.pod.uid)
            raise

    def look(self) -> float:
        """Do what is due, and say in how many seconds the next look is."""
        with self._book.lock:
            for entry in self._book.entries():
                if entry.phase is Phase.RELEASING:
                    self._end(entry.pod.uid)
            entries = self._book.entries()
            known = tuple(held for entry in entries for held in self._followed.held(entry))
            self._kernel.know(known)
            kept = [entry for entry in entries if entry.phase is not Phase.RELEASING]
            if known != self._known or len(self._followed.all()) > len(entries):
                self._prepare_due = 0.0
                self._followed.keep_only(entry.pod.uid for entry in entries)
            self._known = known
            permits = self._prepare(kept)
            self._followed.scan(kept)
            heard = self._followed.news()
            for entry in kept:
                try:
                    self._look_at(entry, permits, heard=entry.pod.uid in heard)
                except OSError as error:  # one pod that cannot be read hinders no other
                    self._followed.of(entry.pod.uid).due = self._clock() + SLOW_RESCAN
                    self._metrics.failures.inc()
                    log.warning("not read", extra={"pod": entry.pod.uid, "cause": str(error)})
            self._count()
            now, dues = self._clock(), [followed.due for followed in self._followed.all()]
            next_look = max(0.0, min(self._again, *dues, now + SLOW_RESCAN) - now)
        self._pods.tell()
        return next_look

    def hear(self, directories: Collection[Path] | None = None) -> None:
        """Something has appeared in these directories; None: it may have been anywhere."""
        with self._book.lock:
            if directories is not None:
                self._followed.hear(directories)
            else:
                self._followed.hear_all()
                self._prepare_due = 0.0

    def release(self, pod_uid: str) -> bool:
        """Send a pod's threads home, let the kernel give up what it holds, and forget the pod.

        False when threads keep it, or the bandwidth of SCHED_DEADLINE threads is in use until
        their period has passed: the next look tries again.
        """
        with self._book.lock:
            self._kernel.know(held_by(*self._book.entries()))
            return self._departures.release(pod_uid, self._followed.of(pod_uid))

    def sweep(self) -> tuple[Stray, ...]:
        """Undo what is ours in the kernel and the book does not know; returns what was found."""
        with self._book.lock:
            self._kernel.know(held_by(*self._book.entries()))
            self._kernel.homes.keep_only_living()
            strays: list[Stray] = []
            for _, back_end in self._kernel.all():
                strays += back_end.sweep()
            for stray in strays:
                if stray.cause:
                    self._metrics.failures.inc()
                if stray.what not in self._strays:
                    log.warning(
                        "without a reservation",
                        extra={"what": stray.what, "idle": stray.idle, "cause": stray.cause},
                    )
            self._strays = frozenset(stray.what for stray in strays)
            return tuple(strays)

    def watched(self) -> frozenset[Path]:
        """Directories whose next child may be a pod or container with a reservation.

        They are those that were there at the last look.
        """
        with self._book.lock:
            return self._followed.watched()

    def threads(self, pod_uid: str) -> dict[tuple[str, str], int]:
        """(container, task) → TID of what is enforced for a pod."""
        with self._book.lock:
            entry = self._book.find(pod_uid)
            return {
                (held.reservation.container, task): thread.tid
                for held in (self._followed.held(entry) if entry else ())
                for task, thread in self._part_threads(held).items()
            }

    def conditions(self) -> tuple[Condition, ...]:
        """What is wrong at present, at most one condition for each reservation."""
        with self._book.lock:
            entries, now = self._book.entries(), self._clock()
            return tuple(
                condition
                for entry in entries
                if (followed := self._followed.find(entry.pod.uid)) is not None
                for held in self._followed.held(entry)
                if (condition := judge(entry.phase, held, followed, now)) is not None
            )

    def _part_threads(self, held: Held) -> Mapping[str, Thread]:
        followed = self._followed.find(held.name.pod_uid)
        return {} if followed is None else followed.part(held.name).threads

    def _prepare(self, entries: Sequence[Entry]) -> Permits:
        """Move bands, and find out what else may change; who may grow is due.

        Only a change of the book or time makes a difference here, or an outsider, who is found
        out within a second.
        """
        if self._clock() < self._prepare_due:
            return self._permits
        reserved = [held for entry in entries for held in self._followed.held(entry)]
        moved = move_bands(
            self._kernel.threads,
            (
                (thread, priority)
                for held in reserved
                for task, priority in zip(
                    held.reservation.tasks, held.reservation.priorities, strict=False
                )
                if (thread := self._part_threads(held).get(task.name)) is not None
            ),
        )
        permits = self._cores.permits(reserved)
        for name in permits.grow:
            self._followed.of(name.pod_uid).due = 0.0
        now = self._clock()
        self._again = now + (SLOW_RESCAN if permits.again is None else permits.again)
        self._prepare_due = min(self._again, now + SLOW_RESCAN) if moved else 0.0
        self._permits = replace(permits, grow=frozenset())
        return permits

    def _end(self, pod_uid: str) -> None:
        followed = self._followed.of(pod_uid)
        if followed.leaving and followed.due > self._clock():
            return
        followed.leaving = True
        if not self.release(pod_uid):
            followed.due = self._clock() + (self._departures.lag(pod_uid, followed) or SLOW_RESCAN)

    def _look_at(self, entry: Entry, permits: Permits, *, heard: bool) -> None:
        followed, now = self._followed.of(entry.pod.uid), self._clock()
        followed.leaving = False
        ids, reserved = self._statuses.container_ids(entry.pod.uid), self._followed.held(entry)
        due = followed.due <= now or (ids, reserved) != (followed.ids, followed.reserved)
        if not due and not heard:
            return
        cgroups = self._followed.cgroups(followed)
        if not due and followed.settled and cgroups == followed.cgroups:
            return
        self._departures.note(entry, followed)
        self._pods.bring_in_line(
            entry, followed, reserved=reserved, cgroups=cgroups, ids=ids, permits=permits
        )
        self._departures.note(entry, followed)
        if followed.settled or followed.seen is None:
            followed.due = now + SLOW_RESCAN
        else:
            followed.due = now + rescan_delay(self._clock() - followed.seen)

    def _count(self) -> None:
        tasks = [r.tasks for entry in self._book.entries() for r in entry.reservations]
        parts = [part for followed in self._followed.all() for part in followed.parts.values()]
        enforced = sum(len(part.threads) for part in parts)
        self._metrics.tasks.labels(state="enforced").set(enforced)
        self._metrics.tasks.labels(state="waiting").set(sum(map(len, tasks)) - enforced)

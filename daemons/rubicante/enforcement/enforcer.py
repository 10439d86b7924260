"""Enforces the book in the kernel: each task's thread in its budget group, at its priority.

A look is one pass of the loop. It compares the book with the cgroup tree and /proc, and writes only
differences, so it may come late, twice, or after a restart. Pods that start at the same time wait
for one another, so a look reads only pods with a pending event, with a changed entry or status, or
whose last look was a second ago.
"""

import logging
from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from daemons.rubicante.book.book import Book
from daemons.rubicante.book.entry import Entry, Phase
from daemons.rubicante.enforcement.conditions import Condition, StandIn
from daemons.rubicante.enforcement.exchange.exchanges import Exchanges
from daemons.rubicante.enforcement.exchange.two_groups import TwoGroups
from daemons.rubicante.enforcement.locator import SLOW_RESCAN, Locator, rescan_delay
from daemons.rubicante.enforcement.mode_change import ModeChanges, Permits
from daemons.rubicante.enforcement.pod import PodEnforcer
from daemons.rubicante.enforcement.release import Releases
from daemons.rubicante.enforcement.report import EnforcementReport
from daemons.rubicante.enforcement.tracked_pods import TrackedPods
from daemons.rubicante.kernel.threads import Thread
from daemons.rubicante.mechanisms.back_end import Held, Stray, held_by
from daemons.rubicante.mechanisms.back_ends import BackEnds, KernelView
from daemons.rubicante.metrics import EnforcementMetrics, ExchangeMetrics
from k40s.errors import KernelError
from k40s.kube.records import PodRecord
from k40s.units import MonotonicClock

log = logging.getLogger(__name__)


_REST, _LONGEST_REST = 5, 5.0
"""Pause after a look at one pod: so many times as long as that took, at most so many seconds.

A pod may have ten thousand threads; during its pause others get the book's lock."""


class Statuses(Protocol):
    """The API server's last records of this node's pods."""

    def record(self, pod_uid: str) -> PodRecord | None:
        """The pod's last known record; None before it is known here."""
        ...


class Enforcer:
    """Acts on the kernel under the book's lock. ``clock`` is monotonic, in seconds."""

    def __init__(
        self,
        *,
        book: Book,
        back_ends: BackEnds,
        statuses: Statuses,
        metrics: EnforcementMetrics,
        exchange_metrics: ExchangeMetrics,
        clock: MonotonicClock,
    ) -> None:
        self._book = book
        self._back_ends = back_ends
        self._statuses = statuses
        self._metrics = metrics
        self._clock = clock
        self._tracked = TrackedPods(tree=back_ends.tree, clock=clock)
        self._pods = PodEnforcer(
            locator=Locator(
                threads=back_ends.threads, tree=back_ends.tree, origins=back_ends.origins
            ),
            threads=back_ends.threads,
            metrics=metrics,
            clock=clock,
        )
        self._releases = Releases(book=book, metrics=metrics, clock=clock)
        self._mode_changes = ModeChanges(
            threads=back_ends.threads, clock=clock, held=book.standing().reservations
        )
        self._exchanges = Exchanges(
            book=book,
            pods=self._tracked,
            threads=back_ends.threads,
            mode_changes=self._mode_changes,
            metrics=exchange_metrics,
            clock=clock,
        )
        self._report = EnforcementReport(
            book=book,
            pods=self._tracked,
            exchanges=self._exchanges,
            tree=back_ends.tree,
            clock=clock,
        )
        self._known: tuple[Held, ...] = ()
        self.has_groups = False
        """Whether threads may be born in budget groups."""
        for entry in book.entries():
            pod = self._tracked.of(entry.pod.uid)
            pod.ran, pod.release.ran_until = True, clock()

    def claim(self, entry: Entry, others: Iterable[Entry]) -> None:
        """Reserve in the kernel, before the pod is bound.

        ``others`` are the other pods' entries as they will be. Raises ``KernelError`` when the
        kernel refuses, and then gives back what was reserved.
        """
        kernel = self._back_ends.view(self._exchanges.snapshot((*others, entry)))
        try:
            for mechanism, view in kernel.all():
                view.claim([h for h in held_by(entry) if h.reservation.mechanism is mechanism])
        except KernelError:
            kernel.release(entry.pod.uid)
            raise

    def look(self) -> float:
        """Do what is due; returns the seconds until the next look."""
        with self._book.lock:
            for entry in self._book.entries():
                if entry.phase is Phase.RELEASING:
                    self._release_if_due(entry.pod.uid)
            entries = self._book.entries()
            known = self._snapshot(entries)
            kernel = self._back_ends.view(known)
            if known != self._known or len(self._tracked.all()) > len(entries):
                self._mode_changes.make_due()
                self._note_ends(known)
                self._tracked.keep_only([entry.pod.uid for entry in entries])
            self._known = known
            kept = [entry for entry in entries if entry.phase is not Phase.RELEASING]
            self._exchanges.arrange(kernel, known)
            self._look_at_all(kept, kernel)
            soon = self._exchanges.advance(kernel, known)
            self.has_groups = any(view.may_evict for _, view in kernel.all())
            self._count()
            now, dues = self._clock(), [pod.due for pod in self._tracked.all()]
            next_look = max(0.0, min(self._mode_changes.again_at, *dues, now + SLOW_RESCAN) - now)
        self._pods.log()
        return next_look if soon is None else min(next_look, soon)

    def evict(self) -> None:
        """Move ordinary threads out of budget groups; tasks among them are due for a look."""
        with self._book.lock:
            kernel = self._back_ends.view(self._snapshot(self._book.entries()))
            for _, view in kernel.all():
                for tid, uid in view.evict().items():
                    pod = self._tracked.find(uid)
                    if pod is not None and tid in pod.enforcement.tids():
                        pod.due = 0.0

    def note_events(self, directories: Collection[Path] | None = None) -> None:
        """Handles directory-creation events; ``None`` forces a full rescan."""
        with self._book.lock:
            if directories is not None:
                self._tracked.note_events(directories)
            else:
                self._tracked.make_all_due()
                self._mode_changes.make_due()

    def release(self, pod_uid: str) -> bool:
        """Make a pod's threads ordinary, return its bandwidth to the kernel, and forget the pod.

        False when threads keep it, or the bandwidth of SCHED_DEADLINE threads is in use until
        their period has passed: the next look tries again.
        """
        with self._book.lock:
            kernel = self._back_ends.view(self._snapshot(self._book.entries()))
            return self._releases.release(pod_uid, self._tracked.of(pod_uid), kernel)

    def sweep(self) -> tuple[Stray, ...]:
        """Remove k40s's kernel objects that are not in the book; returns what was found."""
        with self._book.lock:
            self._back_ends.origins.keep_only_living()
            return self._releases.sweep(self._back_ends.view(self._snapshot(self._book.entries())))

    def watched(self) -> frozenset[Path]:
        """Directories whose next child may be a pod or container with a reservation.

        They are those that were there at the last look.
        """
        with self._book.lock:
            return self._tracked.watched()

    def threads(self, pod_uid: str) -> dict[tuple[str, str], int]:
        """(container, task) → TID of what is enforced for a pod."""
        return self._report.threads(pod_uid)

    def conditions(self) -> tuple[Condition, ...]:
        """The present conditions, at most one for each reservation."""
        return self._report.conditions()

    def stand_ins(self) -> tuple[StandIn, ...]:
        """Main threads that are enforced for tasks whose name no thread bears."""
        return self._report.stand_ins()

    def exchange_causes(self) -> dict[int, str]:
        """What holds up exchanges of servers, by core."""
        with self._book.lock:
            return self._exchanges.causes()

    def take_move_notices(self) -> list[tuple[str, str]]:
        """(pod UID, text) of threads moved since the last call though a job may have been late."""
        with self._book.lock:
            return self._exchanges.take_notices()

    def _snapshot(self, entries: Iterable[Entry]) -> tuple[Held, ...]:
        return self._exchanges.snapshot(entries)

    def _note_ends(self, known: Sequence[Held]) -> None:
        """Servers have ended whose threads ran: those of departed pods, and exchanged ones."""
        present = {_server_of(held) for held in known}
        ended = [
            held.reservation
            for held in self._known
            if _server_of(held) not in present and self._tracked.of(held.name.pod_uid).ran
        ]
        if ended:
            self._mode_changes.note_ends(ended, [held.reservation for held in known])

    def _look_at_all(self, entries: Sequence[Entry], kernel: KernelView) -> None:
        """Pods one by one: one that cannot be read hinders no other."""
        try:
            permits = self._prepare(entries, kernel)
        except OSError as error:
            for entry in entries:
                self._note_unreadable(entry, error)
            return
        self._tracked.scan(entries)
        pending = self._tracked.take_pending()
        for entry in entries:
            try:
                self._look_at(entry, permits, kernel, is_pending=entry.pod.uid in pending)
            except OSError as error:
                self._note_unreadable(entry, error)

    def _note_unreadable(self, entry: Entry, error: OSError) -> None:
        pod, now = self._tracked.of(entry.pod.uid), self._clock()
        pod.status.update(self._statuses.record(entry.pod.uid), now)
        pod.due = now + SLOW_RESCAN
        self._metrics.failures.inc()
        if pod.unreadable.note(str(error), now):
            log.warning("pod cgroups unreadable", extra={"pod": entry.pod.uid, "cause": str(error)})

    def _prepare(self, entries: Sequence[Entry], kernel: KernelView) -> Permits:
        """Change priorities, and find the permitted changes; pods that may grow are due."""
        if not self._mode_changes.is_due():
            return self._mode_changes.permits
        reserved = self._snapshot(entries)
        prioritized = self._prioritized(entries, kernel)
        permits = self._mode_changes.prepare(reserved, kernel, prioritized)
        for name in permits.grow:
            self._tracked.of(name.pod_uid).due = 0.0
        return permits

    def _prioritized(
        self, entries: Iterable[Entry], kernel: KernelView
    ) -> Iterator[tuple[Thread, int]]:
        """Enforced threads with the priorities that the book grants them."""
        for held in (held for entry in entries for held in self._tracked.held(entry)):
            pod, view = self._tracked.find(held.name.pod_uid), kernel.of(held)
            threads = {} if pod is None else pod.enforcement.of(held).threads
            for position, task in enumerate(held.reservation.tasks):
                thread = threads.get(task.name)
                if thread is not None and held.reservation.priorities:
                    levels = held.reservation.priorities
                    if isinstance(view, TwoGroups):
                        levels = view.priorities(thread.tid)
                    yield thread, levels[position]

    def _release_if_due(self, pod_uid: str) -> None:
        pod = self._tracked.of(pod_uid)
        if pod.release.begun and pod.due > self._clock():
            return
        pod.release.begun = True
        if not self.release(pod_uid):
            pod.due = self._clock() + (self._releases.lag(pod_uid, pod) or SLOW_RESCAN)

    def _look_at(
        self, entry: Entry, permits: Permits, kernel: KernelView, *, is_pending: bool
    ) -> None:
        pod, now = self._tracked.of(entry.pod.uid), self._clock()
        pod.release.begun = False
        changed = pod.status.update(self._statuses.record(entry.pod.uid), now)
        reserved = self._tracked.held(entry)
        is_due = pod.due <= now or changed or reserved != pod.enforcement.reserved
        if not is_due and not is_pending:
            return
        containers = self._tracked.containers(pod)
        if not is_due and pod.enforcement.stable and containers == pod.cgroups.containers:
            return
        pod.note_deadline_use(reserved, now)
        self._pods.enforce(
            entry, pod, kernel, reserved=reserved, containers=containers, permits=permits
        )
        pod.ran |= bool(pod.enforcement.tids())
        pod.unreadable.clear()
        pod.looked = now
        ended = self._clock()
        pod.note_deadline_use(reserved, ended)
        waits = not pod.enforcement.stable and pod.cgroups.changed is not None
        delay = rescan_delay(pod.cgroups.age(ended)) if waits else SLOW_RESCAN
        pod.due = now + max(delay, min(_LONGEST_REST, _REST * (ended - now)))

    def _count(self) -> None:
        tasks = [r.tasks for entry in self._book.entries() for r in entry.reservations]
        states = [s for pod in self._tracked.all() for s in pod.enforcement.reservations.values()]
        enforced = sum(len(state.threads) for state in states)
        stood = sum(len(state.stand_ins) for state in states)
        self._metrics.tasks.labels(state="enforced").set(enforced - stood)
        self._metrics.tasks.labels(state="stand-in").set(stood)
        self._metrics.tasks.labels(state="waiting").set(sum(map(len, tasks)) - enforced)


def _server_of(held: Held) -> Hashable:
    """What ends when a pod departs or its server is exchanged; a budget may grow meanwhile."""
    reservation = held.reservation
    return held.name, reservation.core, reservation.group, reservation.server.period

"""Carries out exchanges of servers, step by step, as the book has them and the kernel allows it.

At each point the kernel comes first where something begins and last where something ends, so that
what a killed process leaves behind is at most a group that the book does not know: a sweep removes
it. All else follows from the book: a step that has begun goes on, one that has not begins.

1. A step begins: the second group is made, then written to the book.
2. When the core is calm after that, threads move (``two_groups``).
3. When no real-time thread is in the first group, the step ends, and that group goes.
4. After the last step the newcomer's group is made, and the pod has arrived. Servers that have to
   grow for it do so by the rules of ``mode_change``, and its threads wait as any newcomer's.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from daemons.rubicante.book.book import Book
from daemons.rubicante.book.entry import Entry, Phase
from daemons.rubicante.book.progress import Progress
from daemons.rubicante.enforcement.exchange.two_groups import MOVE_TEXT, Move, NoGroup, TwoGroups
from daemons.rubicante.enforcement.mode_change import ModeChanges
from daemons.rubicante.enforcement.tracked_pods import Failure, TrackedPods
from daemons.rubicante.kernel.threads import Thread, Threads, is_ordinary
from daemons.rubicante.mechanisms.back_end import Held, held_by
from daemons.rubicante.mechanisms.back_ends import KernelView
from daemons.rubicante.mechanisms.rt_cgroup.group_back_end import GroupView
from daemons.rubicante.metrics import ExchangeMetrics
from k40s.cpu.admission.exchange import arrived, overlapping
from k40s.cpu.model import CpuNode, Mechanism
from k40s.errors import KernelError, UnavailableError
from k40s.units import NS_PER_S, MonotonicClock

log = logging.getLogger(__name__)

_POLL_SECONDS, _SLOWEST_POLL = 0.002, 0.1
"""Between two looks for a moment in which a thread sleeps: a fiftieth of its period, but at least
so much; at most so much, and as much once threads should have moved."""
_RETRY_SECONDS = 0.1
"""After the kernel or the store refused a step; a removed group counts for some 25 ms more."""
_NOT_MOVED = "threads stay in the group that they should leave"
_HELD_UP = "the servers that were planned do not hold on this node as it is"


@dataclass(slots=True)
class _Core:
    """One core that changes: since when threads may move, and what holds it up.

    ``retry`` is when a refused step is tried again. A step that does not hold is tried again when
    the node is another than ``unfit``.
    """

    open_since: float | None = None
    failure: Failure = field(default_factory=Failure)
    retry: float = 0.0
    unfit: CpuNode | None = None


class Exchanges:
    """Acts on book and kernel under the book's lock. ``clock`` is monotonic, in seconds."""

    def __init__(
        self,
        *,
        book: Book,
        pods: TrackedPods,
        threads: Threads,
        mode_changes: ModeChanges,
        metrics: ExchangeMetrics,
        clock: MonotonicClock,
    ) -> None:
        self._book = book
        self._pods = pods
        self._threads = threads
        self._mode_changes = mode_changes
        self._metrics = metrics
        self._clock = clock
        self._cores: dict[int, _Core] = {}
        self._notices: list[tuple[str, str]] = []

    def snapshot(self, entries: Iterable[Entry]) -> tuple[Held, ...]:
        """What the kernel is to hold: no newcomer's group, and second ones beside first ones."""
        under_way = self._book.exchanges()
        newcomers = {one.newcomer for one in under_way}
        present = [entry for entry in entries if entry.pod.uid not in newcomers]
        held = [one for entry in present for one in self._pods.held(entry)]
        seconds = [pair[1] for one in under_way if (pair := _pair(one, held)) is not None]
        return (*held, *seconds)

    def arrange(self, kernel: KernelView, known: Sequence[Held]) -> None:
        """Have reservations with two groups, or with none yet, enforced as such."""
        under_way = self._book.exchanges()
        self._cores = {one.core: self._cores.get(one.core) or _Core() for one in under_way}
        for progress in under_way:
            core = self._cores[progress.core]
            if not progress.overlaps:
                core.open_since = None
            elif core.open_since is None and self._mode_changes.is_calm(progress.core):
                core.open_since = self._clock()
            pair = _pair(progress, known)
            if pair is not None and isinstance(view := kernel.plain(pair[0]), GroupView):
                kernel.replace(pair[0].name, self._both(view, pair, core))
                if core.open_since is not None:
                    self._pods.of(pair[0].name.pod_uid).due = 0.0
            newcomer = self._newcomer(progress)
            for held in () if newcomer is None else held_by(newcomer):
                kernel.replace(held.name, NoGroup())

    def advance(self, kernel: KernelView, known: Sequence[Held]) -> float | None:
        """Take the next step of each core that is ready for it.

        Returns the seconds until the next look, None where nothing here needs one.
        """
        delays = [
            delay
            for progress in self._book.exchanges()
            if (delay := self._advance(progress, kernel, known)) is not None
        ]
        return min(delays, default=None)

    def causes(self) -> dict[int, str]:
        """What holds up the exchange of a core, by core."""
        return {core: one.failure.cause for core, one in self._cores.items() if one.failure.cause}

    def take_notices(self) -> list[tuple[str, str]]:
        """(pod UID, text) of moves since the last call in which a job may have been late."""
        taken, self._notices = self._notices, []
        return taken

    def cause_for(self, pod_uid: str) -> str:
        """What holds up the exchange that makes room for a pod; "" where nothing does."""
        mine = (one.core for one in self._book.exchanges() if one.newcomer == pod_uid)
        return next((self.causes().get(core, "") for core in mine), "")

    def _advance(
        self, progress: Progress, kernel: KernelView, known: Sequence[Held]
    ) -> float | None:
        core = self._cores.setdefault(progress.core, _Core())
        if not self._is_ready(progress):
            return None
        if core.retry > self._clock():
            return core.retry - self._clock()
        try:
            if progress.overlaps:
                return self._complete(progress, core, kernel, known)
            if progress.step is not None:
                return self._begin(progress, core, kernel)
            return self._arrive(progress, core, kernel)
        except (KernelError, UnavailableError, OSError) as error:
            self._note_failure(progress, core, str(error))
            core.retry = self._clock() + _RETRY_SECONDS
            return _RETRY_SECONDS

    def _is_ready(self, progress: Progress) -> bool:
        """Whether the core's state allows the next change; a pod that comes next may be leaving."""
        if progress.overlaps:
            return self._mode_changes.is_calm(progress.core)
        return self._mode_changes.is_settled(progress.core) and not self._is_leaving(progress)

    def _begin(self, progress: Progress, core: _Core, kernel: KernelView) -> float | None:
        step = progress.step
        node = None
        if step is not None and self._may_fit(core):
            node = overlapping(self._book.standing(), step)
        if step is None or node is None:
            self._hold_up(progress, core)
            return None
        entry = self._book.find(step.before.pod_uid)
        names = {} if entry is None else {h.reservation.key: h.name for h in held_by(entry)}
        self._provide(kernel, [Held(name=names[step.after.key], reservation=step.after)])
        self._book.begin_step(progress.core, node)
        self._mode_changes.note_ends([step.after], node.reservations)
        core.failure.clear()
        log.info("exchange step begun", extra=_facts(progress))
        return 0.0

    def _complete(
        self, progress: Progress, core: _Core, kernel: KernelView, known: Sequence[Held]
    ) -> float | None:
        pair = _pair(progress, known)
        if pair is None:
            return None
        if core.open_since is None:  # the core has just become calm: no thread was moved yet
            return 0.0
        first, _ = pair
        view = kernel.plain(first)
        if any(self._is_real_time(tid) for tid in view.members(first)):
            return self._poll(progress, core, first)
        self._book.complete_step(progress.core)
        core.failure.clear()
        self._metrics.steps.inc()
        log.info("exchange step completed", extra=_facts(progress))
        if progress.withdrawn:
            self._metrics.ended.labels(outcome="withdrawn").inc()
        if isinstance(view, GroupView):
            view.discard(first)
        return 0.0

    def _poll(self, progress: Progress, core: _Core, first: Held) -> float:
        """Seconds until threads are looked at again that have not moved."""
        tasks, server = first.reservation.tasks, first.reservation.server
        longest = server.period + 2 * max(task.period + task.deadline for task in tasks)
        since = self._clock() if core.open_since is None else core.open_since
        if (self._clock() - since) * NS_PER_S > longest + NS_PER_S:
            self._note_failure(progress, core, _NOT_MOVED)
            return _SLOWEST_POLL
        shortest = min(task.period for task in tasks) / NS_PER_S
        return min(max(_POLL_SECONDS, shortest / 50), _SLOWEST_POLL)

    def _arrive(self, progress: Progress, core: _Core, kernel: KernelView) -> float | None:
        newcomer, node = self._newcomer(progress), None
        if newcomer is not None and self._may_fit(core):
            node = arrived(self._book.standing(), progress.exchange)
        if newcomer is None or node is None:
            self._hold_up(progress, core)
            return None
        self._provide(kernel, held_by(newcomer))
        self._book.arrive(progress.core, node)
        self._metrics.ended.labels(outcome="completed").inc()
        log.info("exchange completed", extra=_facts(progress))
        return 0.0

    def _provide(self, kernel: KernelView, wanted: Sequence[Held]) -> None:
        """Make groups, or find that they are there. Raises ``KernelError``."""
        for held in wanted:
            view = kernel.plain(held)
            if held.reservation.mechanism is Mechanism.DEADLINE:
                view.claim([held])
            else:  # not patiently, because looks go on meanwhile
                view.provide(held, grow=False)
            given = view.given(held)
            if given is None or given.budget < held.reservation.server.budget:
                raise KernelError(f"the group of {held.name.pod_uid} has less than it needs")

    def _may_fit(self, core: _Core) -> bool:
        return core.unfit is None or core.unfit != self._book.standing()

    def _hold_up(self, progress: Progress, core: _Core) -> None:
        core.unfit = self._book.standing()
        self._note_failure(progress, core, _HELD_UP)

    def _note_failure(self, progress: Progress, core: _Core, cause: str) -> None:
        if core.failure.note(cause, self._clock()):
            self._metrics.held_up.inc()
            log.warning("exchange held up", extra={**_facts(progress), "cause": cause})

    def _is_leaving(self, progress: Progress) -> bool:
        """Whether a pod that comes next is being released: what is left is known afterwards."""
        step = progress.step
        uids = (progress.newcomer, None if step is None else step.before.pod_uid)
        entries = [self._book.find(uid) for uid in uids if uid is not None]
        return any(entry is None or entry.phase is Phase.RELEASING for entry in entries)

    def _newcomer(self, progress: Progress) -> Entry | None:
        return None if progress.newcomer is None else self._book.find(progress.newcomer)

    def _is_real_time(self, tid: int) -> bool:
        policy = self._threads.policy(tid)
        return policy is not None and not is_ordinary(policy)

    def _both(self, view: GroupView, pair: tuple[Held, Held], core: _Core) -> TwoGroups:
        since, changing = core.open_since, pair[0].reservation.core
        return TwoGroups(
            view,
            first=pair[0],
            second=pair[1],
            threads=self._threads,
            is_open=lambda: since is not None and self._mode_changes.is_calm(changing),
            since=self._clock() if since is None else since,
            note=self._note_move,
            clock=self._clock,
        )

    def _note_move(self, held: Held, thread: Thread, how: Move) -> None:
        self._metrics.moves.labels(how=how.value).inc()
        if how is not Move.ASLEEP:
            text = f"{thread.name!a} (TID {thread.tid}): {MOVE_TEXT[how]}"
            self._notices.append((held.name.pod_uid, text))
            log.warning(
                "thread moved between jobs that were not apart",
                extra={"pod": held.name.pod_uid, "tid": thread.tid, "how": how.value},
            )


def _pair(progress: Progress, known: Iterable[Held]) -> tuple[Held, Held] | None:
    """The reservation that has two groups: with its first, and with its second."""
    step, second = progress.step, progress.second
    if step is None or second is None:
        return None
    first = next((held for held in known if _is(held, step.before.pod_uid, second.key)), None)
    return None if first is None else (first, Held(name=first.name, reservation=second))


def _is(held: Held, pod_uid: str, key: tuple[str, tuple[str, ...]]) -> bool:
    return held.name.pod_uid == pod_uid and held.reservation.key == key


def _facts(progress: Progress) -> dict[str, object]:
    return {
        "core": progress.core,
        "pod": progress.exchange.pod_uid,
        "step": progress.done + 1,
        "steps": len(progress.exchange.steps),
    }

"""Changes of a core on which jobs are in flight (docs/theory.md, "Changing a live core").

The analyses speak of a fixed set. A job that sees parts of two sets is on time as well if running
servers grow from the lowest band upwards, if between two growths, and before new threads start,
every job of before has ended, and if no two running threads change their order in between.

SCHED_DEADLINE threads preempt every budget group, so before a new one starts, the groups of its
core grow, or those of all cores where it migrates. No server preempts a SCHED_DEADLINE thread.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace

from daemons.rubicante.enforcement.locator import SLOW_RESCAN
from daemons.rubicante.kernel.threads import FIFO, Thread, Threads
from daemons.rubicante.mechanisms.back_end import GroupName, Held
from daemons.rubicante.mechanisms.back_ends import KernelView
from k40s.cpu.model import ANY_CORE, Reservation
from k40s.errors import KernelError
from k40s.units import NS_PER_S, MonotonicClock


@dataclass(frozen=True, slots=True, kw_only=True)
class Permits:
    """Permitted changes: servers that may grow, cores on which no new thread may start.

    Those with servers that still have to grow are ``growing``. In ``again`` seconds more may; None
    where nothing is held back by time.
    """

    grow: frozenset[GroupName]
    closed: frozenset[int]
    growing: frozenset[int]
    again: float | None

    def may_enter(self, reservation: Reservation) -> bool:
        """Whether threads of a reservation may start where they may run."""
        core = reservation.core
        return not self.closed if core == ANY_CORE else core not in self.closed


NO_PERMITS = Permits(grow=frozenset(), closed=frozenset(), growing=frozenset(), again=None)


class ModeChanges:
    """Decides when a mode change may take its next step. ``clock`` is monotonic, in seconds.

    ``held`` is what the book held at the start: the process before may have just grown it.
    """

    def __init__(
        self, *, threads: Threads, clock: MonotonicClock, held: Sequence[Reservation]
    ) -> None:
        self._threads = threads
        self._clock = clock
        self._calm = {core: clock() + seconds for core, seconds in _drain_seconds(held).items()}
        self._due = 0.0
        self._prioritized = False
        self.again_at = 0.0
        """When there may be more permits."""
        self.permits = NO_PERMITS
        """The last ones, without growth, which was permitted once."""

    def is_due(self) -> bool:
        """Whether permits have to be found again.

        Only the book and time change them; changes by other programs are found within a second.
        """
        return self._clock() >= self._due

    def make_due(self) -> None:
        """The book has changed, or anything may have."""
        self._due = 0.0

    def note_ends(self, ended: Sequence[Reservation], remaining: Sequence[Reservation]) -> None:
        """Jobs in progress have seen servers that are gone: their cores are not calm.

        Such a job may see the server of a newcomer as well, and no analysis is of both.
        """
        cores = {reservation.core for reservation in ended}
        now = self._clock()
        for core, seconds in _drain_seconds([*ended, *remaining]).items():
            if core in cores or ANY_CORE in cores:
                self._calm[core] = max(self._calm.get(core, now), now + seconds)

    def is_settled(self, core: int) -> bool:
        """Whether a core is as the book has it: nothing has to grow, and bands have moved."""
        return self._prioritized and core not in self.permits.growing

    def is_calm(self, core: int) -> bool:
        """Whether also all jobs have ended that saw it otherwise."""
        calm = self._calm.get(core, 0.0) <= self._clock()
        return self.is_settled(core) and calm and core not in self.permits.closed

    def prepare(
        self,
        reserved: Sequence[Held],
        kernel: KernelView,
        prioritized: Iterable[tuple[Thread, int]],
    ) -> Permits:
        """Change priorities of enforced threads, and find out what else may change."""
        done = self._prioritized = change_priorities(self._threads, prioritized)
        permits = self._find(reserved, kernel)
        now = self._clock()
        self.again_at = now + (SLOW_RESCAN if permits.again is None else permits.again)
        self._due = min(self.again_at, now + SLOW_RESCAN) if done else 0.0
        self.permits = replace(permits, grow=frozenset())
        return permits

    def _find(self, reserved: Sequence[Held], kernel: KernelView) -> Permits:
        """The permitted changes. A permit to grow counts as used: the core is not calm after it."""
        now = self._clock()
        drain = _drain_seconds([held.reservation for held in reserved])
        lacking = [held for held in sorted(reserved, key=_lowest) if _lacks(held, kernel)]
        first: dict[int, Held] = {}
        for held in lacking:
            first.setdefault(held.reservation.core, held)
        calm = {core for core in drain if self._calm.get(core, now) <= now}
        grow = [held for held in lacking if _all_may_grow(_unit(held), lacking, first, calm)]
        for held in grow:
            core = held.reservation.core
            self._calm[core] = now + drain[core]
        waits = [self._calm[core] - now for core in drain if self._calm.get(core, now) > now]
        return Permits(
            grow=frozenset(held.name for held in grow),
            closed=frozenset(core for core in drain if core not in calm or core in first),
            growing=frozenset(first),
            again=min(waits, default=None),
        )


def change_priorities(threads: Threads, wanted: Iterable[tuple[Thread, int]]) -> bool:
    """Give running real-time threads other priorities, without any two changing their order.

    First those that go down, from the lowest, then those that go up, from the highest. False when
    the kernel refused one; the next look at that container reports it.
    """
    down: list[tuple[int, int]] = []
    up: list[tuple[int, int]] = []
    for thread, priority in wanted:
        policy, present = threads.policy(thread.tid) or (0, 0)
        if policy == FIFO and present != priority and threads.lives(thread.tid, thread.started):
            (down if priority < present else up).append((priority, thread.tid))
    for priority, tid in (*sorted(down), *sorted(up, reverse=True)):
        try:
            threads.set_policy(tid, FIFO, priority)
        except KernelError:
            return False
    return True


def _lacks(held: Held, kernel: KernelView) -> bool:
    """Whether threads run with less than the book grants."""
    view = kernel.of(held)
    given = view.given(held)
    budget = 0 if given is None else given.budget
    return budget < held.reservation.server.budget and bool(view.members(held))


def _lowest(held: Held) -> tuple[int, GroupName]:
    return min(held.reservation.priorities, default=0), held.name


def _unit(held: Held) -> Hashable:
    """The unit of growth: a budget group, on all the cores that it serves."""
    number = held.reservation.group
    return held.name if number is None else number


def _all_may_grow(
    unit: Hashable, lacking: Sequence[Held], first: dict[int, Held], calm: set[int]
) -> bool:
    """Whether a group's turn has come on each core where its threads run."""
    users = [held for held in lacking if _unit(held) == unit]
    return all(
        held.reservation.core in calm and first[held.reservation.core] == held for held in users
    )


def _drain_seconds(held: Sequence[Reservation]) -> dict[int, float]:
    """Core → seconds after which all jobs that saw its former state have ended.

    A reservation that may run on any core counts on each, for its jobs may be there.
    """
    longest: dict[int, tuple[int, int]] = {}
    for reservation in held:
        period, deadline = longest.get(reservation.core, (0, 0))
        longest[reservation.core] = (
            max(period, reservation.server.period),
            max(deadline, *(task.deadline for task in reservation.tasks)),
        )
    roaming = longest.pop(ANY_CORE, (0, 0))
    return {
        core: (max(period, roaming[0]) + max(deadline, roaming[1])) / NS_PER_S
        for core, (period, deadline) in longest.items()
    }

"""A reservation with two budget groups: its threads move into the second one while they sleep.

A thread that sleeps between two jobs has nothing in either group, and the next job sees the second
group alone. One that wakes while it is moved sees both, for less time than ``move_slack``, for
which the step was verified; where that took longer, one job may have been late, and it is counted.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum

from daemons.rubicante.kernel.threads import Thread, Threads
from daemons.rubicante.mechanisms.back_end import ContainerCgroup, Held, Stray
from daemons.rubicante.mechanisms.back_ends import HoldsNothing
from daemons.rubicante.mechanisms.rt_cgroup.group_back_end import GroupView
from k40s.cpu.admission.exchange import move_slack
from k40s.cpu.model import Server
from k40s.units import NS_PER_S, MonotonicClock

log = logging.getLogger(__name__)

IsOpen = Callable[[], bool]
"""Whether threads may enter the second group: its core is calm."""


class Move(StrEnum):
    """How a thread was moved: a metric's label."""

    ASLEEP = "asleep"
    """It slept throughout, or woke for less than a job may be late by."""
    WOKEN = "woken"
    """It woke, and the move took so long that one job may have been late."""
    AWAKE = "awake"
    """It was never seen asleep: its job is longer than its deadline, or it does not wait."""


MOVE_TEXT = {
    Move.WOKEN: "it woke while it was moved to another budget group, for longer than is allowed "
    "for: one job may have been late",
    Move.AWAKE: "it was not seen asleep for longer than its period and its deadline, and was moved "
    "to another budget group in the middle of a job, which may have been late",
}
"""What the owner of a thread is told."""
NoteMove = Callable[[Held, Thread, Move], None]
"""Counts a move, and tells where a job may have been late."""


class TwoGroups:
    """Implements ``BackEndView`` for the ``first`` of two reservations of the same tasks.

    ``since`` is when threads were first allowed to move, in seconds of ``clock``.
    """

    def __init__(
        self,
        view: GroupView,
        *,
        first: Held,
        second: Held,
        threads: Threads,
        is_open: IsOpen,
        since: float,
        note: NoteMove,
        clock: MonotonicClock,
    ) -> None:
        self._view = view
        self._first = first
        self._second = second
        self._threads = threads
        self._is_open = is_open
        self._since = since
        self._note = note
        self._clock = clock

    def priorities(self, tid: int) -> tuple[int, ...]:
        """Those of the group that a thread is in."""
        in_second = tid in self._view.members(self._second)
        return (self._second if in_second else self._first).reservation.priorities

    def claim(self, wanted: Sequence[Held]) -> None:
        """As without exchange."""
        self._view.claim(wanted)

    def given(self, held: Held) -> Server | None:
        """The server of the group that is asked for."""
        return self._view.given(held)

    def provide(self, held: Held, *, grow: bool) -> None:
        """Make both groups ready; neither grows."""
        del held, grow
        self._view.provide(self._first, grow=False)
        self._view.provide(self._second, grow=False)

    def members(self, held: Held) -> tuple[int, ...]:
        """Those of both groups."""
        del held
        return (*self._view.members(self._first), *self._view.members(self._second))

    def enforce(
        self, thread: Thread, held: Held, *, position: int, container: ContainerCgroup
    ) -> bool:
        """In the first group until it may move; a thread that is in none enters the second."""
        del held
        inside = thread.tid in self._view.members(self._first)
        if inside and self._is_open():
            inside = not self._move(thread, position)
        where = self._first if inside else self._second
        return self._view.enforce(thread, where, position=position, container=container)

    def restore(self, tid: int, held: Held) -> bool:
        """As without exchange: both groups are of one pod and core."""
        del held
        return self._view.restore(tid, self._first)

    @property
    def may_evict(self) -> bool:
        """As without exchange."""
        return self._view.may_evict

    def evict(self) -> Mapping[int, str]:
        """As without exchange."""
        return self._view.evict()

    def release(self, pod_uid: str) -> bool:
        """Both groups are in the view."""
        return self._view.release(pod_uid)

    def sweep(self) -> tuple[Stray, ...]:
        """Both groups are in the view."""
        return self._view.sweep()

    def _move(self, thread: Thread, position: int) -> bool:
        """Whether the thread is in the second group."""
        task = self._first.reservation.tasks[position]
        activity, began = self._threads.activity(thread.tid), self._clock()
        asleep = self._threads.waits(thread.tid)
        longest = self._first.reservation.server.period + task.period + task.deadline
        if not asleep and (began - self._since) * NS_PER_S < longest:
            return False
        priority = self._second.reservation.priorities[position]
        if not self._view.transfer(thread.tid, self._second, priority):
            return False
        took = (self._clock() - began) * NS_PER_S
        woke = activity is None or self._threads.activity(thread.tid) != activity
        late = Move.WOKEN if woke and took > move_slack(task) else Move.ASLEEP
        self._note(self._first, thread, late if asleep else Move.AWAKE)
        return True


class NoGroup(HoldsNothing):
    """Implements ``BackEndView`` for the newcomer before it arrives: its threads are ordinary."""

    def claim(self, wanted: Sequence[Held]) -> None:
        """Nothing: its groups are made when it arrives."""

    def provide(self, held: Held, *, grow: bool) -> None:
        """Nothing."""

    def enforce(
        self, thread: Thread, held: Held, *, position: int, container: ContainerCgroup
    ) -> bool:
        """Not yet."""
        del thread, held, position, container
        return False

"""Changes of a core on which jobs are in flight (docs/theory.md, "Changing a live core").

The analyses speak of a fixed set. A job that sees parts of two sets is on time as well if running
servers grow from the lowest band upwards, if between two growths, and before new threads start,
every job of before has ended, and if no two running threads change their order in between.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from daemons.rubicante.kernel.mechanism import GroupName
from daemons.rubicante.kernel.rt_cgroup import BudgetGroups
from daemons.rubicante.kernel.threads import FIFO, Thread, Threads
from k40s.cpu.model import Reservation
from k40s.errors import KernelError
from k40s.units import NS_PER_S

Reserved = tuple[GroupName, Reservation]


@dataclass(frozen=True, slots=True, kw_only=True)
class Permits:
    """What may change at a moment: groups may grow, new threads may start on cores.

    In ``again`` seconds there may be more; None where nothing is held back by time.
    """

    grow: frozenset[GroupName]
    enter: frozenset[int]
    again: float | None


class LiveCores:
    """Says when a change may take its next step. ``clock`` is monotonic, in seconds.

    ``held`` is what the book held at the start: the process before may have just grown it.
    """

    def __init__(
        self, *, groups: BudgetGroups, clock: Callable[[], float], held: Iterable[Reservation]
    ) -> None:
        self._groups = groups
        self._clock = clock
        self._calm = {core: clock() + patience for core, patience in _patience(tuple(held)).items()}

    def permits(self, reserved: Sequence[Reserved]) -> Permits:
        """What may change now. A permit to grow counts as used: the core is not calm after it."""
        now = self._clock()
        patience = _patience([reservation for _, reservation in reserved])
        lacking: dict[int, GroupName] = {}
        for name, reservation in sorted(reserved, key=_lowest):
            if reservation.core not in lacking and self._lacks(name, reservation):
                lacking[reservation.core] = name
        calm = {core for core in patience if self._calm.get(core, now) <= now}
        for core in calm & lacking.keys():
            self._calm[core] = now + patience[core]
        waits = [self._calm[core] - now for core in patience if self._calm.get(core, now) > now]
        return Permits(
            grow=frozenset(name for core, name in lacking.items() if core in calm),
            enter=frozenset(calm - lacking.keys()),
            again=min(waits, default=None),
        )

    def _lacks(self, name: GroupName, reservation: Reservation) -> bool:
        """Whether threads run in the group with less than the book grants."""
        server = self._groups.server(name)
        budget = 0 if server is None else server.budget
        return budget < reservation.server.budget and bool(self._groups.members(name))


def move_bands(threads: Threads, wanted: Iterable[tuple[Thread, int]]) -> None:
    """Give running real-time threads other priorities, without any two changing their order.

    First those that go down, from the lowest, then those that go up, from the highest. What the
    kernel refuses is left to the look at that container, which says so.
    """
    down: list[tuple[int, int]] = []
    up: list[tuple[int, int]] = []
    for thread, priority in wanted:
        policy, present = threads.policy(thread.tid) or (0, 0)
        if policy == FIFO and present != priority and _lives(threads, thread):
            (down if priority < present else up).append((priority, thread.tid))
    for priority, tid in (*sorted(down), *sorted(up, reverse=True)):
        try:
            threads.set_policy(tid, FIFO, priority)
        except KernelError:
            return


def _lives(threads: Threads, thread: Thread) -> bool:
    found = threads.find(thread.tid)
    return found is not None and found.started == thread.started


def _lowest(reserved: Reserved) -> tuple[int, GroupName]:
    name, reservation = reserved
    return min(reservation.priorities), name


def _patience(held: Sequence[Reservation]) -> dict[int, float]:
    """Core → seconds after which all jobs that saw its former state have ended."""
    longest: dict[int, tuple[int, int]] = {}
    for reservation in held:
        period, deadline = longest.get(reservation.core, (0, 0))
        longest[reservation.core] = (
            max(period, reservation.server.period),
            max(deadline, *(task.deadline for task in reservation.tasks)),
        )
    return {core: (period + deadline) / NS_PER_S for core, (period, deadline) in longest.items()}

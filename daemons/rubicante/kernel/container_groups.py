"""rt-cgroup as a mechanism, in the containers' own cgroups: no thread is moved.

A reservation's (Q, P) is written into its container's cgroup, those above get budgets that never
bind (``ancestors``), and the tasks' threads become SCHED_FIFO where they are. The budget exists on
every CPU; pinned threads use it on one. A thread of the container that made itself real-time uses
that same budget, until it is made ordinary again with the next look.
"""

import os
from collections.abc import Callable, Sequence
from math import inf

from daemons.rubicante.kernel.ancestors import SETTLE_SECONDS, Ancestors
from daemons.rubicante.kernel.homes import Homes
from daemons.rubicante.kernel.leaves import Leaves
from daemons.rubicante.kernel.mechanism import GroupName, Held, Home, Stray
from daemons.rubicante.kernel.rt_cgroup import DEAD_GROUP_SECONDS
from daemons.rubicante.kernel.rt_groups import RtCgroups
from daemons.rubicante.kernel.sched_attr import Attributes, drop, is_deadline
from daemons.rubicante.kernel.threads import FIFO, Thread, Threads
from k40s.cpu.model import Server
from k40s.errors import KernelError
from k40s.units import NS_PER_S, NS_PER_US, Nanoseconds

_DEAD_CONTAINER_SECONDS = 0.05


class ContainerGroups:
    """Implements ``BackEnd``. ``former`` undoes groups of ours that another setting left behind.

    ``attributes`` are the way to SCHED_DEADLINE, which a thread may have from a former contract.
    ``tick`` is δ, ``clock`` is monotonic, in seconds.

    A container that starts again has a new cgroup, and with it a full budget. It gets that when the
    one before, overrun included, would have been refilled, so that both together take no more than
    one server would.
    """

    def __init__(
        self,
        *,
        leaves: Leaves,
        ancestors: Ancestors,
        threads: Threads,
        homes: Homes,
        former: RtCgroups,
        attributes: Attributes | None = None,
        tick: Nanoseconds,
        clock: Callable[[], float],
    ) -> None:
        self._leaves = leaves
        self._ancestors = ancestors
        self._threads = threads
        self._homes = homes
        self._former = former
        self._attributes = attributes
        self._tick = tick
        self._clock = clock
        self._started = clock()
        self._book: dict[GroupName, Held] = {}
        self._unused: set[str] = set()
        self._left: dict[str, float] = {}
        self._ended: dict[GroupName, float] = {}
        self._excess_since: float | None = None
        self._others_changed = -inf

    def know(self, book: Sequence[Held]) -> None:
        """All reservations that are enforced in containers' own cgroups."""
        self._book = {held.name: held for held in book}
        loads: dict[str, tuple[tuple[int, int], ...]] = {}
        for held in book:
            uid = held.name.pod_uid
            loads[uid] = (*loads.get(uid, ()), _figures(held))
        self._ancestors.know(loads)
        self._leaves.know(book)
        self._unused &= loads.keys()
        self._left = {uid: since for uid, since in self._left.items() if uid in loads}
        self._ended = {name: at for name, at in self._ended.items() if name in self._book}

    def claim(self, wanted: Sequence[Held]) -> None:
        """Give what all pods have in common enough for everything in the book.

        That is the whole consent: whatever class and group kubelet gives the pod, they lie below,
        and the sum of what they need is there.
        """
        if not wanted:
            return
        self._look_for_foreign()
        new = [held.name for held in wanted if self._ancestors.pod(held.name.pod_uid) is None]
        self._unused |= {name.pod_uid for name in new}
        self._ended.update(dict.fromkeys(new, -inf))
        self._ancestors.provide(patience=DEAD_GROUP_SECONDS)

    def given(self, held: Held) -> Server | None:
        """What the container's cgroup has, if it serves a thread; else what it can have at once."""
        if not self.members(held):
            return held.reservation.server
        return self._leaves.server(held)

    def provide(self, held: Held, *, grow: bool) -> None:
        """Bring the groups above in line, and the container's own if it is known."""
        uid, wanted = held.name.pod_uid, held.reservation.server
        self._ancestors.provide(self._ancestors.pod(uid), patience=_DEAD_CONTAINER_SECONDS)
        has = self._leaves.server(held) if self._leaves.is_confirmed(held) else None
        if has is None or has == wanted:
            return
        live = bool(self.members(held))
        if live and (has.period != wanted.period or has.budget > wanted.budget):
            self._empty(held)
        elif live and not grow:
            return
        self._give(held)

    def members(self, held: Held) -> tuple[int, ...]:
        """Real-time threads in the container's cgroup, whoever made them so."""
        return self._leaves.real_time(held)

    def enforce(self, thread: Thread, held: Held, *, position: int, home: Home) -> bool:
        """Give the cgroup its budget, pin, make FIFO: in this order.

        FIFO is refused without a budget, and a thread that is not pinned first could use it on
        another core. False also while a former cgroup's budget would not be refilled.
        """
        tid, uid, reservation = thread.tid, held.name.pod_uid, held.reservation
        if self._leaves.is_confirmed(held) and self._leaves.of(held) != home.cgroup:
            self._empty(held)
        self._leaves.confirm(held, home.cgroup)
        self._unused.discard(uid)
        if self._leaves.server(held) is None:
            self._ancestors.provide(home.pod, patience=_DEAD_CONTAINER_SECONDS)
            if not self._give(held):
                return False
        if not self._is_inside(tid, held):
            if self._threads.find(tid) is None:
                return False
            raise KernelError(f"thread {tid} is not in its container's own cgroup")
        if tid not in self.members(held):
            self._homes.note(thread, pod_uid=uid, cgroup=home.cgroup)
            if not self._make_ordinary(tid):
                return False
        core, priority = frozenset({reservation.core}), reservation.priorities[position]
        if self._threads.policy(tid) != (FIFO, priority):
            self._leaves.forget(held)
        return self._threads.pin(tid, core) and self._threads.set_policy(tid, FIFO, priority)

    def send_home(self, tid: int, held: Held) -> bool:
        """Ordinary, with its former affinity where it still has the reservation's."""
        self._leaves.forget(held)
        if not self._make_ordinary(tid):
            return True
        if self._threads.affinity(tid) == {held.reservation.core}:
            self._threads.pin(tid, self._homes.affinity(tid, pod_uid=held.name.pod_uid))
        return True

    def release(self, pod_uid: str) -> bool:
        """Empty the pod's cgroups at once; lower those above when its last period is over."""
        mine = [held for held in self._book.values() if held.name.pod_uid == pod_uid]
        if not mine:
            return True
        for held in mine:
            self._empty(held)
        self._look_for_foreign()
        used = pod_uid not in self._unused
        since = self._left.setdefault(pod_uid, self._clock()) if used else -inf
        return self._is_settled(since) and self._ancestors.lower(leaving=pod_uid)

    def sweep(self) -> tuple[Stray, ...]:
        """Groups of another setting, and budgets above containers that no reservation needs."""
        self._former.know(())
        strays = self._former.sweep()
        self._look_for_foreign()
        if not self._ancestors.has_excess():
            self._excess_since = None
            return strays
        if self._excess_since is None:
            self._excess_since = self._clock()
        if not self._is_settled(self._excess_since):
            return strays
        idle = self._ancestors.lower()
        return (*strays, Stray(what="budgets above containers", idle=idle))

    def _is_inside(self, tid: int, held: Held) -> bool:
        if tid not in self._leaves.tids(held):
            self._leaves.forget(held)
        return tid in self._leaves.tids(held)

    def _look_for_foreign(self) -> None:
        ours, unclear = self._leaves.known()
        before = self._ancestors.foreign()
        self._ancestors.find_foreign(ours=ours, unclear=unclear)
        if self._ancestors.foreign() != before:
            self._others_changed = self._clock()

    def _is_settled(self, since: float) -> bool:
        """Whether all that stopped at ``since``, or was others', is of a former period."""
        return self._clock() - max(since, self._others_changed) >= SETTLE_SECONDS

    def _give(self, held: Held) -> bool:
        """False while it is too early."""
        if self._leaves.server(held) is None and self._clock() < self._due(held):
            return False
        self._leaves.give(held, *_figures(held), patience=_DEAD_CONTAINER_SECONDS)
        return True

    def _due(self, held: Held) -> float:
        """When a former cgroup's budget, and what it may have overrun, would be there again."""
        server = held.reservation.server
        wait = server.period * (1 - (-self._tick // server.budget)) / NS_PER_S
        return self._ended.get(held.name, self._started) + wait

    def _empty(self, held: Held) -> None:
        """Nothing real-time in the container's cgroup, and no budget."""
        for tid in self.members(held):
            self.send_home(tid, held)
        self._leaves.give(held, 0, 0, patience=0.0)
        self._ended[held.name] = self._clock()

    def _make_ordinary(self, tid: int) -> bool:
        """False when it died. One that is ordinary, of whatever kind, stays what it is."""
        policy = self._threads.policy(tid)
        if policy is not None and is_deadline(policy[0]):
            try:
                return self._attributes is None or drop(self._attributes, tid)
            except OSError as error:
                raise KernelError(f"sched_setattr({tid}): {error}") from error
        if policy is None or policy[1] > 0:
            return self._threads.set_policy(tid, os.SCHED_OTHER, 0)
        return True


def _figures(held: Held) -> tuple[int, int]:
    server = held.reservation.server
    return server.budget // NS_PER_US, server.period // NS_PER_US

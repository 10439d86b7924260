"""The containers' own cgroups at one snapshot of the book; what they are given and who uses it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from pathlib import Path

from daemons.rubicante.kernel.sched_attr import Attributes
from daemons.rubicante.kernel.threads import FIFO, Thread, Threads, make_ordinary
from daemons.rubicante.mechanisms.back_end import ContainerCgroup, GroupName, Held, Stray
from daemons.rubicante.mechanisms.origins import Origins
from daemons.rubicante.mechanisms.rt_cgroup.budget_groups import DEAD_GROUP_SECONDS
from daemons.rubicante.mechanisms.rt_cgroup.container_cgroups import ContainerCgroups
from daemons.rubicante.mechanisms.rt_cgroup.group_back_end import GroupBackEnd
from daemons.rubicante.mechanisms.rt_cgroup.parent_cgroups import (
    PERIOD_END_SECONDS,
    ParentCgroups,
    ParentState,
)
from k40s.cpu.model import Server
from k40s.errors import KernelError
from k40s.units import NS_PER_S, NS_PER_US, MonotonicClock, Nanoseconds

_DEAD_CONTAINER_SECONDS = 0.05


@dataclass(slots=True)
class ContainerState:
    """State of containers' cgroups that outlives one snapshot of the book.

    ``started`` is when this process did. ``unused`` are pods (UIDs) whose budgets nobody has used,
    ``left`` when pods were released, ``ended`` when a reservation's former cgroup ended,
    ``excess_since`` since when groups above containers have had more than they need, and
    ``others_changed`` when others' budgets last did.
    """

    started: float
    confirmed: dict[GroupName, Path] = field(default_factory=dict)
    parents: ParentState = field(default_factory=ParentState)
    unused: set[str] = field(default_factory=set)
    left: dict[str, float] = field(default_factory=dict)
    ended: dict[GroupName, float] = field(default_factory=dict)
    excess_since: float | None = None
    others_changed: float = -inf


class ContainerView:
    """Implements ``BackEndView``. ``state`` outlives it.

    A container that starts again has a new cgroup, and with it a full budget. It gets that when the
    one before, overrun included, would have been replenished, so that both together take no more
    than one server would.
    """

    def __init__(
        self,
        book: Sequence[Held],
        *,
        containers: ContainerCgroups,
        parents: ParentCgroups,
        state: ContainerState,
        threads: Threads,
        origins: Origins,
        former: GroupBackEnd,
        attributes: Attributes | None,
        tick: Nanoseconds,
        clock: MonotonicClock,
    ) -> None:
        self._book = book
        self._cgroups = containers
        self._parents = parents
        self._state = state
        self._threads = threads
        self._origins = origins
        self._former = former
        self._attributes = attributes
        self._tick = tick
        self._clock = clock

    def claim(self, wanted: Sequence[Held]) -> None:
        """Give the groups above all pods enough for every reservation in the book.

        That is all the kernel has to admit: whatever class and group kubelet gives the pod, it lies
        below these groups, and they have the sum of what is needed.
        """
        if not wanted:
            return
        self._look_for_foreign()
        new = [held.name for held in wanted if self._parents.pod(held.name.pod_uid) is None]
        self._state.unused |= {name.pod_uid for name in new}
        self._state.ended.update(dict.fromkeys(new, -inf))
        self._parents.provide(patience=DEAD_GROUP_SECONDS)

    def given(self, held: Held) -> Server | None:
        """The cgroup's server while threads use it, else the reservation's."""
        if not self.members(held):
            return held.reservation.server
        return self._cgroups.server(held)

    def provide(self, held: Held, *, grow: bool) -> None:
        """Bring the groups above in line, and the container's own if it is known."""
        uid, wanted = held.name.pod_uid, held.reservation.server
        self._parents.provide(self._parents.pod(uid), patience=_DEAD_CONTAINER_SECONDS)
        has = self._cgroups.server(held) if self._cgroups.is_confirmed(held) else None
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
        return self._cgroups.real_time(held)

    def enforce(
        self, thread: Thread, held: Held, *, position: int, container: ContainerCgroup
    ) -> bool:
        """Give the cgroup its budget, pin, make FIFO: in this order.

        FIFO is refused without a budget, and a thread that is not pinned first could use it on
        another core. False also while a former cgroup's budget would not be replenished.
        """
        tid, uid, reservation = thread.tid, held.name.pod_uid, held.reservation
        if self._cgroups.is_confirmed(held) and self._cgroups.of(held) != container.cgroup:
            self._empty(held)
        self._cgroups.confirm(held, container.cgroup)
        self._state.unused.discard(uid)
        if self._cgroups.server(held) is None:
            self._parents.provide(container.pod, patience=_DEAD_CONTAINER_SECONDS)
            if not self._give(held):
                return False
        if not self._is_inside(tid, held):
            if self._threads.find(tid) is None:
                return False
            raise KernelError(f"thread {tid} is not in its container's own cgroup")
        if tid not in self.members(held):
            self._origins.note(thread, pod_uid=uid, cgroup=container.cgroup)
            if not make_ordinary(self._threads, self._attributes, tid):
                return False
        core, priority = frozenset({reservation.core}), reservation.priorities[position]
        if self._threads.policy(tid) != (FIFO, priority):
            self._cgroups.forget(held)
        return self._threads.pin(tid, core) and self._threads.set_policy(tid, FIFO, priority)

    def restore(self, tid: int, held: Held) -> bool:
        """Ordinary, with its former affinity where it still has the reservation's."""
        self._cgroups.forget(held)
        if not make_ordinary(self._threads, self._attributes, tid):
            return True
        if self._threads.affinity(tid) == {held.reservation.core}:
            self._threads.pin(tid, self._origins.affinity(tid, pod_uid=held.name.pod_uid))
        return True

    @property
    def may_evict(self) -> bool:
        """Children are in their container's cgroup."""
        return False

    def evict(self) -> Mapping[int, str]:
        """None: ordinary threads are in their container's cgroup, with its shares and quota."""
        return {}

    def release(self, pod_uid: str) -> bool:
        """Empty the pod's cgroups at once; lower those above when its last period is over."""
        mine = [held for held in self._book if held.name.pod_uid == pod_uid]
        if not mine:
            return True
        for held in mine:
            self._empty(held)
            self._cgroups.tidy(held)
        self._look_for_foreign()
        used = pod_uid not in self._state.unused
        since = self._state.left.setdefault(pod_uid, self._clock()) if used else -inf
        return self._is_past_period(since) and self._parents.lower(leaving=pod_uid)

    def sweep(self) -> tuple[Stray, ...]:
        """Groups of another setting, and budgets above containers that no reservation needs."""
        strays = self._former.view(()).sweep()
        self._look_for_foreign()
        if not self._parents.has_excess():
            self._state.excess_since = None
            return strays
        if self._state.excess_since is None:
            self._state.excess_since = self._clock()
        if not self._is_past_period(self._state.excess_since):
            return strays
        idle = self._parents.lower()
        return (*strays, Stray(what="budgets above containers", idle=idle))

    def _is_inside(self, tid: int, held: Held) -> bool:
        if tid not in self._cgroups.tids(held):
            self._cgroups.forget(held)
        return tid in self._cgroups.tids(held)

    def _look_for_foreign(self) -> None:
        reserved, unclear = self._cgroups.known()
        before = self._parents.foreign()
        self._parents.find_foreign(reserved=reserved, unclear=unclear)
        if self._parents.foreign() != before:
            self._state.others_changed = self._clock()

    def _is_past_period(self, since: float) -> bool:
        """Whether the period is over that contained ``since`` and foreign changes."""
        return self._clock() - max(since, self._state.others_changed) >= PERIOD_END_SECONDS

    def _give(self, held: Held) -> bool:
        """False while it is too early."""
        if self._cgroups.server(held) is None and self._clock() < self._due(held):
            return False
        self._cgroups.give(held, *server_figures(held), patience=_DEAD_CONTAINER_SECONDS)
        return True

    def _due(self, held: Held) -> float:
        """When a former cgroup's budget, and what it may have overrun, would be there again."""
        server = held.reservation.server
        wait = server.period * (1 - (-self._tick // server.budget)) / NS_PER_S
        return self._state.ended.get(held.name, self._state.started) + wait

    def _empty(self, held: Held) -> None:
        """Nothing real-time in the container's cgroup, and no budget."""
        for tid in self.members(held):
            self.restore(tid, held)
        self._cgroups.give(held, 0, 0, patience=0.0)
        self._state.ended[held.name] = self._clock()


def server_figures(held: Held) -> tuple[int, int]:
    """(Q, P) of a reservation in microseconds."""
    server = held.reservation.server
    return server.budget // NS_PER_US, server.period // NS_PER_US

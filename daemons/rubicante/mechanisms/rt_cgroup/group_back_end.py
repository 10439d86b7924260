"""rt-cgroup as a mechanism: threads in budget groups, shared between cores or one's own.

A shared group's (Q, P) applies on each core separately, and a thread is pinned to its core, so
reservations on different cores do not touch each other. Its other cgroups show its container.
Ordinary threads have next to nothing in a group, so those that are born in one are soon moved back.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

from daemons.rubicante.kernel.sched_attr import Attributes
from daemons.rubicante.kernel.threads import FIFO, Thread, Threads, is_ordinary, make_ordinary
from daemons.rubicante.mechanisms.back_end import ContainerCgroup, GroupName, Held, Stray
from daemons.rubicante.mechanisms.origins import Origins
from daemons.rubicante.mechanisms.rt_cgroup.budget_groups import (
    BudgetGroups,
    Group,
    GroupMembers,
    group_of,
)
from k40s.cpu.model import Server
from k40s.errors import KernelError

_AT_ONCE = 128
"""Threads of a group that are moved back in one go: 20 ms, for which all else waits."""


class GroupBackEnd:
    """Implements ``BackEnd``. ``attributes`` can end a SCHED_DEADLINE of a former contract."""

    def __init__(
        self,
        *,
        groups: BudgetGroups,
        threads: Threads,
        origins: Origins,
        attributes: Attributes | None = None,
    ) -> None:
        self._groups = groups
        self._threads = threads
        self._origins = origins
        self._attributes = attributes
        self._containers: dict[GroupName, Path] = {}
        self._turn: dict[Group, int] = {}

    def view(self, book: Sequence[Held]) -> "GroupView":
        """All reservations that are enforced by budget groups."""
        users: dict[Group, list[Held]] = {}
        for held in book:
            users.setdefault(group_of(held), []).append(held)
        for name in self._containers.keys() - {held.name for held in book}:
            del self._containers[name]
        return GroupView(
            users,
            groups=self._groups,
            threads=self._threads,
            origins=self._origins,
            attributes=self._attributes,
            containers=self._containers,
            turn=self._turn,
        )


class GroupView:
    """Implements ``BackEndView``; what groups give is read once, and where this has changed it.

    ``users`` are the reservations of each group. ``containers`` are the cgroups in which enforced
    reservations' threads were, ``turn`` the last thread of each group that ``evict`` looked at;
    both outlive the view.
    """

    def __init__(
        self,
        users: Mapping[Group, Sequence[Held]],
        *,
        groups: BudgetGroups,
        threads: Threads,
        origins: Origins,
        attributes: Attributes | None,
        containers: dict[GroupName, Path],
        turn: dict[Group, int],
    ) -> None:
        self._users = users
        self._groups = groups
        self._threads = threads
        self._origins = origins
        self._attributes = attributes
        self._containers = containers
        self._turn = turn
        self._servers: dict[Group, Server | None] = {}
        self._in_groups = GroupMembers(users, groups=groups, threads=threads, origins=origins)

    def claim(self, wanted: Sequence[Held]) -> None:
        """Make the groups, or find that they are there."""
        for held in wanted:
            self._provide(held, grow=False, patient=True)

    def given(self, held: Held) -> Server | None:
        """The group's server."""
        return self._given(group_of(held))

    def provide(self, held: Held, *, grow: bool) -> None:
        """Make the group, renew it where it must not be changed, or let it grow."""
        self._provide(held, grow=grow, patient=False)

    def members(self, held: Held) -> tuple[int, ...]:
        """The pod's threads in the group."""
        return self._in_groups.of(held)

    def enforce(
        self, thread: Thread, held: Held, *, position: int, container: ContainerCgroup
    ) -> bool:
        """Pin, move into the group, make FIFO: in this order.

        The container's own group has no real-time budget, so FIFO is refused before the move;
        and before the pin it could take the budget of the group on another core. For the same
        reason a thread that another group still serves becomes an ordinary one first.
        """
        tid, group, reservation = thread.tid, group_of(held), held.reservation
        self._containers[held.name] = container.cgroup
        inside = tid in self._in_groups.inside(group)
        if not inside:
            self._origins.note(thread, pod_uid=held.name.pod_uid, cgroup=container.cgroup)
            if not self._make_ordinary(tid):
                return False
        try:
            return (
                self._threads.pin(tid, frozenset({reservation.core}))
                and (inside or self._move_in(held, tid))
                and self._threads.set_policy(tid, FIFO, reservation.priorities[position])
            )
        except KernelError:
            if is_ordinary(self._threads.policy(tid)):  # and would have next to nothing there
                self.restore(tid, held)
            raise

    def transfer(self, tid: int, target: Held, priority: int) -> bool:
        """Move a thread between two groups of its own core as it is; False when it died.

        Both have a budget, so it stays real-time throughout; what wakes meanwhile is enforced.
        """
        self._in_groups.forget()
        return self._groups.move_in(group_of(target), tid) and self._threads.set_policy(
            tid, FIFO, priority
        )

    def discard(self, held: Held) -> None:
        """Remove the group of a reservation that has another one, unless others use it."""
        group = group_of(held)
        if self._users.get(group, ()) in ([], [held]):
            self._dismantle(group)

    def restore(self, tid: int, held: Held) -> bool:
        """Ordinary, not pinned to the core any more, back in its container's group.

        A child that no other hierarchy shows to be the container's goes where its parent was.
        """
        pod, usual = held.name.pod_uid, self._containers.get(held.name)
        return self._restore(tid, pod_uid=pod, core=held.reservation.core, usual=usual)

    @property
    def may_evict(self) -> bool:
        """Threads may be born in groups that are reserved."""
        return bool(self._users)

    def evict(self) -> Mapping[int, str]:
        """Move the groups' ordinary threads back: children, and tasks that gave up their policy.

        The next look meets and logs what the kernel refuses here.
        """
        evicted = {}
        for group, users in self._users.items():
            for tid in self._next(group):
                held = users[0] if not isinstance(group, int) else self._in_groups.owner(tid, group)
                with suppress(KernelError, OSError):
                    if held is not None and self.restore(tid, held):
                        evicted[tid] = held.name.pod_uid
        return evicted

    def _next(self, group: Group) -> list[int]:
        """Ordinary threads of a group, as many as are moved back at once.

        They take turns, so that one pod's many children do not keep those of another.
        """
        last = self._turn.get(group, 0)
        inside = sorted(self._groups.members(group), key=lambda tid: (tid <= last, tid))
        ordinary = (tid for tid in inside if is_ordinary(self._threads.policy(tid)))
        found = list(islice(ordinary, _AT_ONCE))
        self._turn[group] = found[-1] if found else 0
        return found

    def release(self, pod_uid: str) -> bool:
        """Empty and remove the pod's own groups, and shared ones that no other pod uses."""
        mine = [h for users in self._users.values() for h in users if h.name.pod_uid == pod_uid]
        for held in mine:
            for tid in self.members(held):
                usual = self._containers.get(held.name)
                self._restore(tid, pod_uid=pod_uid, core=None, usual=usual)
        gone = True
        for group in dict.fromkeys(map(group_of, mine)):
            if all(held.name.pod_uid == pod_uid for held in self._users[group]):
                gone &= self._dismantle(group)
            else:
                gone &= not any(
                    self._groups.is_real_time(tid)
                    for held in mine
                    if group_of(held) == group
                    for tid in self.members(held)
                )
        for name in self._groups.names():
            if name.pod_uid == pod_uid and name not in self._users:
                gone &= self._dismantle(name)
        return gone

    def sweep(self) -> tuple[Stray, ...]:
        """Groups without a reservation, and threads in shared groups without an owner."""
        strays = [
            self._undo(self._groups.path(group).name, group)
            for group in self._groups.existing()
            if group not in self._users
        ]
        for number in (group for group in self._users if isinstance(group, int)):
            strays += [
                self._undo(f"thread {tid} in {self._groups.path(number).name}", number, tid)
                for tid in self._in_groups.inside(number)
                if self._in_groups.owner(tid, number) is None
            ]
        return tuple(strays)

    def _undo(self, what: str, group: Group, tid: int | None = None) -> Stray:
        try:
            if tid is None:
                return Stray(what=what, idle=self._dismantle(group))
            self._restore(tid, pod_uid=self._origins.pod(tid) or "", core=None)
        except (KernelError, OSError) as error:
            return Stray(what=what, idle=False, cause=str(error))
        return Stray(what=what, idle=True)

    def _provide(self, held: Held, *, grow: bool, patient: bool) -> None:
        group, wanted = group_of(held), held.reservation.server
        has = self._given(group)
        if has is not None:
            self._groups.limit(group)  # it may be of a process that did not
        if has is not None and has != wanted:
            live = self._groups.is_live(group)
            if has.period != wanted.period or (live and has.budget > wanted.budget):
                self._dismantle(group)
            elif live and not grow:
                return
        if self._given(group) != wanted:
            self._servers.pop(group, None)
            self._groups.ensure(group, wanted, patient=patient)

    def _restore(
        self, tid: int, *, pod_uid: str, core: int | None, usual: Path | None = None
    ) -> bool:
        """The affinity is restored where it is still that of the reservation (``core``)."""
        if not self._make_ordinary(tid):
            return True
        if core is None or self._threads.affinity(tid) == {core}:
            self._threads.pin(tid, self._origins.affinity(tid, pod_uid=pod_uid))
        self._in_groups.forget()
        search = (self._origins.cgroup, lambda _: usual, self._origins.nearest_cgroup)
        return any(
            self._groups.put_back(tid, path) for find in search if (path := find(tid)) is not None
        )

    def _dismantle(self, group: Group) -> bool:
        """Empty and remove a group; where threads have no origin left, take its budget away.

        True when the group holds no budget any more.
        """
        for tid in self._groups.members(group):
            self._restore(tid, pod_uid=self._origins.pod(tid) or "", core=None)
        self._servers.pop(group, None)
        if self._groups.remove(group):
            return True
        if self._groups.is_live(group):
            return False
        self._groups.idle(group)
        return True

    def _given(self, group: Group) -> Server | None:
        if group not in self._servers:
            self._servers[group] = self._groups.server(group)
        return self._servers[group]

    def _make_ordinary(self, tid: int) -> bool:
        return make_ordinary(self._threads, self._attributes, tid)

    def _move_in(self, held: Held, tid: int) -> bool:
        self._in_groups.add(tid, held)
        return self._groups.move_in(group_of(held), tid)

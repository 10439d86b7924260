"""rt-cgroup as a mechanism: threads in budget groups, shared between cores or one's own.

A shared group's (Q, P) applies on each core separately, and a thread is pinned to its core, so
reservations on different cores do not touch each other. All other hierarchies tell whose it is.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from daemons.rubicante.kernel.homes import Homes
from daemons.rubicante.kernel.mechanism import GroupName, Held, Home, Stray
from daemons.rubicante.kernel.rt_cgroup import BudgetGroups, Group
from daemons.rubicante.kernel.sched_attr import Attributes, drop, is_deadline
from daemons.rubicante.kernel.threads import FIFO, Thread, Threads
from k40s.cpu.model import Server
from k40s.errors import KernelError


class RtCgroups:
    """Implements ``BackEnd``.

    What groups give, who is in them and whose that is, is read once after each ``know``, and again
    where this has changed it. ``attributes`` can end a SCHED_DEADLINE of a former contract.
    """

    def __init__(
        self,
        *,
        groups: BudgetGroups,
        threads: Threads,
        homes: Homes,
        attributes: Attributes | None = None,
    ) -> None:
        self._groups = groups
        self._attributes = attributes
        self._threads = threads
        self._homes = homes
        self._book: tuple[Held, ...] = ()
        self._users: dict[Group, list[Held]] = {}
        self._containers: dict[GroupName, Path] = {}
        self._servers: dict[Group, Server | None] = {}
        self._inside: dict[Group, tuple[int, ...]] = {}
        self._pods: dict[int, str | None] = {}

    def know(self, book: Sequence[Held]) -> None:
        """All reservations that are enforced by budget groups."""
        self._servers, self._inside, self._pods = {}, {}, {}
        if book == self._book:
            return
        self._book, self._users = tuple(book), {}
        for held in book:
            self._users.setdefault(_group(held), []).append(held)
        names = {held.name for held in book}
        self._containers = {n: path for n, path in self._containers.items() if n in names}

    def claim(self, wanted: Sequence[Held]) -> None:
        """Make the groups, or find that they are there."""
        for held in wanted:
            self._provide(held, grow=False, patient=True)

    def given(self, held: Held) -> Server | None:
        """What the group has."""
        return self._given(_group(held))

    def provide(self, held: Held, *, grow: bool) -> None:
        """Make the group, renew it where it must not be changed, or let it grow."""
        self._provide(held, grow=grow, patient=False)

    def members(self, held: Held) -> tuple[int, ...]:
        """The pod's threads in the group."""
        group = _group(held)
        inside = self._members(group)
        if not isinstance(group, int):
            return inside
        return tuple(tid for tid in inside if self._owner(tid, group) == held)

    def enforce(self, thread: Thread, held: Held, *, position: int, home: Home) -> bool:
        """Pin, move into the group, make FIFO: in this order.

        The container's own group has no real-time budget, so FIFO is refused before the move;
        and before the pin it could take the budget of the group on another core. For the same
        reason a thread that another group still serves becomes an ordinary one first.
        """
        tid, group, reservation = thread.tid, _group(held), held.reservation
        self._containers[held.name] = home.cgroup
        inside = tid in self._members(group)
        if not inside:
            self._homes.note(thread, pod_uid=held.name.pod_uid, cgroup=home.cgroup)
            if not self._make_ordinary(tid):
                return False
        return (
            self._threads.pin(tid, frozenset({reservation.core}))
            and (inside or self._take_in(held, tid))
            and self._threads.set_policy(tid, FIFO, reservation.priorities[position])
        )

    def send_home(self, tid: int, held: Held) -> bool:
        """Ordinary, not pinned to the core any more, back in its container's group.

        A child that no other hierarchy shows to be the container's goes where its parent was.
        """
        pod, usual = held.name.pod_uid, self._containers.get(held.name)
        return self._send_home(tid, pod_uid=pod, core=held.reservation.core, usual=usual)

    def release(self, pod_uid: str) -> bool:
        """Empty and remove the pod's own groups, and shared ones that no other pod uses."""
        mine = [h for users in self._users.values() for h in users if h.name.pod_uid == pod_uid]
        for held in mine:
            for tid in self.members(held):
                usual = self._containers.get(held.name)
                self._send_home(tid, pod_uid=pod_uid, core=None, usual=usual)
        gone = True
        for group in dict.fromkeys(map(_group, mine)):
            if all(held.name.pod_uid == pod_uid for held in self._users[group]):
                gone &= self._dismantle(group)
            else:
                gone &= not any(
                    self._groups.is_real_time(tid)
                    for held in mine
                    if _group(held) == group
                    for tid in self.members(held)
                )
        for name in self._groups.names():
            if name.pod_uid == pod_uid and name not in self._users:
                gone &= self._dismantle(name)
        return gone

    def sweep(self) -> tuple[Stray, ...]:
        """Groups that nobody reserved, and threads in shared groups that nobody owns."""
        groups: list[Group] = [*self._groups.names(), *self._groups.numbers()]
        strays = [
            self._undo(self._groups.path(group).name, group)
            for group in groups
            if group not in self._users
        ]
        for number in (group for group in self._users if isinstance(group, int)):
            strays += [
                self._undo(f"thread {tid} in {self._groups.path(number).name}", number, tid)
                for tid in self._members(number)
                if self._owner(tid, number) is None
            ]
        return tuple(strays)

    def _undo(self, what: str, group: Group, tid: int | None = None) -> Stray:
        try:
            if tid is None:
                return Stray(what=what, idle=self._dismantle(group))
            self._send_home(tid, pod_uid=self._homes.pod(tid) or "", core=None)
        except KernelError as error:
            return Stray(what=what, idle=False, cause=str(error))
        return Stray(what=what, idle=True)

    def _provide(self, held: Held, *, grow: bool, patient: bool) -> None:
        group, wanted = _group(held), held.reservation.server
        has = self._given(group)
        if has is not None and has != wanted:
            live = self._groups.is_live(group)
            if has.period != wanted.period or (live and has.budget > wanted.budget):
                self._dismantle(group)
            elif live and not grow:
                return
        if self._given(group) != wanted:
            self._servers.pop(group, None)
            self._groups.ensure(group, wanted, patient=patient)

    def _owner(self, tid: int, number: int) -> Held | None:
        """Whose reservation a thread in a shared group belongs to.

        That is its pod's, of several the one on the core that it is pinned to. A thread whose
        pod cannot be told belongs to the reservation on its core.
        """
        if tid not in self._pods:
            self._pods[tid] = self._homes.pod(tid)
        users, pod = self._users.get(number, []), self._pods[tid]
        if len(users) == 1 and pod is None:
            return users[0]
        candidates = users if pod is None else [h for h in users if h.name.pod_uid == pod]
        if pod is not None and len(candidates) <= 1:
            return candidates[0] if candidates else None
        affinity = self._threads.affinity(tid)
        on_core = [h for h in candidates if affinity == {h.reservation.core}]
        return next(iter(on_core or (candidates if pod is not None else ())), None)

    def _send_home(
        self, tid: int, *, pod_uid: str, core: int | None, usual: Path | None = None
    ) -> bool:
        """The affinity is restored where it is still that of the reservation (``core``)."""
        if not self._make_ordinary(tid):
            return True
        if core is None or self._threads.affinity(tid) == {core}:
            self._threads.pin(tid, self._homes.affinity(tid, pod_uid=pod_uid))
        home = self._homes.cgroup(tid) or usual
        self._inside = {}
        return home is not None and self._groups.put_back(tid, home)

    def _dismantle(self, group: Group) -> bool:
        """Empty and remove a group; where threads have no home left, take its budget away.

        True when the group holds no budget any more.
        """
        for tid in self._groups.members(group):
            self._send_home(tid, pod_uid=self._homes.pod(tid) or "", core=None)
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

    def _members(self, group: Group) -> tuple[int, ...]:
        if group not in self._inside:
            self._inside[group] = self._groups.members(group)
        return self._inside[group]

    def _take_in(self, held: Held, tid: int) -> bool:
        group = _group(held)
        self._inside[group] = (*self._members(group), tid)
        self._pods[tid] = held.name.pod_uid
        return self._groups.take_in(group, tid)

    def _make_ordinary(self, tid: int) -> bool:
        """False when it died. One that is ordinary, of whatever kind, stays what it is."""
        policy = self._threads.policy(tid)
        if policy is not None and is_deadline(policy[0]):
            return self._shed(tid)
        if policy is None or policy[1] > 0:
            return self._threads.set_policy(tid, os.SCHED_OTHER, 0)
        return True

    def _shed(self, tid: int) -> bool:
        try:
            return self._attributes is None or drop(self._attributes, tid)
        except OSError as error:
            raise KernelError(f"sched_setattr({tid}): {error}") from error


def _group(held: Held) -> Group:
    number = held.reservation.group
    return held.name if number is None else number

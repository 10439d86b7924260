"""Budget groups: cgroups (v1, cpu controller) of our own, each a server (Q, P) for few threads.

They lie at the top of the cpu hierarchy, so that one level alone throttles, and a thread is in
one of them by its TID while all its other cgroups stay those of its container. A group belongs to
one reservation, or is shared by reservations on different cores. The kernel's rules that shape
this module:

- a new group has runtime 0, and its period is set before its runtime;
- a period of a live group never changes (it would stall for up to the old period);
- a budget grows in place without a gap, and is never lowered while a group is live;
- a removed group counts against the node for some 25 ms more, so EINVAL is retried.

A group is live while a real-time thread is inside; others do not use its budget, and get next to
nothing there (``ordinary_limit``), which is set before a thread can enter. Only groups whose name
is our prefix and a pod UID with a number, or ``shared`` with one, are ever touched.
"""

import errno
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from daemons.rubicante.kernel.rt_budget import RtBudgets, limit_ordinary_threads
from daemons.rubicante.kernel.system import System, Wait
from daemons.rubicante.kernel.threads import Threads
from daemons.rubicante.mechanisms.back_end import UID, GroupName, Held
from daemons.rubicante.mechanisms.origins import Origins
from k40s.cpu.model import Server
from k40s.errors import KernelError
from k40s.units import NS_PER_US, Nanoseconds

DEAD_GROUP_SECONDS = 0.5
"""How long EINVAL may mean that a removed group still counts; 14 to 24 ms were seen.

The extender waits 0.7 s for the answer to a reservation."""
Group = GroupName | int
"""A reservation's own group, or the shared one of that number."""
_TASKS = "tasks"
_RETRY_SECONDS = 0.005
_REMOVAL_TRIES = 20


class BudgetGroups:
    """Makes, grows, fills and removes the groups with one prefix under ``root``.

    ``wait`` sleeps for some seconds or until the process stops.
    """

    def __init__(self, *, system: System, root: Path, prefix: str, wait: Wait) -> None:
        self._system = system
        self._root = root
        self._prefix = prefix
        self._wait = wait
        self._budgets = RtBudgets(system=system, wait=wait)
        number = "(0|[1-9][0-9]{0,3})"
        self._own = re.compile(rf"{re.escape(prefix)}-({UID.pattern})-{number}")
        self._shared = re.compile(rf"{re.escape(prefix)}-shared-{number}")
        self._files: dict[tuple[Group, str], Path] = {}

    def path(self, group: Group) -> Path:
        """The path of a group, whether or not it exists."""
        return self._file(group, "")

    def is_own(self, name: str) -> bool:
        """Whether a group of this name at the top belongs to k40s."""
        return any(pattern.fullmatch(name) for pattern in (self._own, self._shared))

    def names(self) -> tuple[GroupName, ...]:
        """All reservations' own groups that exist."""
        found = map(self._own.fullmatch, self._system.directories(self._root))
        return tuple(
            sorted(GroupName(pod_uid=match[1], index=int(match[2])) for match in found if match)
        )

    def numbers(self) -> tuple[int, ...]:
        """All shared groups that exist."""
        found = map(self._shared.fullmatch, self._system.directories(self._root))
        return tuple(sorted(int(match[1]) for match in found if match))

    def existing(self) -> tuple[Group, ...]:
        """All budget groups that exist."""
        return (*self.names(), *self.numbers())

    def is_live(self, group: Group) -> bool:
        """Whether a real-time thread is inside."""
        return any(self.is_real_time(tid) for tid in self.members(group))

    def is_real_time(self, tid: int) -> bool:
        """Whether a thread runs at a real-time priority; False when it died."""
        try:
            return self._system.policy(tid)[1] > 0
        except ProcessLookupError:
            return False

    def server(self, group: Group) -> Server | None:
        """A group's server; None when it does not exist or has no budget yet."""
        figures = self._budgets.figures(self.path(group))
        if figures is None or figures[0] <= 0:
            return None
        runtime, period = figures
        return Server(
            budget=Nanoseconds(runtime * NS_PER_US), period=Nanoseconds(period * NS_PER_US)
        )

    def members(self, group: Group) -> tuple[int, ...]:
        """TIDs inside; empty for a group that does not exist."""
        try:
            return tuple(map(int, self._system.read(self._file(group, _TASKS)).split()))
        except FileNotFoundError:
            return ()

    def ensure(self, group: Group, server: Server, *, patient: bool = False) -> bool:
        """Make the group give at least ``server``; True when something was written.

        A live group keeps a larger budget. Raises ``KernelError`` when the kernel refuses, and for
        another period of a live group. With ``patient``, EINVAL is retried for as long as it may
        be due to a group that was just removed.
        """
        budget, period = server.budget // NS_PER_US, server.period // NS_PER_US
        path = self.path(group)
        try:
            made = self.server(group) is None and self._make(group)
            made |= self.limit(group)
            has_budget, has_period = self._budgets.figures(path) or (0, period)
            if has_period != period:
                if self.is_live(group):
                    raise KernelError(f"{path.name}: the period of a live group stays")
                self._budgets.give(path, 0, period)
                has_budget = 0
            if has_budget == budget or (has_budget > budget and self.is_live(group)):
                return made
        except OSError as error:
            raise KernelError(f"{path.name}: {error}") from error
        patience = DEAD_GROUP_SECONDS if patient else 0.0
        self._budgets.give(path, budget, period, patience=patience)
        return True

    def limit(self, group: Group) -> bool:
        """Leave next to nothing to the group's ordinary threads; True when that was written."""
        return limit_ordinary_threads(self._system, self.path(group))

    def move_in(self, group: Group, tid: int) -> bool:
        """Move one thread, and no other of its process, into the group; False when it died."""
        return move(self._system, tid, self.path(group))

    def put_back(self, tid: int, cgroup: Path) -> bool:
        """Move one thread out of its group; False when it died or the cgroup is gone."""
        try:
            return move(self._system, tid, cgroup)
        except KernelError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return False
            raise

    def remove(self, group: Group) -> bool:
        """Remove a group that no thread is in; False while one is. An absent group is removed."""
        for attempt in range(_REMOVAL_TRIES):
            if attempt:
                self._wait(_RETRY_SECONDS)
            if self.members(group):
                return False
            try:
                self._system.remove_directory(self.path(group))
            except FileNotFoundError:
                break
            except OSError as error:
                if error.errno != errno.EBUSY:
                    raise KernelError(f"rmdir {self.path(group).name}: {error}") from error
            else:
                break
        else:
            return False
        self._files = {key: path for key, path in self._files.items() if key[0] != group}
        return True

    def idle(self, group: Group) -> None:
        """Take the budget from a group that holds no real-time thread any more."""
        self._budgets.give(self.path(group), 0, 0)

    def _make(self, group: Group) -> bool:
        try:
            self._system.make_directory(self.path(group))
        except FileExistsError:
            return False
        return True

    def _file(self, group: Group, file: str) -> Path:
        """Made once for each group and file: a path costs as much as reading it."""
        known = self._files.get((group, file))
        if known is None:
            owner = f"{group.pod_uid}-{group.index}" if isinstance(group, GroupName) else None
            name = f"{self._prefix}-{owner or f'shared-{group}'}"
            known = self._files[group, file] = Path(f"{self._root}/{name}/{file}")
        return known


def group_of(held: Held) -> Group:
    """The budget group of a reservation: a shared one, or its own."""
    number = held.reservation.group
    return held.name if number is None else number


class GroupMembers:
    """Each group is read once, and again after ``forget``. ``users`` are its reservations."""

    def __init__(
        self,
        users: Mapping[Group, Sequence[Held]],
        *,
        groups: BudgetGroups,
        threads: Threads,
        origins: Origins,
    ) -> None:
        self._users = users
        self._groups = groups
        self._threads = threads
        self._origins = origins
        self._inside: dict[Group, tuple[int, ...]] = {}
        self._pods: dict[int, str | None] = {}

    def inside(self, group: Group) -> tuple[int, ...]:
        """All threads in a group."""
        if group not in self._inside:
            self._inside[group] = self._groups.members(group)
        return self._inside[group]

    def of(self, held: Held) -> tuple[int, ...]:
        """The threads of a reservation's pod in its group."""
        group = group_of(held)
        inside = self.inside(group)
        if not isinstance(group, int):
            return inside
        return tuple(tid for tid in inside if self.owner(tid, group) == held)

    def owner(self, tid: int, number: int) -> Held | None:
        """The reservation of a thread in a shared group.

        It is its pod's; of several, the one on the core that the thread is pinned to. A thread
        whose pod is not known belongs to the reservation on its core.
        """
        if tid not in self._pods:
            self._pods[tid] = self._origins.pod(tid)
        users, pod = self._users.get(number, []), self._pods[tid]
        if len(users) == 1 and pod is None:
            return users[0]
        candidates = users if pod is None else [h for h in users if h.name.pod_uid == pod]
        if pod is not None and len(candidates) <= 1:
            return candidates[0] if candidates else None
        affinity = self._threads.affinity(tid)
        on_core = [h for h in candidates if affinity == {h.reservation.core}]
        return next(iter(on_core or (candidates if pod is not None else ())), None)

    def add(self, tid: int, held: Held) -> None:
        """A thread of a reservation's pod enters its group."""
        group = group_of(held)
        self._inside[group] = (*self.inside(group), tid)
        self._pods[tid] = held.name.pod_uid

    def forget(self) -> None:
        """Threads have left groups."""
        self._inside = {}


def move(system: System, tid: int, cgroup: Path) -> bool:
    """Move one thread to a cgroup of the cpu hierarchy; False when it died meanwhile."""
    try:
        system.write(cgroup / "tasks", str(tid))
    except ProcessLookupError:
        return False
    except OSError as error:
        raise KernelError(f"moving thread {tid} to {cgroup.name}: {error}") from error
    return True

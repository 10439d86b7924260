"""Budget groups: cgroups (v1, cpu controller) of our own, each a server (Q, P) for few threads.

They lie at the top of the cpu hierarchy, so that one level alone throttles, and a thread is in
one of them by its TID while all its other cgroups stay those of its container. A group belongs to
one reservation, or is shared by reservations on different cores. The kernel's rules that shape
this module:

- a new group has runtime 0, and its period is set before its runtime;
- a period of a live group never changes (it would stall for up to the old period);
- a budget grows in place without a gap, and is never lowered while a group is live;
- a removed group counts against the node for some 25 ms more, so EINVAL is retried.

A group is live while a real-time thread is inside; others do not use its budget. Only groups
whose name is our prefix and a pod UID with a number, or ``shared`` with one, are ever touched.
"""

import errno
import re
from collections.abc import Callable
from pathlib import Path

from daemons.rubicante.kernel.mechanism import UID, GroupName
from daemons.rubicante.kernel.system import System
from k40s.cpu.model import Server
from k40s.errors import KernelError
from k40s.units import NS_PER_US, Nanoseconds

DEAD_GROUP_SECONDS = 0.5
"""How long EINVAL may mean that a removed group still counts; 14 to 24 ms were seen.

The extender waits 0.7 s for the answer to a reservation."""
Group = GroupName | int
"""A reservation's own group, or the shared one of that number."""
_TASKS = "tasks"
_RUNTIME = "cpu.rt_runtime_us"
_PERIOD = "cpu.rt_period_us"
_RETRY_SECONDS = 0.005
_REMOVAL_TRIES = 20


class BudgetGroups:
    """Makes, grows, fills and removes the groups with one prefix under ``root``.

    ``wait`` sleeps for some seconds or until the process stops.
    """

    def __init__(
        self, *, system: System, root: Path, prefix: str, wait: Callable[[float], object]
    ) -> None:
        self._system = system
        self._root = root
        self._prefix = prefix
        self._wait = wait
        number = "(0|[1-9][0-9]{0,3})"
        self._own = re.compile(rf"{re.escape(prefix)}-({UID.pattern})-{number}")
        self._shared = re.compile(rf"{re.escape(prefix)}-shared-{number}")
        self._files: dict[tuple[Group, str], Path] = {}

    def path(self, group: Group) -> Path:
        """Where a group is, or would be."""
        return self._file(group, "")

    def is_ours(self, name: str) -> bool:
        """Whether a group of this name at the top is one of ours."""
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
        """What a group gives; None when it does not exist or has no budget yet."""
        try:
            runtime, period = self._figures(group)
        except FileNotFoundError:
            return None
        if runtime <= 0:
            return None
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
        try:
            made = self.server(group) is None and self._make(group)
            has_budget, has_period = self._figures(group)
            if has_period != period:
                if self.is_live(group):
                    raise KernelError(f"{self.path(group).name}: the period of a live group stays")
                self._set(group, _RUNTIME, 0)
                self._set(group, _PERIOD, period)
                has_budget = 0
            if has_budget == budget or (has_budget > budget and self.is_live(group)):
                return made
            self._set_runtime(group, budget, DEAD_GROUP_SECONDS if patient else 0.0)
        except OSError as error:
            raise KernelError(f"{self.path(group).name}: {error}") from error
        return True

    def take_in(self, group: Group, tid: int) -> bool:
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
        try:
            self._set(group, _RUNTIME, 0)
        except FileNotFoundError:
            return
        except OSError as error:
            raise KernelError(f"{self.path(group).name}: {error}") from error

    def _make(self, group: Group) -> bool:
        try:
            self._system.make_directory(self.path(group))
        except FileExistsError:
            return False
        return True

    def _figures(self, group: Group) -> tuple[int, int]:
        return (
            int(self._system.read(self._file(group, _RUNTIME))),
            int(self._system.read(self._file(group, _PERIOD))),
        )

    def _file(self, group: Group, file: str) -> Path:
        """Made once for each group and file: a path costs as much as reading it."""
        known = self._files.get((group, file))
        if known is None:
            owner = f"{group.pod_uid}-{group.index}" if isinstance(group, GroupName) else None
            name = f"{self._prefix}-{owner or f'shared-{group}'}"
            known = self._files[group, file] = Path(f"{self._root}/{name}/{file}")
        return known

    def _set_runtime(self, group: Group, runtime: int, patience: float) -> None:
        waited = 0.0
        while True:
            try:
                return self._set(group, _RUNTIME, runtime)
            except OSError as error:
                if error.errno != errno.EINVAL or waited >= patience:
                    raise
            self._wait(_RETRY_SECONDS)
            waited += _RETRY_SECONDS

    def _set(self, group: Group, file: str, value: int) -> None:
        path = self._file(group, file)
        if int(self._system.read(path)) == value:
            return
        self._system.write(path, str(value))
        if (kept := int(self._system.read(path))) != value:
            raise KernelError(f"{path}: wrote {value}, the kernel kept {kept}")


def move(system: System, tid: int, cgroup: Path) -> bool:
    """Move one thread to a cgroup of the cpu hierarchy; False when it died meanwhile."""
    try:
        system.write(cgroup / "tasks", str(tid))
    except ProcessLookupError:
        return False
    except OSError as error:
        raise KernelError(f"moving thread {tid} to {cgroup.name}: {error}") from error
    return True

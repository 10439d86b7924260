"""Cgroups of reservations' containers, with their budgets and real-time threads.

The enforcer confirms a container's cgroup when it enforces a thread. Before that, a new process
guesses it by its threads or its budget: only to see what the kernel gives, and to take it back when
the pod ends.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path

from daemons.rubicante.kernel.pod_cgroups import TASKS_V1, PodTree
from daemons.rubicante.kernel.rt_budget import RtBudgets
from daemons.rubicante.kernel.system import System
from daemons.rubicante.kernel.threads import NAME_BYTES, Threads, is_deadline
from daemons.rubicante.mechanisms.back_end import GroupName, Held
from k40s.cpu.model import Server
from k40s.errors import KernelError
from k40s.units import NS_PER_US, Nanoseconds


class ContainerCgroups:
    """Each value is read once, and again after this object has changed it.

    ``book`` are all reservations, ``confirmed`` the cgroups that the enforcer has confirmed, which
    outlive this.
    """

    def __init__(
        self,
        book: Sequence[Held],
        *,
        system: System,
        files: RtBudgets,
        tree: PodTree,
        threads: Threads,
        confirmed: dict[GroupName, Path],
    ) -> None:
        self._book = tuple(book)
        self._system = system
        self._files = files
        self._tree = tree
        self._threads = threads
        self._confirmed = confirmed
        self._guessed: dict[GroupName, Path | None] = {}
        self._tids: dict[Path, tuple[int, ...]] = {}
        self._members: dict[Path, tuple[int, ...]] = {}
        for name in confirmed.keys() - {held.name for held in book}:
            del confirmed[name]

    def confirm(self, held: Held, cgroup: Path) -> None:
        """This is the cgroup of a reservation's container.

        Raises ``KernelError`` where it serves another one: made under another setting, they may be
        on several cores, and one cgroup has one budget for all.
        """
        if any(path == cgroup for name, path in self._confirmed.items() if name != held.name):
            raise KernelError(f"{cgroup.name} serves another reservation")
        self._confirmed[held.name] = cgroup

    def is_confirmed(self, held: Held) -> bool:
        """Whether the enforcer has confirmed this cgroup."""
        return held.name in self._confirmed

    def of(self, held: Held) -> Path | None:
        """The cgroup of a reservation's container, as far as is known."""
        found = self._confirmed.get(held.name)
        if found is not None:
            return found
        if held.name not in self._guessed:
            self._guessed[held.name] = self._guess(held)
        return self._guessed[held.name]

    def known(self) -> tuple[AbstractSet[Path], AbstractSet[str]]:
        """Cgroups of reservations, and pods (UIDs) of which not all are confirmed."""
        found = {path for held in self._book if (path := self.of(held)) is not None}
        unclear = {held.name.pod_uid for held in self._book if not self.is_confirmed(held)}
        return found, unclear

    def server(self, held: Held) -> Server | None:
        """Its cgroup's server; None without a budget, or without a cgroup."""
        path = self.of(held)
        return None if path is None else self._budget(path)

    def give(self, held: Held, budget: int, period: int, *, patience: float) -> None:
        """Write a budget, in microseconds; 0 takes it and its period away, if the cgroup is there.

        One that has a budget in another period is emptied first: no real-time thread is inside.
        """
        path = self.of(held)
        has = None if path is None else self._files.read(path)
        if path is None or has is None:
            return
        if not budget:
            self._files.take(path)
            self.forget(held)
            return
        if has[0] and has[1] != period:
            self._files.give(path, 0, period)
        self._files.give(path, budget, period, patience=patience)
        self.forget(held)

    def tidy(self, held: Held) -> None:
        """Give back the period too of a cgroup whose budget a process took that died just then."""
        pod = self._tree.pod(held.name.pod_uid)
        period = held.reservation.server.period // NS_PER_US
        for path in () if pod is None else self._tree.containers(pod).values():
            if self._files.read(path) == (0, period):
                self._files.take(path)

    def tids(self, held: Held) -> tuple[int, ...]:
        """Threads in its cgroup, not in those below."""
        path = self.of(held)
        return () if path is None else self._inside(path)

    def real_time(self, held: Held) -> tuple[int, ...]:
        """Threads in it that use its budget."""
        path = self.of(held)
        return () if path is None else self._real_time(path)

    def _real_time(self, path: Path) -> tuple[int, ...]:
        if path not in self._members:
            inside = () if self._budget(path) is None else self._inside(path)
            self._members[path] = tuple(tid for tid in inside if self._uses_budget(tid))
        return self._members[path]

    def _budget(self, path: Path) -> Server | None:
        figures = self._files.read(path)
        if figures is None or figures[0] <= 0:
            return None
        budget, period = figures
        return Server(
            budget=Nanoseconds(budget * NS_PER_US), period=Nanoseconds(period * NS_PER_US)
        )

    def forget(self, held: Held) -> None:
        """Forget its threads, which have changed."""
        path = self.of(held)
        if path is not None:
            self._tids.pop(path, None)
            self._members.pop(path, None)

    def _inside(self, path: Path) -> tuple[int, ...]:
        if path not in self._tids:
            try:
                self._tids[path] = tuple(map(int, self._system.read(path / TASKS_V1).split()))
            except FileNotFoundError:
                return ()
        return self._tids[path]

    def _uses_budget(self, tid: int) -> bool:
        policy = self._threads.policy(tid)
        return policy is not None and policy[1] > 0 and not is_deadline(policy[0])

    def _guess(self, held: Held) -> Path | None:
        """One with a task's thread in it; else with the book's period, and no larger budget."""
        pod = self._tree.pod(held.name.pod_uid)
        if pod is None:
            return None
        taken = {*self._confirmed.values(), *self._guessed.values()}
        free = [path for path in self._tree.containers(pod).values() if path not in taken]
        names = {task.name[:NAME_BYTES] for task in held.reservation.tasks}
        for path in free:
            found = map(self._threads.find, self._real_time(path))
            if any(thread is not None and thread.name in names for thread in found):
                return path
        wanted = held.reservation.server
        for path in free:
            has = self._budget(path)
            if has is not None and has.period == wanted.period and has.budget <= wanted.budget:
                return path
        return None

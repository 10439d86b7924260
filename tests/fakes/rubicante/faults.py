"""Faults at chosen writes: every write to the kernel and to the store is a numbered point.

The points of a story are found by running it once and counting, so none can be forgotten.
"""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path

from daemons.rubicante.book.book import BookStore
from daemons.rubicante.kernel.system import System

Fault = Callable[[str], None]
"""Raises, kills, or does nothing; its argument is what is about to be written."""


class Points:
    """Counts writes; ``fault`` acts before the write with number ``at`` (from 1), or ``every`` one.

    To die before a write is to die after the one before it: nothing lies between.
    """

    def __init__(
        self, *, at: int = 0, fault: Fault = lambda _what: None, every: bool = False
    ) -> None:
        self.names: list[str] = []
        self._at = at
        self._fault = fault
        self._every = every

    def pass_by(self, what: str, act: Callable[[], None]) -> None:
        """One write."""
        self.names.append(what)
        if self._every or len(self.names) == self._at:
            self._fault(what)
        act()


class FaultySystem:
    """Implements ``System`` over another one."""

    def __init__(self, system: System, points: Points) -> None:
        self._system = system
        self._points = points
        self.read = system.read
        self.directories = system.directories
        self.policy = system.policy
        self.affinity = system.affinity
        self.online = system.online

    def write(self, path: Path, text: str) -> None:
        self._points.pass_by(f"{path.name}={text}", lambda: self._system.write(path, text))

    def make_directory(self, path: Path) -> None:
        self._points.pass_by("mkdir", lambda: self._system.make_directory(path))

    def remove_directory(self, path: Path) -> None:
        self._points.pass_by("rmdir", lambda: self._system.remove_directory(path))

    def set_policy(self, tid: int, policy: int, priority: int) -> None:
        def act() -> None:
            self._system.set_policy(tid, policy, priority)

        self._points.pass_by(f"policy {policy} {priority}", act)

    def set_affinity(self, tid: int, cores: AbstractSet[int]) -> None:
        self._points.pass_by("affinity", lambda: self._system.set_affinity(tid, cores))


class FaultyStore:
    """Implements ``BookStore`` over another one."""

    def __init__(self, store: BookStore, points: Points) -> None:
        self._store = store
        self._points = points
        self.entries = store.entries

    def write(self, changes: Mapping[str, str | None]) -> None:
        keys = ",".join(key.rpartition("-")[2] for key in changes)
        self._points.pass_by(f"store {keys}", lambda: self._store.write(changes))

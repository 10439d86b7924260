"""Foreign real-time threads on the node's real-time cores: reported, never changed.

Kernel threads are left out. Any other real-time thread that may run on such a core can take
bandwidth that is reserved there (docs/enforcement.md).
"""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from daemons.rubicante.kernel.system import System, list_if_readable

_PF_KTHREAD = 0x00200000
_FLAGS, _RT_PRIORITY, _POLICY = 6, 37, 38
"""Indices of fields in /proc/PID/stat, counted from the first field after the name."""
_POLICIES = {1: "SCHED_FIFO", 2: "SCHED_RR", 6: "SCHED_DEADLINE"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignThread:
    """One such thread."""

    tid: int
    name: str
    policy: str
    priority: int

    @property
    def text(self) -> str:
        """For warnings."""
        level = f" {self.priority}" if self.priority else ""
        return f"thread {self.tid} ({self.name}) runs as {self.policy}{level} on our CPUs"


class ForeignThreads:
    """Reads all of ``proc``: tens of milliseconds on a large node, so not often."""

    def __init__(self, *, system: System, proc: Path, cores: AbstractSet[int]) -> None:
        self._system = system
        self._proc = proc
        self._cores = cores

    def find(self, enforced: AbstractSet[int]) -> tuple[ForeignThread, ...]:
        """All but ``enforced`` (TIDs)."""
        found = (self._read(path) for path in self._threads())
        return tuple(one for one in found if one is not None and one.tid not in enforced)

    def _threads(self) -> Iterator[Path]:
        for process in list_if_readable(self._system, self._proc):
            if process.isdecimal():
                tasks = self._proc / process / "task"
                yield from (tasks / tid for tid in list_if_readable(self._system, tasks))

    def _read(self, path: Path) -> ForeignThread | None:
        try:
            head, _, tail = self._system.read(path / "stat").rpartition(")")
            fields = tail.split()
            policy = _POLICIES.get(int(fields[_POLICY]))
            if policy is None or int(fields[_FLAGS]) & _PF_KTHREAD:
                return None
            tid = int(path.name)
            if self._cores.isdisjoint(self._system.affinity(tid)):
                return None
        except (OSError, ValueError, IndexError):
            return None  # it has just ended
        return ForeignThread(
            tid=tid,
            name=head.partition("(")[2],
            policy=policy,
            priority=int(fields[_RT_PRIORITY]),
        )

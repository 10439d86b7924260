"""Counts a node's runnable threads, where the kernel only counts the machine's.

Needed for a node that owns a part of its machine's CPUs: its threads are those that may run on no
other CPU (kubelet confines pods so); any other thread only passes by, and is moved on when it has
to wait. It reads /proc/PID/task/TID/stat, those that were runnable last time first, and stops as
soon as all that the kernel has counted are found.
"""

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from k40s.runtime.settings import parse_cpu_list

_STATE = 0
_THREADS = 17
_PROCESSOR = 36
"""Columns of stat after the name in parentheses."""
_LEAST_SEEN = 0.25


@dataclass(slots=True, kw_only=True)
class RunnableThreads:
    """Threads in state R that are confined to ``cpus``. The caller's own does not count."""

    cpus: Collection[int]
    root: Path = Path("/proc")
    _last: tuple[str, ...] = ()

    def count(self, machine: int) -> float | None:
        """How many there are; ``machine`` is how many are runnable on all CPUs.

        Those that are gone before they are seen are taken to be spread like the others. None where
        too few can be seen, as from inside a PID namespace.
        """
        found: dict[str, bool] = {}
        try:
            own = os.readlink(self.root / "thread-self")  # noqa: PTH115  # as text, by PID namespace
            for path, columns in self._stats():
                if columns[_STATE] == b"R" and path != own:
                    found[path] = int(columns[_PROCESSOR]) in self.cpus and self._confined(path)
                    if len(found) >= machine:
                        break
        except (OSError, ValueError, IndexError):
            return None
        self._last = tuple(found)
        if not found or len(found) < machine * _LEAST_SEEN:
            return None
        return machine * sum(found.values()) / len(found)

    def _confined(self, path: str) -> bool:
        status = self._read(f"{path}/status")
        _, _, rest = status.partition(b"Cpus_allowed_list:")
        allowed = rest.partition(b"\n")[0].strip()
        return bool(allowed) and set(self.cpus).issuperset(parse_cpu_list(allowed.decode()))

    def _stats(self) -> Iterator[tuple[str, list[bytes]]]:
        for path in self._last:
            yield path, self._columns(path)
        for process in os.listdir(self.root):  # noqa: PTH208  # thousands of names per second
            if not process.isdigit():
                continue
            columns = self._columns(process)
            if columns[_THREADS] == b"1":
                yield f"{process}/task/{process}", columns
                continue
            for thread in self._threads(process):
                path = f"{process}/task/{thread}"
                yield path, self._columns(path)

    def _threads(self, process: str) -> list[str]:
        try:
            return os.listdir(self.root / process / "task")  # noqa: PTH208  # as above
        except FileNotFoundError:
            return []

    def _columns(self, path: str) -> list[bytes]:
        """The columns after the name; those of a dead thread when it has ended."""
        text = self._read(f"{path}/stat")
        return text.rpartition(b") ")[2].split() if text else _ENDED

    def _read(self, path: str) -> bytes:
        """The beginning of a file; nothing when the thread has ended."""
        try:
            descriptor = os.open(f"{self.root}/{path}", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return b""
        try:
            return os.read(descriptor, _LONGEST)
        except ProcessLookupError:
            return b""
        finally:
            os.close(descriptor)


_LONGEST = 4096
_ENDED = [b"X", *[b"0"] * 16, b"1", *[b"0"] * 32]

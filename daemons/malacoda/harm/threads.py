"""Finds the pods whose pressure is that of real-time threads alone.

A thread of ordinary priority waits whenever the node is busy, and that is no harm. So a pod is left
out while one of its ordinary threads runs; one that only sleeps, as the sandbox's own and many a
main thread do, adds nothing. Processes are found in /proc, as files of cgroups show none of them to
a process in a PID namespace of its own.
"""

import os
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from k40s.node_agent.kubepods import pod_uid, static_pod_hash
from k40s.units import NS_PER_MS, Clock, Nanoseconds

_CHUNK = 4096
_POLICY = 38
"""Column of stat after the name in parentheses."""
_REAL_TIME = frozenset({b"1", b"2", b"6"})
"""SCHED_FIFO, SCHED_RR, SCHED_DEADLINE."""
_UNIFIED = b"0::"
_LONGEST = Nanoseconds(100 * NS_PER_MS)
_MOST_THREADS = 64
"""Threads of one pod; one with more has no gauge."""


@dataclass(slots=True, kw_only=True)
class RealTimePods:
    """Call ``find`` every few seconds. ``missed`` counts the calls that were given up."""

    clock: Clock
    root: Path = Path("/proc")
    longest: Nanoseconds = _LONGEST
    missed: int = 0
    _slices: dict[str, bytes] = field(default_factory=dict)

    def find(self, uids: Collection[str]) -> frozenset[str]:
        """Those of these pods that have real-time threads, and no ordinary one that has run.

        Only processes in the pod's cgroup of cgroup v2 count: pressure is of these. An ordinary
        thread that was not there at the last call may have run. None is found where /proc cannot be
        read, or takes too long.
        """
        if not uids:
            self._slices.clear()
            return frozenset()
        try:
            threads = self._threads(frozenset(uids))
        except OSError:
            threads = None
        if threads is None:
            self.missed += 1
            self._slices.clear()
            return frozenset()
        before, self._slices = self._slices, {}
        return frozenset(uid for uid in threads if self._is_real_time(threads[uid], before))

    def _threads(self, uids: frozenset[str]) -> dict[str, list[str]] | None:
        """Paths of each pod's threads; None where that takes too long."""
        end = self.clock() + self.longest
        found: dict[str, list[str]] = {}
        for process in os.listdir(self.root):  # noqa: PTH208  # hundreds of names
            if self.clock() >= end:
                return None
            if not process.isdigit():
                continue
            uid = _pod_of(self._read(f"{process}/cgroup"))
            if uid in uids:
                found.setdefault(uid, []).extend(self._tasks(process))
        return found

    def _tasks(self, process: str) -> list[str]:
        try:
            threads = os.listdir(self.root / process / "task")  # noqa: PTH208  # as above
        except (FileNotFoundError, ProcessLookupError):
            return []
        return [f"{process}/task/{thread}" for thread in threads]

    def _is_real_time(self, threads: list[str], before: dict[str, bytes]) -> bool:
        if len(threads) > _MOST_THREADS:
            return False
        real_time, ran = False, False
        for path in threads:
            columns = self._read(f"{path}/stat").rpartition(b") ")[2].split()
            if len(columns) <= _POLICY:
                continue  # it has ended
            if columns[_POLICY] in _REAL_TIME:
                real_time = True
                continue
            slices = self._read(f"{path}/schedstat")
            self._slices[path] = slices
            ran = ran or not slices or before.get(path) != slices
        return real_time and not ran

    def _read(self, path: str) -> bytes:
        """A file; nothing when the thread has ended, or it may not be read."""
        try:
            descriptor = os.open(f"{self.root}/{path}", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return b""
        try:
            return os.read(descriptor, _CHUNK)
        except OSError:
            return b""
        finally:
            os.close(descriptor)


def _pod_of(text: bytes) -> str | None:
    """Read /proc/PID/cgroup: the uid of the pod in whose cgroup of v2 the process is.

    The outermost one: below it, a pod names cgroups as it likes.
    """
    for line in text.splitlines():
        if line.startswith(_UNIFIED):
            for name in line.decode(errors="replace").split("/")[1:]:
                uid = pod_uid(name) or static_pod_hash(name)
                if uid is not None:
                    return uid
    return None

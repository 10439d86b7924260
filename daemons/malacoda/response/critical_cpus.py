"""On which CPUs critical threads may run: a culprit is moved off these, if others are left.

A thread that may run on every CPU of the node leaves none, so an unpinned SCHED_DEADLINE task is
never in the way of a pod that is moved. Processes are found in /proc, as files of cgroups show none
of them to a process in a PID namespace of its own.
"""

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from daemons.malacoda.sampling.pod_cgroups import outermost_pod
from k40s.units import NS_PER_MS, Clock, Nanoseconds, parse_cpu_list

_CHUNK = 4096
_LONGEST_STATUS = 1 << 20
"""Holds the most supplementary groups that a thread can have (65536), listed before its CPUs."""
_POLICY = 38
"""Column of stat after the name in parentheses."""
_REAL_TIME = frozenset({b"1", b"2", b"6"})
"""SCHED_FIFO, SCHED_RR, SCHED_DEADLINE."""
_ALLOWED = b"Cpus_allowed_list:"
_LONGEST = Nanoseconds(100 * NS_PER_MS)


@dataclass(slots=True, kw_only=True)
class CriticalCpus:
    """``find`` scans /proc; it gives up after ``longest``."""

    clock: Clock
    root: Path = Path("/proc")
    longest: Nanoseconds = _LONGEST

    def find(
        self, pods: Collection[str], *, real_time: Collection[str] = ()
    ) -> frozenset[int] | None:
        """The CPUs on which threads of these pods may run; None where that is not known.

        Of the pods that are ``real_time`` as well, threads with a real-time policy alone count; one
        that has none yet is not known. Nor is a pod without any thread.
        """
        end = self.clock() + self.longest
        missing, found = set(pods), set[int]()
        try:
            for process in os.listdir(self.root):  # noqa: PTH208  # hundreds of names
                if self.clock() >= end:
                    return None
                uid = outermost_pod(self._read(f"{process}/cgroup")) if process.isdigit() else None
                if uid is None or uid not in pods:
                    continue
                cpus = self._of_process(process, alone=uid in real_time, end=end)
                if cpus is None:
                    return None
                if cpus:
                    missing.discard(uid)
                    found |= cpus
        except (OSError, ValueError):
            return None
        return None if missing else frozenset(found)

    def _of_process(self, process: str, *, alone: bool, end: int) -> set[int] | None:
        """Of all threads, or of those with a real-time policy ``alone``; None after the ``end``."""
        found: set[int] = set()
        try:
            threads = os.listdir(self.root / process / "task")  # noqa: PTH208  # as above
        except (FileNotFoundError, ProcessLookupError):
            return found
        for thread in threads:
            if self.clock() >= end:
                return None
            path = f"{process}/task/{thread}"
            if alone:
                columns = self._read(f"{path}/stat").rpartition(b") ")[2].split()
                if len(columns) <= _POLICY or columns[_POLICY] not in _REAL_TIME:
                    continue
            status = self._read(f"{path}/status", _LONGEST_STATUS)
            allowed = status.partition(_ALLOWED)[2].partition(b"\n")[0].strip()
            if allowed:
                found.update(parse_cpu_list(allowed.decode("ascii")))
        return found

    def _read(self, path: str, most: int = _CHUNK) -> bytes:
        """A file, or about ``most`` of it; nothing when the thread has ended."""
        try:
            descriptor = os.open(f"{self.root}/{path}", os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, ProcessLookupError):
            return b""
        try:
            text = os.read(descriptor, _CHUNK)
            whole = len(text) < _CHUNK or most == _CHUNK
            return text if whole else text + os.read(descriptor, most)
        except ProcessLookupError:
            return b""
        finally:
            os.close(descriptor)

"""Counts a node's runnable threads, where the kernel only counts the machine's.

Needed for a node that owns part of its machine's CPUs. Its threads are those with an affinity to
its CPUs alone (kubelet sets it for pods); the kernel migrates any other thread that has to wait.
It reads /proc/PID/task/TID/stat, first of the threads that were runnable last time, and stops as
soon as all that the kernel has counted are found. Pods may have threads without a limit: a scan
ends when it has cost ``most`` CPU time, and the next one waits until they cost no more than
``duty`` of a CPU together. Else a tenant's sleeping threads would make the monitor the hazard.
"""

import os
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from daemons.malacoda.sampling.cgroup_text import outermost_cgroup
from k40s.units import NS_PER_MS, NS_PER_S, Clock, Nanoseconds, parse_cpu_list

_STATE = 0
_THREADS = 17
_PROCESSOR = 36
"""Columns of stat after the name in parentheses."""
_LEAST_SEEN = 0.25
_CHUNK = 4096
_LONGEST_STATUS = 1 << 20
"""Holds the most supplementary groups that a thread can have (65536), listed before its CPUs."""
_MOST_OF_SCAN = Nanoseconds(50 * NS_PER_MS)
"""About 3000 threads; a status of 65536 groups takes the kernel 17 ms."""
_DUTY = 0.02
_STALE = 10 * NS_PER_S
"""For so long the node's part of the machine's runnable threads is that of the last scan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnableCount:
    """Runnable threads of the node, and those among them in each of some cgroups, by name."""

    node: float
    groups: Mapping[str, float]


@dataclass(slots=True, kw_only=True)
class _Scan:
    """Runnable threads by path, and whether each is the node's; None if it gave up.

    ``part`` of them are, None where too few were seen. ``fresh`` until they were counted by group.
    """

    at: int
    threads: dict[str, bool] | None
    part: float | None
    fresh: bool = True


@dataclass(slots=True, kw_only=True)
class RunnableThreads:
    """Threads in state R with an affinity to ``cpus`` alone. The caller's own does not count.

    Both stages of the monitor share one: the second counts by group what the first has scanned.
    ``spent`` is the caller's CPU time.
    """

    cpus: Collection[int]
    root: Path = Path("/proc")
    most: Nanoseconds = _MOST_OF_SCAN
    duty: float = _DUTY
    clock: Clock = time.monotonic_ns
    spent: Clock = time.thread_time_ns
    _last: tuple[str, ...] = ()
    _scan: _Scan | None = None
    _rests_until: int | None = None

    @property
    def ready(self) -> bool:
        """Whether threads can be counted by group: ``count`` has just scanned, or no scan rests."""
        return (self._scan is not None and self._scan.fresh) or not self._rests

    @property
    def _rests(self) -> bool:
        return self._rests_until is not None and self.clock() < self._rests_until

    def count(self, machine: int) -> float | None:
        """The number of runnable threads; ``machine`` is the number on all CPUs.

        Those that end before they are seen are assumed to be spread like the others, and while
        scans rest all are spread like those of the last one. None where too few can be seen, as
        from inside a PID namespace, and where a scan costs too much.
        """
        if not self._rests:
            self._look(machine)
        scan = self._scan
        if scan is None or scan.part is None or self.clock() - scan.at > _STALE:
            return None
        return machine * scan.part

    def count_by_group(self, machine: int, groups: Collection[str]) -> RunnableCount | None:
        """The same, and how many are seen in the cgroups of these names, and in those below.

        A thread counts in the outermost of them alone: below it, a pod names cgroups as it likes.
        Those that end before they are seen are the node's and no group's: nobody is charged with
        another's. None while scans rest, unless ``count`` has just made one.

        Where most have ended before they are seen, only those that are seen count: a machine with
        a thread or two that come and go is no reason to know nothing.
        """
        if (self._scan is None or not self._scan.fresh) and not self._rests:
            self._look(machine)
        scan = self._scan
        if scan is None or not scan.fresh or scan.threads is None:
            return None
        scan.fresh = False
        if scan.part is None and not self._sees_host():
            return None
        own = [path for path, is_own in scan.threads.items() if is_own]
        inside = self._grouped(own, groups)
        if inside is None:
            return None
        node = float(len(own))
        return RunnableCount(
            node=node if scan.part is None else max(node, machine * scan.part), groups=inside
        )

    def _grouped(self, paths: Sequence[str], groups: Collection[str]) -> dict[str, float] | None:
        """How many of these threads lie in each group; None where that costs too much."""
        inside: dict[str, float] = dict.fromkeys(groups, 0)
        begun = self.spent()
        for path in paths:
            if self.spent() - begun >= self.most:
                self._rest(self.most)
                return None
            name = outermost_cgroup(self._cgroups(path), inside)
            if name is not None:
                inside[name] += 1
        self._rest(self.spent() - begun)
        return inside

    def _look(self, machine: int) -> None:
        """Scan, and rest afterwards by what that has cost."""
        begun = self.spent()
        threads = self._find(machine, begun + self.most)
        part = None
        if threads and len(threads) >= machine * _LEAST_SEEN:
            part = sum(threads.values()) / len(threads)
        self._scan = _Scan(at=self.clock(), threads=threads, part=part)
        self._rests_until = self._scan.at
        self._rest(self.spent() - begun)

    def _rest(self, cost: int) -> None:
        self._rests_until = (self._rests_until or self.clock()) + round(cost / self.duty)

    def _sees_host(self) -> bool:
        """Whether all processes are seen here: then the kernel's own are, too."""
        try:
            return self._read("2/stat").startswith(_KERNEL_THREADS)
        except OSError:
            return False

    def _find(self, machine: int, end: int) -> dict[str, bool] | None:
        """Runnable threads, and whether each has an affinity to ``cpus`` alone."""
        found: dict[str, bool] = {}
        try:
            own = os.readlink(self.root / "thread-self")  # noqa: PTH115  # as text, by PID namespace
            for path, columns in self._stats():
                if self.spent() >= end:
                    break
                if columns[_STATE] == b"R" and path != own:
                    found[path] = int(columns[_PROCESSOR]) in self.cpus and self._confined(path)
                    if len(found) >= machine:
                        break
        except (OSError, ValueError, IndexError):
            return None
        self._last = tuple(found)
        return found

    def _cgroups(self, path: str) -> bytes:
        """Its cgroups, as text; nothing when the thread has ended."""
        try:
            return self._read(f"{path}/cgroup")
        except OSError:
            return b""

    def _confined(self, path: str) -> bool:
        status = self._read(f"{path}/status", _LONGEST_STATUS)
        _, _, rest = status.partition(b"Cpus_allowed_list:")
        allowed = rest.partition(b"\n")[0].strip()
        return bool(allowed) and set(self.cpus).issuperset(parse_cpu_list(allowed.decode()))

    def _stats(self) -> Iterator[tuple[str, list[bytes]]]:
        """Small processes first: one with thousands of threads hides its own alone."""
        larger: list[tuple[int, str]] = []
        for path in self._last:
            yield path, self._columns(path)
        for process in os.listdir(self.root):  # noqa: PTH208  # thousands of names per second
            if not process.isdigit():
                continue
            columns = self._columns(process)
            if columns[_THREADS] == b"1":
                yield f"{process}/task/{process}", columns
            else:
                larger.append((int(columns[_THREADS]), process))
        for _, process in sorted(larger):
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

    def _read(self, path: str, most: int = _CHUNK) -> bytes:
        """A file, or about ``most`` of it; nothing when the thread has ended."""
        try:
            descriptor = os.open(f"{self.root}/{path}", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return b""
        try:
            text = os.read(descriptor, _CHUNK)
            whole = len(text) < _CHUNK or most == _CHUNK
            return text if whole else text + os.read(descriptor, most)
        except ProcessLookupError:
            return b""
        finally:
            os.close(descriptor)


_KERNEL_THREADS = b"2 (kthreadd) "
_ENDED = [b"X", *[b"0"] * 16, b"1", *[b"0"] * 32]

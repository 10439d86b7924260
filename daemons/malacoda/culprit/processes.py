"""What a suspect's processes are, for the log: asked once, when the pod is named.

psutil reads them: this is no hot path, and it knows each kernel's formats. Open files and I/O of
other users' processes take a privilege that the monitor has not; they are None then.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from daemons.malacoda.sampling.pod_cgroups import outermost_pod
from k40s.units import NS_PER_MS, Clock, Nanoseconds

_MOST = 3
"""Processes that are told of, those with the most CPU time."""
_LONGEST = Nanoseconds(100 * NS_PER_MS)


@dataclass(slots=True, kw_only=True)
class PodProcesses:
    """``find`` looks through /proc for ``longest`` at most. psutil has one /proc for a program."""

    clock: Clock
    root: Path = Path("/proc")
    longest: Nanoseconds = _LONGEST

    def __post_init__(self) -> None:
        psutil.PROCFS_PATH = str(self.root)

    def find(self, uid: str) -> list[dict[str, object]]:
        """The pod's largest processes by CPU time, as fields of a log line."""
        end = self.clock() + self.longest
        found = []
        for pid in psutil.pids():
            if self.clock() >= end:
                break
            if self._pod_of(pid) == uid:
                try:
                    found.append(_facts(psutil.Process(pid)))
                except (psutil.Error, OSError, RuntimeError, ValueError):
                    continue  # it has ended, or psutil does not know this kernel's format
        found.sort(key=lambda facts: facts[0], reverse=True)
        return [facts for _, facts in found[:_MOST]]

    def _pod_of(self, pid: int) -> str | None:
        try:
            return outermost_pod((self.root / str(pid) / "cgroup").read_bytes())
        except OSError:
            return None


def _facts(process: psutil.Process) -> tuple[float, dict[str, object]]:
    with process.oneshot():
        times = process.cpu_times()
        spent = times.user + times.system
        return spent, {
            "pid": process.pid,
            "name": process.name(),
            "threads": process.num_threads(),
            "cpu_s": round(spent, 2),
            "resident": process.memory_info().rss,
            "open_files": _allowed(process.num_fds),
            "written": _allowed(lambda: process.io_counters().write_bytes),
        }


def _allowed(ask: Callable[[], int]) -> int | None:
    try:
        return ask()
    except (psutil.Error, OSError, RuntimeError, ValueError):
        return None  # the latter two where a file has not what psutil expects

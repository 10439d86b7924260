"""CPU time of threads, stolen time of cores, throttled budget groups: read, never written."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from daemons.rubicante.kernel.system import System
from k40s.cpu.model import ANY_CORE
from k40s.units import NS_PER_S

_STEAL_FIELD = 8
_GROUP = re.compile(r"rt_rq\[(\d+)\]:(/.*)")


class KernelUsage:
    """Reads /proc, and the scheduler's debug file where the daemon may see it.

    ``prefix`` is that of our budget groups.
    """

    def __init__(self, *, system: System, proc: Path, debug: Path, prefix: str) -> None:
        self._system = system
        self._proc = proc
        self._debug = debug
        self._ours = f"/{prefix}-"
        self._per_tick = NS_PER_S // os.sysconf("SC_CLK_TCK")

    def cpu_time(self, tid: int) -> int | None:
        """CPU time of a thread in ns; None when it is gone."""
        try:
            return int(self._system.read(self._proc / str(tid) / "schedstat").split()[0])
        except (OSError, ValueError, IndexError):
            return None

    def stolen(self, core: int) -> int:
        """What the hypervisor has taken of a core since boot, in ns; 0 where it does not tell.

        For ``ANY_CORE`` of all of them, since the thread may have been on each.
        """
        name = "cpu " if core == ANY_CORE else f"cpu{core} "
        try:
            text = self._system.read(self._proc / "stat")
        except OSError:
            return 0
        for line in text.splitlines():
            if line.startswith(name):
                return int(line.split()[_STEAL_FIELD]) * self._per_tick
        return 0

    def throttled(self) -> Mapping[int, int] | None:
        """Core → budget groups of ours that are throttled now; None where that cannot be read."""
        try:
            return parse_throttled(self._system.read(self._debug), ours=self._ours)
        except OSError:
            return None


def parse_throttled(text: str, *, ours: str) -> dict[int, int]:
    """Count throttled groups whose path begins with ``ours``, by core, in ``sched/debug``."""
    counted: dict[int, int] = {}
    core: int | None = None
    for line in text.splitlines():
        if match := _GROUP.fullmatch(line.strip()):
            core = int(match[1]) if match[2].startswith(ours) else None
        elif core is not None and line.split()[:1] == [".rt_throttled"]:
            if line.split()[-1] != "0":
                counted[core] = counted.get(core, 0) + 1
            core = None
    return counted

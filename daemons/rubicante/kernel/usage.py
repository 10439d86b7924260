"""CPU time of threads, stolen time of cores, throttled budget groups: read, never written."""

import gzip
import os
import re
import zlib
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path

from daemons.rubicante.kernel.system import System, read_if_readable
from k40s.cpu.model import ANY_CORE
from k40s.units import NS_PER_S

_STEAL_FIELD = 8
_GROUP = re.compile(r"rt_rq\[(\d+)\]:(/.*)")
_KEPT_APART = "CONFIG_PARAVIRT_TIME_ACCOUNTING=y"
_NOT_AFTER_ALL = "no-steal-acc"


class KernelUsage:
    """Reads /proc, and the scheduler's debug file where the daemon may see it.

    ``prefix`` is that of our budget groups. ``charges_stolen_time`` is what
    ``may_charge_stolen_time`` found.
    """

    def __init__(
        self, *, system: System, proc: Path, debug: Path, prefix: str, charges_stolen_time: bool
    ) -> None:
        self._system = system
        self._proc = proc
        self._debug = debug
        self._group_prefix = f"/{prefix}-"
        self._per_tick = NS_PER_S // os.sysconf("SC_CLK_TCK")
        self._charges_stolen_time = charges_stolen_time

    def cpu_time(self, tid: int) -> int | None:
        """CPU time of a thread in ns; None when it is gone."""
        try:
            return int(self._system.read(self._proc / str(tid) / "schedstat").split()[0])
        except (OSError, ValueError, IndexError):
            return None

    def stolen(self, core: int) -> int:
        """Steal time of a core since boot that threads may be charged for, in ns.

        For ``ANY_CORE`` the sum over all cores, since the thread may have been on each. 0 where the
        hypervisor does not report it, and where the kernel accounts for it separately.
        """
        if not self._charges_stolen_time:
            return 0
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
        """Core → k40s's budget groups that are throttled now; None where that cannot be read."""
        try:
            return parse_throttled(self._system.read(self._debug), prefix=self._group_prefix)
        except OSError:
            return None


def stolen_from(system: System, proc: Path, cores: AbstractSet[int]) -> int:
    """Steal time of some cores since boot, in ticks of ``/proc/stat``; 0 where it has none."""
    names = {f"cpu{core}" for core in cores}
    lines = (line.split() for line in (read_if_readable(system, proc / "stat") or "").splitlines())
    return sum(
        int(line[_STEAL_FIELD])
        for line in lines
        if len(line) > _STEAL_FIELD and line[0] in names and line[_STEAL_FIELD].isdecimal()
    )


def may_charge_stolen_time(proc: Path) -> bool:
    """Whether a thread's CPU time may include steal time.

    Linux subtracts it from the clock that charges threads (``update_rq_clock_task``) if built and
    booted to do so. True where that cannot be read.
    """
    try:
        words = (proc / "cmdline").read_text().split()
    except (OSError, ValueError):
        return True
    return _KEPT_APART not in read_options(proc) or _NOT_AFTER_ALL in words


def read_options(proc: Path) -> frozenset[str]:
    """The lines of the kernel's configuration; none where it does not show that."""
    try:
        text = gzip.decompress((proc / "config.gz").read_bytes()).decode()
    except (OSError, EOFError, ValueError, zlib.error):
        return frozenset()
    return frozenset(text.splitlines())


def parse_throttled(text: str, *, prefix: str) -> dict[int, int]:
    """Count throttled groups whose path begins with ``prefix``, by core, in ``sched/debug``."""
    counted: dict[int, int] = {}
    core: int | None = None
    for line in text.splitlines():
        if match := _GROUP.fullmatch(line.strip()):
            core = int(match[1]) if match[2].startswith(prefix) else None
        elif core is not None and line.split()[:1] == [".rt_throttled"]:
            if line.split()[-1] != "0":
                counted[core] = counted.get(core, 0) + 1
            core = None
    return counted

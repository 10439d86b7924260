"""A process that uses up whatever CPU time it gets: in user mode, or inside system calls."""

import os
import signal
import time
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager
from enum import StrEnum, unique
from typing import Protocol

from daemons.rubicante.kernel.probes.process import START_SECONDS, ProbeProcess

_PROCESS_CLOCK = 2
"""Of a process's clocks, the one of the scheduler's own accounting (CPUCLOCK_SCHED)."""
_PAUSE = 0.001


@unique
class Load(StrEnum):
    """Where the hog spends its time."""

    USER = "user"
    """In its own code."""
    CALLS = "calls"
    """In the kernel, which gives it 8 MB of memory in small pages at a time, and takes it back.

    A random time of its own, up to that of the probe's budget, goes before each, so that the budget
    ends in another part of them each time. (MADV_POPULATE_WRITE is 23; Linux 5.14 has it.)
    """


_LOOPS = {
    Load.USER: "while True: pass",
    Load.CALLS: """
populate = 23
def spin():
    end = time.thread_time_ns() + os.urandom(1)[0] * 4_000
    while time.thread_time_ns() < end:
        pass
while True:
    spin()
    memory = mmap.mmap(-1, 8 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for advice in (mmap.MADV_NOHUGEPAGE, populate):
        try:
            memory.madvise(advice)
        except OSError:
            pass
    spin()
    memory.close()
""",
}


class Hog(AbstractContextManager["Hog"], Protocol):
    """One such process, which is stopped at first; it ends with its context."""

    @property
    def tid(self) -> int:
        """Its only thread."""
        ...

    def go(self) -> None:
        """Let it run."""
        ...

    def stop(self) -> None:
        """Have it stop, as soon as it runs."""
        ...

    def is_stopped(self) -> bool:
        """Whether it has stopped."""
        ...

    def used(self) -> int:
        """Its CPU time so far in ns, as the scheduler charges it; up to now while it runs."""
        ...


class StartHog(Protocol):
    """Starts hogs."""

    def __call__(self, load: Load, cores: AbstractSet[int]) -> Hog:
        """One that may run on ``cores`` and has run there. Raises ``OSError``."""
        ...


class LinuxHog(ProbeProcess):
    """A Python process, ordinary until somebody sets another policy."""

    def __init__(self, load: Load, cores: AbstractSet[int]) -> None:
        self._stopped = False
        super().__init__(_LOOPS[load], cores)
        self._clock = ~self.tid << 3 | _PROCESS_CLOCK

    def go(self) -> None:
        """SIGCONT."""
        self._stopped = False
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """SIGSTOP."""
        self._process.send_signal(signal.SIGSTOP)

    def is_stopped(self) -> bool:
        """By ``waitpid``, which reports each stop once."""
        if not self._stopped:
            tid, status = os.waitpid(self.tid, os.WUNTRACED | os.WNOHANG)
            if tid and not os.WIFSTOPPED(status):
                self._process.returncode = os.waitstatus_to_exitcode(status)
                raise ProcessLookupError(f"the probe process ended: {self._process.returncode}")
            self._stopped = bool(tid)
        return self._stopped

    def used(self) -> int:
        """By the process's CPU clock."""
        return time.clock_gettime_ns(self._clock)

    def _prepare(self) -> None:
        """And stop it."""
        super()._prepare()
        self.stop()
        end = time.monotonic() + START_SECONDS
        while not self.is_stopped():
            if time.monotonic() > end:
                raise TimeoutError("the probe process did not run")
            time.sleep(_PAUSE)

"""What else had the CPUs while something was measured: the hypervisor, and other programs."""

import os
import threading
import time
from bisect import bisect_left
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Self

from k40s.units import NS_PER_MS
from tests.kernel.conftest import CPU
from tests.kernel.deadline_scene import PROC

STEAL_UNIT = 1 / os.sysconf("SC_CLK_TCK")
_DISTURBING = 2 * NS_PER_MS


class StealLog:
    """The hypervisor's steal of the CPUs in question, sampled while it is open, in whole units.

    ``rivals`` are real-time groups of other programs whose threads ran meanwhile: what happens
    beside them says nothing.
    """

    def __init__(self, cpus: Sequence[int], prefix: str) -> None:
        self.rivals: set[str] = set()
        self._prefix = prefix
        self._ran: dict[tuple[str, str], int] = {}
        self._names = {f"cpu{cpu}" for cpu in cpus}
        self._times: list[int] = []
        self._steal: list[int] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def between(self, start: int, end: int) -> float:
        """Seconds that the samples around an interval show."""
        first = max(0, bisect_left(self._times, start) - 1)
        last = min(len(self._times) - 1, bisect_left(self._times, end))
        return (self._steal[last] - self._steal[first]) * STEAL_UNIT

    def total(self) -> float:
        return (self._steal[-1] - self._steal[0]) * STEAL_UNIT

    def _sample(self) -> None:
        with Path("/proc/stat").open() as file:
            for number in count():
                if self._stop.wait(0.005):
                    break
                if number % 40 == 0:
                    self._look_for_rivals()
                file.seek(0)
                fields = [line.split() for line in file.read().splitlines()]
                stolen = sum(int(f[8]) for f in fields if f and f[0] in self._names)
                self._times.append(time.monotonic_ns())
                self._steal.append(stolen)

    def _look_for_rivals(self) -> None:
        """Threads in others' real-time groups that have run for a while since they were seen."""
        for path in CPU.glob("*/cpu.rt_runtime_us"):
            group = path.parent
            with suppress(OSError):
                if group.name.startswith(self._prefix) or not int(path.read_text()):
                    continue
                for tid in (group / "tasks").read_text().split():
                    ran = int((PROC / tid / "schedstat").read_text().split()[0])
                    if ran - self._ran.setdefault((group.name, tid), ran) > _DISTURBING:
                        self.rivals.add(group.name)

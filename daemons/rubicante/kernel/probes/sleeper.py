"""A process that sleeps and wakes, and tells what each time cost it.

That is the time until it ran, or what the kernel charged it for sleeping and waking if that is
more: a kernel that lets the thread before it run on either wakes it late or charges it for the
wait.
"""

import os
import time
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from daemons.rubicante.kernel.probes.process import ProbeProcess
from k40s.units import Nanoseconds

_ANSWER_SECONDS = 10.0
_LEAVE_SECONDS = 2.0
_PAUSE = 0.001
_PROCESSOR = 36
"""Its place among a thread's fields in /proc, after the name."""
_PROGRAM = """
now, used = time.monotonic_ns, time.thread_time_ns
debt, paid, at = 0, used(), now()
while order := os.read(0, 16):
    costs = []
    while len(costs) < int(order):
        length = 500_000 + os.urandom(1)[0] * 6_000
        charged, began = used(), now()
        time.sleep(length / 1e9)
        ended, charge = now(), used() - charged
        costs.append(max(charge, ended - began - length))
        debt = max(0, debt + charged + charge - paid - (ended - at) // 10)
        if debt > 500_000:
            time.sleep(0.04)
            debt = 0
        paid, at = charged + charge, ended
    os.write(1, " ".join(map(str, costs)).encode() + b"\\n")
os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
"""
"""0.5 to 2 ms of sleep: at no fixed phase of ticks. It rests before it has used up a budget of 2 ms
in 20 ms, or the kernel would keep it back. Before it ends it makes itself ordinary: Linux forgets
the bandwidth of a sleeping thread that another takes out of SCHED_DEADLINE (``drop``)."""


class Sleeper(AbstractContextManager["Sleeper"], Protocol):
    """One such process; it ends with its context, and its bandwidth returns."""

    @property
    def tid(self) -> int:
        """Its only thread."""
        ...

    def sleep(self, times: int) -> tuple[Nanoseconds, ...]:
        """Let it sleep so often, 0.5 ms or more each; what each cost. Raises ``OSError``."""
        ...

    def cpu(self) -> int:
        """The CPU that it waits on. Raises ``OSError``."""
        ...


class StartSleeper(Protocol):
    """Starts sleepers."""

    def __call__(self, cores: AbstractSet[int], *, on: int) -> Sleeper:
        """One that may run on ``cores`` and waits on the CPU ``on``. Raises ``OSError``."""
        ...


class LinuxSleeper(ProbeProcess):
    """A Python process, ordinary until somebody sets another policy.

    A thread that the kernel wakes stays on its CPU, unless DEADLINE threads are there.
    """

    def __init__(self, cores: AbstractSet[int], *, on: int) -> None:
        self._cores = cores
        super().__init__(_PROGRAM, {on})

    def sleep(self, times: int) -> tuple[Nanoseconds, ...]:
        """By an order down its pipe."""
        os.write(self._orders.fileno(), f"{times}\n".encode())
        said = b""
        while not said.endswith(b"\n"):
            more = self._read(1 << 16, _ANSWER_SECONDS)
            if not more:
                raise ChildProcessError("the probe process ended")
            said += more
        return tuple(Nanoseconds(int(one)) for one in said.split())

    def cpu(self) -> int:
        """By /proc."""
        return int(self._stat()[_PROCESSOR])

    def _stat(self) -> list[str]:
        """The fields from the state on."""
        return Path(f"/proc/{self.tid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()

    def _wait_until_asleep(self) -> None:
        """While it can run, another CPU that is idle would take it as soon as it may go there."""
        end = time.monotonic() + _ANSWER_SECONDS
        while self._stat()[0] != "S":
            if time.monotonic() > end:
                raise TimeoutError("the probe process does not sleep")
            time.sleep(_PAUSE)

    def _prepare(self) -> None:
        """And has slept on its CPU; then it may run on all of them."""
        super()._prepare()
        self.sleep(1)
        self._wait_until_asleep()
        os.sched_setaffinity(self.tid, self._cores)

    def _end(self) -> None:
        """By itself; by force when it does not."""
        try:
            self._leave(_LEAVE_SECONDS)
        finally:
            super()._end()

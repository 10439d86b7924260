"""A process that sleeps and wakes, and tells what the kernel charged it for each time.

That is for going to sleep and waking up, with the few microseconds that its own code takes. Where a
kernel lets the thread before it run on, and charges the woken one for that, it shows.
"""

import os
from collections.abc import Set as AbstractSet
from types import TracebackType
from typing import Protocol, Self

from daemons.rubicante.kernel.probe_process import ProbeProcess
from k40s.units import Nanoseconds

_ANSWER_SECONDS = 10.0
_LEAVE_SECONDS = 2.0
_PROGRAM = """
used = time.thread_time_ns
while order := os.read(0, 16):
    charges = []
    for _ in range(int(order)):
        before = used()
        time.sleep(0.002 + os.urandom(1)[0] * 0.000024)
        charges.append(used() - before)
    os.write(1, " ".join(map(str, charges)).encode() + b"\\n")
os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
"""
"""2 to 8 ms of sleep: at no fixed phase of ticks. Before it ends it makes itself ordinary: Linux
forgets the bandwidth of a sleeping thread that another takes out of SCHED_DEADLINE (``drop``)."""


class Sleeper(Protocol):
    """One such process."""

    @property
    def tid(self) -> int:
        """Its only thread."""
        ...

    def sleep(self, times: int) -> tuple[Nanoseconds, ...]:
        """Let it sleep so often, about 5 ms each; what each was charged. Raises ``OSError``."""
        ...

    def __enter__(self) -> Self:
        """Itself."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it; its bandwidth returns."""
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

    def _prepare(self) -> None:
        """And has slept on its CPU; then it may run on all of them."""
        super()._prepare()
        self.sleep(1)
        os.sched_setaffinity(self.tid, self._cores)

    def _end(self) -> None:
        """By itself; by force when it does not."""
        self._leave(_LEAVE_SECONDS)
        super()._end()

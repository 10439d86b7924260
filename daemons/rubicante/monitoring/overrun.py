"""Overrun detection: a task's CPU time against its contract, by a leaky bucket. Pure.

In any window of length w, jobs of at most C that are released at least T apart and meet their
deadline D <= T use at most (floor(w/T) + 2) * C; more is certainly an overrun. The affine bound
2C + w*C/T lies above it, and holds for all windows if it holds for the one that a leaky bucket
keeps (Turner 1986). That one is tested here: no task within its contract is ever reported, and one
that exceeds its utilization for long always is.
"""

from dataclasses import dataclass

from k40s.cpu.model import Task
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds

_STEAL_LAG = 10 * NS_PER_MS
"""How far the reported stolen time may lag: it is counted in whole 10 ms, and read before the CPU
time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A thread's CPU time ``used``, read between ``after`` and ``before`` (monotonic); all in ns.

    ``stolen`` is what the hypervisor has taken of its core so far, where a thread may be charged
    for it; 0 where it is not.
    """

    after: int
    before: int
    used: int
    stolen: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrun:
    """``task`` used ``used`` ns in a window of ``window`` ns, and at most ``allowed`` is right."""

    task: str
    window: int
    used: int
    allowed: int

    @property
    def text(self) -> str:
        """The evidence as a sentence."""
        used, allowed = _milliseconds(self.used), _milliseconds(self.allowed)
        return (
            f"task {self.task} used {used} ms in {self.window / NS_PER_S:.1f} s; "
            f"its contract allows at most {allowed} ms"
        )


class Meter:
    """Measures one task's thread. ``error`` is how far a reading may lag, in ns.

    (The kernel adds to a running thread's CPU time at its tick.)
    """

    def __init__(self, task: Task, *, error: Nanoseconds) -> None:
        self._task = task
        self._error = error
        self._began: Reading | None = None
        self._last: Reading | None = None
        self._level = 0

    def read(self, reading: Reading) -> Overrun | None:
        """Take the next reading. An overrun that is reported is forgotten: the next is another."""
        last, self._last = self._last, reading
        began = self._began
        if last is None or began is None or reading.used < last.used:
            self._start(reading)
            return None
        # In units of ns * period, so that the leak of C in every T is exact.
        filled = (reading.used - last.used) - max(0, reading.stolen - last.stolen)
        leaked = (reading.before - last.after) * self._task.wcet
        self._level += filled * self._task.period - leaked
        if self._level <= 0:
            self._start(reading)
            return None
        error = self._error + (_STEAL_LAG if reading.stolen else 0)
        if self._level <= (2 * self._task.wcet + error) * self._task.period:
            return None
        window = reading.before - began.after
        overrun = Overrun(
            task=self._task.name,
            window=window,
            used=reading.used - began.used,
            allowed=(window // self._task.period + 2) * self._task.wcet,
        )
        self._start(reading)
        return overrun

    def _start(self, reading: Reading) -> None:
        self._began, self._level = reading, 0


def _milliseconds(time: int) -> str:
    """At least three significant figures, without trailing zeros."""
    return f"{time / NS_PER_MS:.4g}" if time < NS_PER_S else f"{time / NS_PER_MS:.0f}"

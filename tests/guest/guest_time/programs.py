"""Programs of the scenes: a loop that measures itself, and rogues. Each is a process of its own."""

import ctypes
import gc
import json
import mmap
import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from typing import Self

from k40s.units import NS_PER_MS, NS_PER_S, NS_PER_US
from tests.guest.guest_time.scenes import Rogue

PHASES = 8
"""The loop begins anew at so many phases of the tick."""
_TICK = 4 * NS_PER_MS
_SKEW = 37 * NS_PER_US
"""Phases are not parts of the tick: more of it than so many points is seen."""
_BYTES = 8 << 20
_MAPPING = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE
_LOCK_ALL = 3
"""MCL_CURRENT | MCL_FUTURE."""
_MONOTONIC, _ABSOLUTE = 1, 1
_LIBC = ctypes.CDLL(None, use_errno=True)

Figures = Mapping[str, int]
Go = Callable[[], None]
"""Waits until the program is to go on."""
Tell = Callable[[Figures], None]
Program = Callable[[Go, Tell], None]
_WAITS = b"w"


class _Time(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


def sleep_until(when: int) -> None:
    """As a control loop does: what happens between two jobs delays no release.

    ``time.sleep`` would reckon from its own call.
    """
    seconds, rest = divmod(when, NS_PER_S)
    _LIBC.clock_nanosleep(_MONOTONIC, _ABSOLUTE, ctypes.byref(_Time(seconds, rest)), None)


def work(steps: int) -> None:
    """Use CPU time, the same for each step."""
    for _ in repeat(None, steps):
        pass


def loop(go: Go, tell: Tell, *, steps: int, period: int, jobs: int) -> None:
    """Jobs at each phase, and what became of them. Memory is locked, and warm, before it waits."""
    if _LIBC.mlockall(_LOCK_ALL) != 0:
        raise OSError(ctypes.get_errno(), "mlockall")
    _run(steps, period, 3)
    go()
    tell(_run(steps, period, jobs))


def _run(steps: int, period: int, jobs: int) -> Figures:
    now, used = time.monotonic_ns, time.thread_time_ns
    late = worst = waited = charged = 0
    for phase in range(PHASES):
        first = (now() // _TICK + 3) * _TICK + phase * (_TICK // PHASES + _SKEW)
        sleep_until(first - period)
        before = used()
        for job in range(jobs):
            release = first + job * period
            sleep_until(release)
            began = now()
            work(steps)
            response = now() - release
            after = used()
            late += response > period
            worst = max(worst, response)
            waited = max(waited, began - release)
            charged = max(charged, after - before)
            before = after
    return {
        "jobs": PHASES * jobs,
        "late": late,
        "worst": worst,
        "waited": waited,
        "charged": charged,
    }


def rogue(go: Go, tell: Tell, *, kind: Rogue) -> None:
    """Never ends by itself."""
    del tell
    go()
    while True:
        if kind is Rogue.CALLS:
            mmap.mmap(-1, _BYTES, _MAPPING).close()


class Child:
    """A forked process that runs a program; it is made when the program waits to go on."""

    def __init__(self, program: Program) -> None:
        orders, self._orders = os.pipe()
        self._answers, answers = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                gc.disable()
                program(partial(_wait, orders, answers), partial(_tell, answers))
            finally:
                os._exit(1)
        os.close(orders)
        os.close(answers)
        if os.read(self._answers, 1) != _WAITS:
            raise ChildProcessError("the program ended before it was to go on")

    def go(self) -> None:
        """Let it go on."""
        os.write(self._orders, b"g")

    def figures(self) -> Figures:
        """What it tells at its end."""
        text = b""
        while chunk := os.read(self._answers, 4096):
            text += chunk
        found: Figures = json.loads(text)
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self._orders)
        os.close(self._answers)


def _wait(orders: int, answers: int) -> None:
    os.write(answers, _WAITS)
    os.read(orders, 1)


def _tell(answers: int, figures: Figures) -> None:
    os.write(answers, json.dumps(figures).encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a step of work costs here, in ns, and a job without any."""

    step: float
    job: int

    def steps(self, wcet: int) -> int:
        """So many that a job keeps that WCET."""
        return max(0, int((wcet - self.job) / self.step))


def calibrate() -> Cost:
    """By the code that runs later, on an idle machine."""
    work(10_000)
    steps = 200_000
    begin = time.thread_time_ns()
    work(steps)
    step = (time.thread_time_ns() - begin) / steps
    with Child(partial(loop, steps=0, period=2 * NS_PER_MS, jobs=20)) as child:
        child.go()
        return Cost(step=step, job=child.figures()["charged"])

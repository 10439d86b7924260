"""A task for kernel tests: ``worker.py CGROUP NAME``, a process whose main thread is its thread.

Lines on stdin: ``ping`` is answered; ``obey`` or ``rogue`` with a JSON object starts the work, of
which the last line on stdout tells, as JSON: for each of its ``jobs`` the release (ns), the
response and the CPU time that it took (µs). That is all from one sleep to the next, as the kernel
charges it: on memory that a hypervisor took back, waking up alone was seen to cost 3 ms. Jobs burn
CPU time by their thread's own clock, whatever the speed of the machine; a rogue burns without end,
with pauses of random length. ``stalls`` are when the kernel charged CPU time in which not one round
of the busy loop was done: the CPU stood still, without the hypervisor telling.
"""

import ctypes
import gc
import json
import os
import random
import sys
import time
from pathlib import Path

CPU = Path("/sys/fs/cgroup/cpu")
OTHER = Path("/sys/fs/cgroup/freezer")

_PR_SET_PDEATHSIG = 1
_KILL = 9
_LOCK_ALL = 3
_STALL = 1_000_000
"""A round of the loop takes a thousandth of it."""
_NEVER = 1 << 62


def main() -> None:
    cgroup, name = sys.argv[1:]
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_PDEATHSIG, _KILL)
    libc.mlockall(_LOCK_ALL)
    gc.disable()
    for path in (Path(cgroup), OTHER / Path(cgroup).relative_to(CPU)):
        (path / "cgroup.procs").write_text(str(os.getpid()))
    Path("/proc/self/comm").write_text(name)
    tell(str(os.getpid()))
    for line in sys.stdin:
        role, _, text = line.strip().partition(" ")
        if role == "ping":
            tell("pong")
            continue
        plan = json.loads(text)
        busy = Busy()
        jobs = (obey if role == "obey" else rogue)(busy, **plan)
        tell(json.dumps({"jobs": jobs, "stalls": busy.stalls}))


def tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class Busy:
    """A loop that uses CPU time, and notes where time was charged that it did not have."""

    def __init__(self) -> None:
        self.stalls: list[tuple[int, int]] = []

    def burn(self, amount: int, *, until: int) -> None:
        """Use so much CPU time, or all until a moment."""
        clock, used = time.monotonic_ns, time.thread_time_ns
        last = used()
        end = last + amount
        while last < end and (moment := clock()) < until:
            now = used()
            if now - last > _STALL:
                self.stalls.append((moment - (now - last), clock()))
            last = now


def obey(
    busy: Busy, *, start: int, end: int, burn: int, period: int, seed: int, gaps: bool = True
) -> list[tuple[int, float, float]]:
    """Sporadic jobs: at least ``period`` apart, each ``burn`` of CPU time; all in ns."""
    chance = random.Random(seed)
    clock, used = time.monotonic_ns, time.thread_time_ns
    jobs = []
    if clock() > start:  # reading the plan has taken longer than it should
        start = clock() + 2 * period
    release = start + chance.randrange(period)
    slept = used()
    while release < end and clock() < end:
        while (left := release - clock()) > 0:
            time.sleep(left / 1e9)
        busy.burn(burn, until=_NEVER)
        response = (clock() - release) / 1000
        before, slept = slept, used()
        jobs.append((release, response, (slept - before) / 1000))
        release += period + (chance.randrange(period) if gaps and chance.random() < 0.3 else 0)
    return jobs


def rogue(
    busy: Busy, *, start: int, end: int, burn: int, period: int, seed: int, gaps: bool = True
) -> list[tuple[int, float, float]]:
    """It ignores its contract: ``burn`` says nothing."""
    del burn
    chance = random.Random(seed)
    clock = time.monotonic_ns
    while (left := start - clock()) > 0:
        time.sleep(left / 1e9)
    while clock() < end:
        stop = min(end, clock() + chance.randrange(period // 2, 8 * period))
        busy.burn(_NEVER, until=stop)
        if gaps and clock() < end:
            time.sleep(chance.randrange(period) / 1e9)
    return []


if __name__ == "__main__":
    main()

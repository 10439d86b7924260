"""A task for kernel tests: ``worker.py CGROUP NAME``, a process whose main thread is its thread.

Lines on stdin: ``ping`` is answered; ``obey`` or ``rogue`` with a JSON object starts the work, of
which the last line on stdout tells, as JSON: for each job its release (ns), its response and the
CPU time that it took (µs). Jobs burn CPU time by their thread's own clock, whatever the speed of
the machine; a rogue burns without end, with pauses of random length.
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
        jobs = obey(**plan) if role == "obey" else rogue(**plan)
        tell(json.dumps(jobs))


def tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def obey(
    *, start: int, end: int, burn: int, period: int, seed: int, gaps: bool = True
) -> list[tuple[int, float, float]]:
    """Sporadic jobs: at least ``period`` apart, each ``burn`` of CPU time; all in ns."""
    chance = random.Random(seed)
    clock, used = time.monotonic_ns, time.thread_time_ns
    jobs = []
    release = start + chance.randrange(period)
    while release < end and clock() < end:
        while (left := release - clock()) > 0:
            time.sleep(left / 1e9)
        began = used()
        until = began + burn
        while used() < until:
            pass
        jobs.append((release, (clock() - release) / 1000, (used() - began) / 1000))
        release += period + (chance.randrange(period) if gaps and chance.random() < 0.3 else 0)
    return jobs


def rogue(
    *, start: int, end: int, burn: int, period: int, seed: int, gaps: bool = True
) -> list[tuple[int, float, float]]:
    """It ignores its contract: ``burn`` says nothing."""
    del burn
    chance = random.Random(seed)
    clock = time.monotonic_ns
    while (left := start - clock()) > 0:
        time.sleep(left / 1e9)
    while clock() < end:
        stop = min(end, clock() + chance.randrange(period // 2, 8 * period))
        while clock() < stop:
            pass
        if gaps and clock() < end:
            time.sleep(chance.randrange(period) / 1e9)
    return []


if __name__ == "__main__":
    main()

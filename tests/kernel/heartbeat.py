"""Tells when a CPU of the host stood still: ``heartbeat.py CPU BOUND_MS [ordinary]``.

A SCHED_FIFO process above all others wakes every few milliseconds. Where it is woken much later,
its CPU did not run: the hypervisor may tell of that as steal, or not at all, and then the kernel
charges the pause to whatever thread it had just put there. Time that it was awake and waited for
its CPU is no pause: then other threads had it, and the kernel's own count tells. It writes "ready",
and at the end of stdin the pauses as JSON: pairs of ``CLOCK_MONOTONIC`` ns. An ordinary one takes
no time from real-time threads; it sees those pauses alone that begin while none of them runs.
"""

import ctypes
import json
import os
import select
import sys
import time

_PR_SET_PDEATHSIG = 1
_KILL = 9
_PRIORITY = 99
_WAKE_MS = 4
_LOCK_ALL = 3


def main() -> None:
    cpu, bound, *ordinary = sys.argv[1:]
    watch(int(cpu), int(bound) * 1_000_000, real_time=not ordinary)


def watch(cpu: int, bound: int, *, real_time: bool) -> None:
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_PDEATHSIG, _KILL)
    libc.mlockall(_LOCK_ALL)
    os.sched_setaffinity(0, {cpu})
    if real_time:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(_PRIORITY))
    told = select.poll()
    told.register(0, select.POLLHUP | select.POLLIN)
    print("ready", flush=True)
    pauses: list[tuple[int, int]] = []
    waits = os.open("/proc/thread-self/schedstat", os.O_RDONLY)
    last, waited = time.monotonic_ns(), waited_in(waits)
    while not told.poll(_WAKE_MS):
        now, before, waited = time.monotonic_ns(), waited, waited_in(waits)
        if now - last - (waited - before) > bound:
            pauses.append((last, now - (waited - before)))
        last = now
    print(json.dumps(pauses), flush=True)


def waited_in(schedstat: int) -> int:
    """How long this thread was ready to run and did not, in ns."""
    return int(os.pread(schedstat, 100, 0).split()[1])


if __name__ == "__main__":
    main()

"""When the guest itself stood still: an emulated machine waits for its host.

On each CPU a real-time process wakes every millisecond. Where it wakes much later, the CPU did not
run, and what the kernel did just then has no sharp time.
"""

import json
import os
import signal
import time
from bisect import bisect_right
from collections.abc import Iterable

from k40s.units import NS_PER_MS

BOUND = 5 * NS_PER_MS
"""A longer time between two wakes is a stall; a shorter delay is not seen."""
_PRIORITY = 50
_WAKE_SECONDS = 0.001

Stall = tuple[int, int]
"""The last wake before it and the first after it: ``CLOCK_TAI``, ns."""


class Stalls:
    """Those of all CPUs, known once the block that was watched has ended."""

    def __init__(self, found: Iterable[Stall] = ()) -> None:
        self.joint: list[Stall] = []
        """Disjoint and in order; each with the time after it in which the kernel catches up."""
        for begin, end in sorted(found):
            until = end + BOUND
            if self.joint and begin <= self.joint[-1][1]:
                former = self.joint.pop()
                self.joint.append((former[0], max(former[1], until)))
            else:
                self.joint.append((begin, until))

    def cover(self, when: int) -> bool:
        """Whether that time is in a stall, or just after one."""
        place = bisect_right(self.joint, (when, 1 << 63)) - 1
        return place >= 0 and when <= self.joint[place][1]


class Watch:
    """A process on each CPU. Start it before any thread: it forks."""

    def __init__(self) -> None:
        self._children = [_start(cpu) for cpu in sorted(os.sched_getaffinity(0))]

    def stop(self) -> Stalls:
        """End the processes; what they saw."""
        found: list[Stall] = []
        for child, _reader in self._children:
            os.kill(child, signal.SIGTERM)
        for child, reader in self._children:
            with os.fdopen(reader) as file:
                found.extend((begin, end) for begin, end in json.load(file))
            os.waitpid(child, 0)
        return Stalls(found)


def _start(cpu: int) -> tuple[int, int]:
    reader, writer = os.pipe()
    child = os.fork()
    if child:
        os.close(writer)
        return child, reader
    try:
        os.close(reader)
        os.sched_setaffinity(0, {cpu})
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(_PRIORITY))
        _watch(writer)
    finally:
        os._exit(0)


def _watch(writer: int) -> None:
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: stopped.append(number))
    stalls: list[Stall] = []
    last = time.clock_gettime_ns(time.CLOCK_TAI)
    while not stopped:
        time.sleep(_WAKE_SECONDS)
        now = time.clock_gettime_ns(time.CLOCK_TAI)
        if now - last > BOUND:
            stalls.append((last, now))
        last = now
    with os.fdopen(writer, "w") as file:
        json.dump(stalls, file)

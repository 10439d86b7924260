"""The scheduler tick of the running kernel."""

import time

from k40s.units import NS_PER_S, Nanoseconds

_CLOCK_MONOTONIC_COARSE = 6
"""Linux; Python's ``time`` has no name for it."""


def tick_length() -> Nanoseconds:
    """The scheduler tick, 1 s / HZ.

    It is the resolution of the coarse clocks, which the kernel advances once a tick: exact, and
    readable without any file. (CLK_TCK is a constant of the ABI and says nothing of HZ.)
    """
    return Nanoseconds(round(time.clock_getres(_CLOCK_MONOTONIC_COARSE) * NS_PER_S))

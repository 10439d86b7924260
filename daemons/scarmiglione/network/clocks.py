"""The clocks that back ends read."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Clocks:
    """``CLOCK_MONOTONIC``, ``CLOCK_REALTIME`` and ``CLOCK_TAI``, in ns."""

    monotonic: Callable[[], int]
    wall: Callable[[], int]
    tai: Callable[[], int]


LINUX = Clocks(
    monotonic=time.monotonic_ns,
    wall=time.time_ns,
    tai=lambda: time.clock_gettime_ns(time.CLOCK_TAI),
)
"""The host's: none of them is of a namespace, but ``CLOCK_MONOTONIC`` where one is set."""

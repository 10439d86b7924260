"""How late HRTICK_DL ends a budget: a bound by the preemption model, or more where more was seen.

The timer fires within microseconds of a budget's end. A thread that is inside a system call then
runs on until the kernel can take its CPU away, and how long that takes is a matter of the model.
"""

from collections.abc import Mapping

from daemons.rubicante.kernel.preemption import Preemption
from k40s.cpu.linux import TIMER_OVERHEAD
from k40s.units import NS_PER_US, Nanoseconds

BOUNDS: Mapping[Preemption, Nanoseconds | None] = {
    Preemption.RT: Nanoseconds(100 * NS_PER_US),
    Preemption.FULL: Nanoseconds(700 * NS_PER_US),
    Preemption.LAZY: Nanoseconds(1200 * NS_PER_US),
    Preemption.VOLUNTARY: Nanoseconds(1200 * NS_PER_US),
    Preemption.NONE: None,
    Preemption.UNKNOWN: None,
}
"""Counted at least, by model; None: no bound is known, and the tick counts (docs/theory.md)."""
STEP = Nanoseconds(100 * NS_PER_US)
"""A measured lateness counts rounded up to a multiple of this,"""
DELAY_STEP = Nanoseconds(20 * NS_PER_US)
"""and a delay to one of this."""


def assumed_lateness(model: Preemption, measured: Nanoseconds | None) -> Nanoseconds | None:
    """The lateness to count on; None where no bound is known. ``measured`` is None without any."""
    bound = BOUNDS[model]
    if bound is None or measured is None or measured <= bound:
        return bound
    return Nanoseconds(-(-measured // STEP) * STEP)


def delay_by_calls(measured: Nanoseconds | None) -> Nanoseconds:
    """What a thread that wakes waits for another's system call, beyond a late timer.

    That is what was measured and a half more, since a thousand samples do not find the worst;
    nothing where nothing was measured.
    """
    late = -(-3 * (measured or 0) // (2 * DELAY_STEP)) * DELAY_STEP
    return Nanoseconds(max(0, late - TIMER_OVERHEAD * NS_PER_US))

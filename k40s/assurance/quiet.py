"""Whether a node's CPUs were so quiet that no rule could have been high: then a sample may wait.

A glance at three sums of /proc/stat bounds four metrics that are made of its CPU times. What waits
is seen in the next sample, which then is of a longer time. No alarm comes at another sample: while
any of a rule's window is not calm, or CUSUM sums up an excess, nothing waits (``settled`` of
``WatchState``), and when it is quiet no more, the last turns are judged one by one (``refine``).
"""

from collections.abc import Collection
from typing import NamedTuple

from k40s.assurance.counters import CpuTimes
from k40s.assurance.detector import Rule
from k40s.assurance.metrics import MUCH_SYSTEM, SATURATED, Metric

_BELOW = {
    Metric.CPU_SYSTEM: MUCH_SYSTEM,
    Metric.RUN_QUEUE: SATURATED,
    Metric.KERNEL_QUEUE: MUCH_SYSTEM * SATURATED,
    Metric.KERNEL_STRETCH: 0.0,
}
"""What these metrics stay below, or at, where the CPUs are quiet."""


class Spent(NamedTuple):
    """Time on the node's CPUs since boot, in ticks of USER_HZ.

    ``system`` includes interrupts, ``idle`` waiting for I/O; what the hypervisor took is none.
    """

    user: int
    system: int
    idle: int

    @classmethod
    def of(cls, times: CpuTimes) -> "Spent":
        """Of a sample."""
        return cls(times.user, times.system + times.irq, times.idle + times.iowait)


def is_quiet(earlier: Spent, later: Spent) -> bool:
    """Whether the kernel took less than ``MUCH_SYSTEM`` between two glances, and idling was left.

    Waiting for I/O, which steps back, counts within the time that idles: that errs towards not
    quiet.
    """
    user = max(0, later.user - earlier.user)
    system = max(0, later.system - earlier.system)
    available = user + system + max(0, later.idle - earlier.idle)
    return system < MUCH_SYSTEM * available and user + system < SATURATED * available


def may_wait(rules: Collection[Rule]) -> bool:
    """Whether no sample is high, or speaks against a clearing, by these rules where it is quiet."""
    return all(rule.metric in _BELOW and _BELOW[rule.metric] <= rule.clear_at for rule in rules)

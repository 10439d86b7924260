"""How late the kernel ends SCHED_DEADLINE budgets on this node, measured.

A hog is stopped, made DEADLINE with a small budget in a long period, and continued. The kernel
throttles it when it sees that the budget is used up; from then on its CPU time stands still, at the
budget and what it took beyond. Then it is ordinary again. So nobody has to look at the right
moment: a slow or busy machine measures the same. Each sample takes one budget and its overrun from
a CPU, once, at the latest deadline of all.

A measurement shows what the kernel can do, not the worst that it will: a bound by the preemption
model counts beside it.
"""

from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet

from daemons.rubicante.kernel.probes.hog import Hog, Load, StartHog
from daemons.rubicante.kernel.sched_attr import Attributes, deadline_attr
from daemons.rubicante.kernel.system import Wait
from k40s.cpu.model import Server
from k40s.units import NS_PER_MS, NS_PER_S, MonotonicClock, Nanoseconds

BUDGET = Nanoseconds(NS_PER_MS)
PERIOD = Nanoseconds(20 * NS_PER_MS)
"""A bandwidth of 0.05, for as long as a sample lasts."""
_PROBE = deadline_attr(Server(budget=BUDGET, period=PERIOD), PERIOD)
SAMPLES = 40
"""Of each load. Ticks and timers are at another phase in each."""
_STEP = 0.001
_SAMPLE_SECONDS = 0.3
_BREAK_SECONDS = 0.0217
"""Between samples: more than a period, and no multiple of a tick."""

Stolen = Callable[[AbstractSet[int]], int]
"""Time that a hypervisor has stolen from CPUs since boot, in any unit."""
GoOn = Callable[[], bool]
"""Whether to go on with the next sample."""


class OverrunProbe:
    """``measure`` takes some seconds.

    ``wait`` ends early when the process stops, ``clock`` is monotonic, in seconds.
    """

    def __init__(
        self,
        *,
        attributes: Attributes,
        start_hog: StartHog,
        stolen: Stolen,
        wait: Wait,
        clock: MonotonicClock,
        samples: int = SAMPLES,
    ) -> None:
        self._attributes = attributes
        self._start_hog = start_hog
        self._stolen = stolen
        self._wait = wait
        self._clock = clock
        self._samples = samples

    def measure(self, cores: AbstractSet[int], go_on: GoOn) -> dict[Load, tuple[Nanoseconds, ...]]:
        """The overruns of budgets on ``cores``, a root domain. Raises ``OSError``."""
        found: dict[Load, tuple[Nanoseconds, ...]] = {}
        for load in Load:
            with self._start_hog(load, cores) as hog:
                found[load] = tuple(self._sample_all(hog, cores, go_on))
        return found

    def _sample_all(self, hog: Hog, cores: AbstractSet[int], go_on: GoOn) -> Iterator[Nanoseconds]:
        for _ in range(self._samples):
            if not go_on():
                return
            stolen = self._stolen(cores)
            overrun = self._sample(hog)
            if overrun is not None and self._stolen(cores) == stolen:
                yield overrun
            self._wait(_BREAK_SECONDS + _debt_seconds(overrun))

    def _sample(self, hog: Hog) -> Nanoseconds | None:
        """One overrun; None where the hog did not use up its budget in time, or may have had two.

        A reading after the period's end may be of the next budget.
        """
        self._attributes.set(hog.tid, _PROBE)
        try:
            before, began = hog.used(), self._clock()
            hog.go()
            used = self._wait_for_throttling(hog, before)
            if self._clock() - began >= PERIOD / NS_PER_S:
                used = None
            hog.stop()
        finally:
            # It is runnable, so its bandwidth returns. Shrunk first, as a sleeping thread has to be
            # (``drop``), its debt would last for hours, and keep it from running as DEADLINE.
            self._attributes.make_ordinary(hog.tid)
        for _ in range(round(_SAMPLE_SECONDS / _STEP)):
            if hog.is_stopped():
                break
            self._wait(_STEP)
        else:
            raise TimeoutError("the probe process cannot be stopped")
        return None if used is None else Nanoseconds(used - BUDGET)

    def _wait_for_throttling(self, hog: Hog, before: int) -> int | None:
        used = 0
        for _ in range(round(_SAMPLE_SECONDS / _STEP)):
            self._wait(_STEP)
            last, used = used, hog.used() - before
            if used == last >= BUDGET:
                return used
        return None


def _debt_seconds(overrun: Nanoseconds | None) -> float:
    """Until the kernel has forgotten a former DEADLINE thread: its debt over its bandwidth."""
    debt = BUDGET if overrun is None else overrun
    return debt / BUDGET * PERIOD / NS_PER_S

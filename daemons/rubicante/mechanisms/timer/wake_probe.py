"""What a wake-up costs a SCHED_DEADLINE thread beside a hog, measured.

The kernel wakes a thread while another one is inside a system call, and cannot take the CPU away
from that at once. The wait delays the thread's job, and some kernels take it out of its budget as
well (docs/theory.md). A sleeper beside an ordinary hog shows both: it wakes up hundreds of times,
at any phase. Beside the same hog in user mode it shows what the machine costs without system calls.
"""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet

from daemons.rubicante.kernel.hog import Hog, Load, StartHog
from daemons.rubicante.kernel.sched_attr import (
    RESET_ON_FORK,
    SCHED_DEADLINE,
    Attributes,
    SchedAttr,
)
from daemons.rubicante.kernel.sleeper import Sleeper, StartSleeper
from daemons.rubicante.mechanisms.timer.overrun_probe import GoOn, Stolen
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds

SLEEPER = SchedAttr(
    policy=SCHED_DEADLINE,
    flags=RESET_ON_FORK,
    runtime=Nanoseconds(2 * NS_PER_MS),
    deadline=Nanoseconds(20 * NS_PER_MS),
    period=Nanoseconds(20 * NS_PER_MS),
)
"""A tenth of a CPU. It takes less: a budget that is used up would look like a late wake-up."""
_BATCH, _MOST = 50, 1_000
"""Wake-ups between two looks whether to go on, a tenth of a second; and of all."""
_HOG = NS_PER_S * 6 // 10
"""With so much CPU time of the hog the samples are enough: near five hundred on a quiet machine."""
_LEAST_HOG = NS_PER_S // 10
"""With less the sleeper woke beside others than the hog, and there is no measurement."""


class WakeProbe:
    """``measure`` takes some seconds."""

    def __init__(
        self,
        *,
        attributes: Attributes,
        start_hog: StartHog,
        start_sleeper: StartSleeper,
        stolen: Stolen,
    ) -> None:
        self._attributes = attributes
        self._start_hog = start_hog
        self._start_sleeper = start_sleeper
        self._stolen = stolen

    def measure(self, cores: AbstractSet[int], go_on: GoOn) -> dict[Load, tuple[Nanoseconds, ...]]:
        """The costs of wake-ups on a CPU of ``cores``, a root domain. Raises ``OSError``."""
        place = min(cores)
        found: dict[Load, tuple[Nanoseconds, ...]] = {}
        for load in Load:
            with (
                self._start_hog(load, {place}) as hog,
                self._start_sleeper(cores, on=place) as sleeper,
            ):
                found[load] = self._beside(hog, sleeper, cores, go_on)
        return found

    def _beside(
        self, hog: Hog, sleeper: Sleeper, cores: AbstractSet[int], go_on: GoOn
    ) -> tuple[Nanoseconds, ...]:
        self._attributes.set(sleeper.tid, SLEEPER)
        began = hog.used()
        hog.go()
        found: list[Nanoseconds] = []
        for _ in range(0, _MOST, _BATCH):
            if not go_on() or hog.used() - began >= _HOG:
                break
            found.extend(self._undisturbed(sleeper, cores))
        return tuple(found) if hog.used() - began >= _LEAST_HOG else ()

    def _undisturbed(self, sleeper: Sleeper, cores: AbstractSet[int]) -> Iterator[Nanoseconds]:
        """A batch, unless a hypervisor took time from these CPUs meanwhile."""
        stolen = self._stolen(cores)
        costs = sleeper.sleep(_BATCH)
        if self._stolen(cores) == stolen:
            yield from costs

"""What the kernel charges a SCHED_DEADLINE thread for a wake-up beside a hog, measured.

The kernel wakes a thread while another one is inside a system call, and cannot take the CPU away
from that at once. Where it counts the woken thread's time from its wake-up, the wait comes out of
the thread's own budget (docs/theory.md). So a sleeper beside an ordinary hog tells what it was
charged: it needs no clock of its own and no luck, since it wakes up hundreds of times at any phase.
Beside the same hog in user mode it tells what the machine costs without system calls.
"""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet

from daemons.rubicante.kernel.hog import Hog, Load, StartHog
from daemons.rubicante.kernel.sched_attr import Attributes
from daemons.rubicante.kernel.sleeper import Sleeper, StartSleeper
from daemons.rubicante.mechanisms.timer.overrun_probe import PROBE, GoOn, Stolen
from k40s.units import NS_PER_S, Nanoseconds

_BATCH = 20
"""Wake-ups between two looks whether to go on: a tenth of a second."""
_SAMPLES, _MOST = 160, 240
_HOG = NS_PER_S // 2
"""With so much CPU time of the hog the samples are enough; a busy machine takes more of them."""
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
        """The charges of wake-ups on a CPU of ``cores``, a root domain. Raises ``OSError``."""
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
        self._attributes.set(sleeper.tid, PROBE)
        began = hog.used()
        hog.go()
        found: list[Nanoseconds] = []
        for taken in range(0, _MOST, _BATCH):
            if not go_on() or (taken >= _SAMPLES and hog.used() - began >= _HOG):
                break
            found.extend(self._undisturbed(sleeper, cores))
        return tuple(found) if hog.used() - began >= _LEAST_HOG else ()

    def _undisturbed(self, sleeper: Sleeper, cores: AbstractSet[int]) -> Iterator[Nanoseconds]:
        """A batch, unless a hypervisor took time from these CPUs meanwhile."""
        stolen = self._stolen(cores)
        charges = sleeper.sleep(_BATCH)
        if self._stolen(cores) == stolen:
            yield from charges

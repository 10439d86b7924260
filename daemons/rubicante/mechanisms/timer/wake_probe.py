"""What a wake-up costs a SCHED_DEADLINE thread beside a hog, measured.

The kernel wakes a thread while another one is inside a system call, and cannot take the CPU away
from that at once. The wait delays the thread's job, and some kernels take it out of its budget as
well (docs/theory.md). A sleeper beside an ordinary hog shows both: it wakes up hundreds of times,
at any phase. Beside the same hog in user mode it shows what the machine costs without system calls.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from daemons.rubicante.kernel.probes.hog import Hog, Load, StartHog
from daemons.rubicante.kernel.probes.sleeper import Sleeper, StartSleeper
from daemons.rubicante.kernel.sched_attr import Attributes, deadline_attr
from daemons.rubicante.mechanisms.timer.overrun_probe import GoOn, Stolen
from k40s.cpu.model import Server
from k40s.units import NS_PER_MS, NS_PER_S, MonotonicClock, Nanoseconds

_INSTANT = 1e-9
_PLACES = 4
_BUDGET, _PERIOD = Nanoseconds(2 * NS_PER_MS), Nanoseconds(20 * NS_PER_MS)
SLEEPER = deadline_attr(Server(budget=_BUDGET, period=_PERIOD), _PERIOD)
"""A tenth of a CPU. It takes less: a budget that is used up would look like a late wake-up."""
_BATCH, _MOST = 50, 1_000
"""Wake-ups between two looks whether to go on, a tenth of a second; and of all."""
_HOG = NS_PER_S * 6 // 10
"""With so much CPU time of the hog the samples are enough: near five hundred on a quiet machine."""
_LEAST_HOG = NS_PER_S // 10
_LEAST_SHARE = 0.1
"""With less CPU time of the hog in all, or a smaller part of a batch's time, the sleeper woke
beside others, and that is no measurement."""


class WakeProbe:
    """``measure`` takes some seconds. ``clock`` is monotonic, in seconds."""

    def __init__(
        self,
        *,
        attributes: Attributes,
        start_hog: StartHog,
        start_sleeper: StartSleeper,
        stolen: Stolen,
        clock: MonotonicClock,
    ) -> None:
        self._attributes = attributes
        self._start_hog = start_hog
        self._start_sleeper = start_sleeper
        self._stolen = stolen
        self._clock = clock

    def measure(self, cores: AbstractSet[int], go_on: GoOn) -> dict[Load, tuple[Nanoseconds, ...]]:
        """The costs of wake-ups on a CPU of ``cores``, a root domain. Raises ``OSError``.

        On the first CPU that is not too busy, of a few; a load lacks where all of them are.
        """
        found: dict[Load, tuple[Nanoseconds, ...]] = {}
        for place in sorted(cores)[:_PLACES]:
            for load in Load:
                with (
                    self._start_hog(load, {place}) as hog,
                    self._start_sleeper(cores, on=place) as sleeper,
                ):
                    found[load] = self._costs(_Pair(hog, sleeper, place), cores, go_on)
                if not found[load]:
                    break
            else:
                break
        return found

    def _costs(
        self, pair: "_Pair", cores: AbstractSet[int], go_on: GoOn
    ) -> tuple[Nanoseconds, ...]:
        self._attributes.set(pair.sleeper.tid, SLEEPER)
        began = pair.hog.used()
        pair.hog.go()
        found: list[Nanoseconds] = []
        for _ in range(0, _MOST, _BATCH):
            if not go_on():
                return ()
            if pair.hog.used() - began >= _HOG:
                break
            found.extend(self._batch(pair, cores))
        return tuple(found) if pair.hog.used() - began >= _LEAST_HOG else ()

    def _batch(self, pair: "_Pair", cores: AbstractSet[int]) -> Sequence[Nanoseconds]:
        """None if a hypervisor took time from these CPUs, or the two were not on one of them."""
        stolen, used, began = self._stolen(cores), pair.hog.used(), self._clock()
        costs = pair.sleeper.sleep(_BATCH)
        share = (pair.hog.used() - used) / NS_PER_S / max(self._clock() - began, _INSTANT)
        together = pair.sleeper.cpu() == pair.place and share >= _LEAST_SHARE
        return costs if together and self._stolen(cores) == stolen else ()


@dataclass(frozen=True, slots=True)
class _Pair:
    """A hog and a sleeper that are to be on one CPU."""

    hog: Hog
    sleeper: Sleeper
    place: int

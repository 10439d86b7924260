"""Both probes as one: how late budgets end, where a timer ends them, and threads wake."""

import logging
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from daemons.rubicante.kernel.probes.hog import LinuxHog, Load, StartHog
from daemons.rubicante.kernel.probes.sleeper import LinuxSleeper, StartSleeper
from daemons.rubicante.kernel.sched_attr import Attributes
from daemons.rubicante.kernel.system import Wait
from daemons.rubicante.mechanisms.timer.measurement import Samples
from daemons.rubicante.mechanisms.timer.overrun_probe import GoOn, OverrunProbe, Stolen
from daemons.rubicante.mechanisms.timer.wake_probe import WakeProbe
from k40s.units import MonotonicClock, Nanoseconds

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbePrograms:
    """What starts the processes that are measured with."""

    start_hog: StartHog
    start_sleeper: StartSleeper


_ROUNDS = 2
"""Of wake-ups: a machine that stands still now and then does so in one of them."""
LINUX_PROGRAMS = ProbePrograms(start_hog=LinuxHog, start_sleeper=LinuxSleeper)


class Probes:
    """``ends_budgets`` says whether the timer is on; by ticks, overruns are known without a probe.

    The rest as for ``OverrunProbe`` and ``WakeProbe``.
    """

    def __init__(
        self,
        *,
        attributes: Attributes,
        programs: ProbePrograms,
        stolen: Stolen,
        wait: Wait,
        clock: MonotonicClock,
        ends_budgets: Callable[[], bool],
    ) -> None:
        self._overruns = OverrunProbe(
            attributes=attributes,
            start_hog=programs.start_hog,
            stolen=stolen,
            wait=wait,
            clock=clock,
        )
        self._wake_ups = WakeProbe(
            attributes=attributes,
            start_hog=programs.start_hog,
            start_sleeper=programs.start_sleeper,
            stolen=stolen,
            clock=clock,
        )
        self._ends_budgets = ends_budgets

    def measure(self, cores: AbstractSet[int], go_on: GoOn) -> Samples:
        """On ``cores``, a root domain; takes some seconds.

        Raises ``OSError``, unless overruns were found before: then wake-ups lack.
        """
        overruns = self._overruns.measure(cores, go_on) if self._ends_budgets() else {}
        wake_ups: list[Mapping[Load, Sequence[Nanoseconds]]] = []
        try:
            wake_ups += [self._wake_ups.measure(cores, go_on) for _ in range(_ROUNDS)]
        except OSError as error:
            if not overruns:
                raise
            log.warning("wake-ups were not measured", extra={"cause": str(error)})
        return Samples(overruns=overruns, wake_ups=wake_ups)

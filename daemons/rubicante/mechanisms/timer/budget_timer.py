"""How late SCHED_DEADLINE budgets end on this node: found at the start, and watched.

With HRTICK_DL on, that is the lateness that its kernel's preemption model permits, or more where
more was measured; without it, or where no bound is known, it is the tick. A feature that is lost
while the node runs counts as lost at once. With permission it is switched on again at once too, but
counts only when it has stayed for some seconds, so that whoever reads the node's state, and those
whose pods were admitted on it, get to know.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from daemons.rubicante.kernel.preemption import Preemption
from daemons.rubicante.mechanisms.timer.findings import UNTRIED, Findings
from daemons.rubicante.mechanisms.timer.hrtick import FeatureState, Hrtick, HrtickFeature
from daemons.rubicante.mechanisms.timer.lateness import BOUNDS, assumed_lateness, delay_by_calls
from daemons.rubicante.mechanisms.timer.measurement import Measurement
from k40s.units import MonotonicClock, Nanoseconds, format_duration

log = logging.getLogger(__name__)

WATCH_SECONDS = 1.0
"""Between two looks at the feature."""
TRUSTED_SECONDS = 5.0
"""So long a feature that was lost has to be on before it counts again."""
AGAIN_SECONDS = 30.0
"""At least between two times that it is switched on: somebody else may not want it."""
REFUSED_SECONDS = 600.0
"""After the kernel has refused to switch it on."""
MEASURED_SECONDS = 3600.0
"""Between two measurements."""
CONFIRMED_SECONDS = 60.0
"""After a measurement that another one has to confirm."""
FAILED_SECONDS = 300.0
"""After a measurement that was not possible, or only in part."""

_NOT_YET = "the machine was too busy or stood still, or it has not been tried since it could be"

ReadModel = Callable[[], Preemption]
"""The kernel's preemption model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerStatus:
    """What is known of the timer. ``trusted`` says that it has been on for long enough.

    ``measured`` is what counts of all measurements (``Findings``).
    """

    permitted: bool
    hrtick: Hrtick
    trusted: bool
    by_k40s: bool
    model: Preemption
    measured: Measurement
    losses: int = 0

    @property
    def lateness(self) -> Nanoseconds | None:
        """How late budgets end; None where the tick counts."""
        if self.hrtick.state is not FeatureState.ON or not self.trusted:
            return None
        return assumed_lateness(self.model, self.measured.largest)

    @property
    def delay(self) -> Nanoseconds:
        """What a thread that wakes waits for another's system call, beyond a late timer.

        It counts with and without the timer.
        """
        return delay_by_calls(self.measured.by_calls)

    def overrun(self, tick: Nanoseconds) -> Nanoseconds:
        """δ of SCHED_DEADLINE on a kernel of this tick, where system calls delay it as well."""
        late = Nanoseconds(tick + self.delay)
        return late if self.lateness is None else min(late, self.lateness)

    def warnings(self, tick: Nanoseconds) -> tuple[str, ...]:
        """What the operator should know."""
        state, cause = self.hrtick.state, self.hrtick.cause
        texts = [cause] if cause and (self.permitted or state is FeatureState.ON) else []
        if self.losses and not self.trusted:
            texts.append("HRTICK_DL was switched off by another program: the tick counts")
        if self.measured != UNTRIED and self.measured.by_calls is None:
            cause = self.measured.cause or _NOT_YET
            text = f"what system calls add to a wake-up was not measured: {cause}"
            texts.append(f"{text}; 0.1 ms is assumed")
        if state is not FeatureState.ON:
            return tuple(texts)
        if BOUNDS[self.model] is None:
            texts.append(
                f"HRTICK_DL is on, and no bound is known for the preemption model {self.model}: "
                "the tick counts (preempt=full on the kernel's command line helps)"
            )
        elif (late := self.lateness) is not None and late >= tick + self.delay:
            text = f"HRTICK_DL is on, and budgets end up to {format_duration(late)} late"
            texts.append(f"{text}: the tick counts")
        if self.measured.largest is None:
            cause = self.measured.cause or _NOT_YET
            text = f"the lateness of budgets was not measured: {cause}"
            texts.append(f"{text}; the bound of the preemption model counts alone")
        return tuple(texts)


class BudgetTimer:
    """``begin`` and ``look`` are called under one lock, the others from any thread.

    ``clock`` is monotonic, in seconds.
    """

    def __init__(
        self,
        *,
        feature: HrtickFeature,
        read_model: ReadModel,
        clock: MonotonicClock,
    ) -> None:
        self._feature = feature
        self._read_model = read_model
        self._clock = clock
        self._begun = False
        self._trusted_at = self._again_at = self._watched = self._measured_due = 0.0
        self._findings = Findings()
        self.status = TimerStatus(
            permitted=feature.permitted,
            hrtick=Hrtick(state=FeatureState.OFF),
            trusted=False,
            by_k40s=False,
            model=Preemption.UNKNOWN,
            measured=self._findings.counted,
        )

    def begin(self, *, in_use: bool) -> None:
        """Switch the feature on where that is permitted; once. See ``HrtickFeature.begin``."""
        if self._begun:
            return
        self._begun = True
        self._trusted_at = self._clock()
        hrtick = self._feature.begin(in_use=in_use)
        self._again_at = self._trusted_at + _pause(hrtick)
        self._note(hrtick)
        level = logging.ERROR if hrtick.cause and self._feature.permitted else logging.INFO
        log.log(level, "budget timer", extra={"hrtick_dl": hrtick.state, "cause": hrtick.cause})

    def is_measurement_due(self) -> bool:
        """Whether to measure now: at the start, soon again, then rarely."""
        return self._begun and self._clock() >= self._measured_due

    def ends_budgets(self) -> bool:
        """Whether the feature is on, so that overruns are its own and not the tick's."""
        return self._feature.read().state is FeatureState.ON

    def note(self, found: Measurement) -> None:
        """Take over a measurement; what counts of all is up to ``Findings``."""
        self._findings = self._findings.after(found)
        lacks = found.by_calls is None or (found.largest is None and self.ends_budgets())
        pause = CONFIRMED_SECONDS if self._findings.is_doubted else MEASURED_SECONDS
        self._measured_due = self._clock() + (min(FAILED_SECONDS, pause) if lacks else pause)
        log.info(
            "lateness measured",
            extra={
                "user_ns": found.user,
                "calls_ns": found.calls,
                "by_calls_ns": found.by_calls,
                "cause": found.cause,
            },
        )

    def has_changed(self) -> bool:
        """Whether ``look`` has something to do; reads feature and model once a second.

        The model of a dynamic kernel can be switched at run time, as the feature can.
        """
        now = self._clock()
        if not self._begun or now < self._watched:
            return False
        self._watched = now + WATCH_SECONDS
        status = self.status
        return (
            self._feature.read().state is not status.hrtick.state
            or self._findings.counted != status.measured
            or (status.hrtick.state is FeatureState.ON and self._read_model() is not status.model)
            or (not status.trusted and now >= self._trusted_at)
            or self._may_regain(status.hrtick, now)
        )

    def look(self) -> None:
        """Take over what has changed; switch a lost feature on again where that is permitted."""
        now, before = self._clock(), self.status
        hrtick = self._feature.read()
        if hrtick.state is before.hrtick.state:
            hrtick = before.hrtick
        elif hrtick.state is FeatureState.ON:
            hrtick = self._feature.join(in_use=True)
        elif before.hrtick.state is FeatureState.ON:
            log.error(
                "HRTICK_DL lost: what was admitted on it is enforced at the tick",
                extra={"state": hrtick.state, "again": self._feature.permitted},
            )
            self.status = replace(before, losses=before.losses + 1)
            self._trusted_at = now + TRUSTED_SECONDS
        if self._may_regain(hrtick, now):
            hrtick = self._feature.switch_on()
            self._again_at = now + _pause(hrtick)
            self._trusted_at = now + TRUSTED_SECONDS
            log.warning(
                "HRTICK_DL switched on again",
                extra={"hrtick_dl": hrtick.state, "cause": hrtick.cause},
            )
        self._note(hrtick)
        if self._comes_on(before) and self.status.measured.largest is None:
            self._measured_due = now

    def end(self, *, in_use: bool) -> str:
        """Restore the feature, unless reservations or others count on it; why not, if not."""
        return "" if in_use or not self._begun else self._feature.put_back()

    def _comes_on(self, before: TimerStatus) -> bool:
        states = (before.hrtick.state, self.status.hrtick.state)
        return states[0] is not FeatureState.ON and states[1] is FeatureState.ON

    def _may_regain(self, hrtick: Hrtick, now: float) -> bool:
        return (
            hrtick.state is FeatureState.OFF and self._feature.permitted and now >= self._again_at
        )

    def _note(self, hrtick: Hrtick) -> None:
        self.status = replace(
            self.status,
            hrtick=hrtick,
            trusted=self._clock() >= self._trusted_at,
            by_k40s=self._feature.is_marked(),
            model=self._read_model(),
            measured=self._findings.counted,
        )


def _pause(hrtick: Hrtick) -> float:
    """Until it may be switched on again, should it be lost, or tried again."""
    return AGAIN_SECONDS if hrtick.state is FeatureState.ON else REFUSED_SECONDS

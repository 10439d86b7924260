"""Detects a hazard in one metric: level, trend and change point, with hysteresis.

The first stage of the k4.0s monitor (paper, IV-B): "periodic sampling and trend estimation".
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum, unique

from k40s.assurance.change_point import Cusum, accumulate
from k40s.assurance.metrics import Metric
from k40s.assurance.trend import find_slope
from k40s.units import NS_PER_S, Nanoseconds

TREND_SAMPLES = 5
"""A trend is estimated over so many samples (the authors' prototype used as many)."""


@unique
class Victim(StrEnum):
    """Whom a hazard harms: most kinds of stress slow ordinary threads alone."""

    REAL_TIME = "real-time"
    """Tasks under SCHED_FIFO or SCHED_DEADLINE."""
    ORDINARY = "ordinary"
    """Threads of critical pods under the ordinary policies."""


EVERY_VICTIM = frozenset(Victim)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """When a metric is a hazard, and for whom (``harms``).

    A sample is *high* at ``raise_at`` or above, or from ``clear_at`` on while surely rising by
    ``trend`` per second or more; it is *calm* below ``clear_at``. ``votes`` high ones among the
    last ``window`` samples raise the alarm, as many calm ones clear it, and it changes no sooner
    than ``hold`` after its last change. So a rank of the window, which ``window - votes`` outliers
    do not move, is what is compared. ``change`` raises it sooner, at a jump far above the usual.
    """

    metric: Metric
    raise_at: float
    clear_at: float
    trend: float | None = None
    votes: int = 6
    window: int = 8
    hold: Nanoseconds = Nanoseconds(5 * NS_PER_S)
    change: Cusum | None = None
    harms: frozenset[Victim] = EVERY_VICTIM

    def __post_init__(self) -> None:
        if not 0 < self.clear_at <= self.raise_at:
            raise ValueError(f"rule for {self.metric} breaks 0 < clear_at <= raise_at")
        if self.trend is not None and self.trend <= 0:
            raise ValueError(f"rule for {self.metric} has a trend that is not a rise")
        if not 0 < self.votes <= self.window < 2 * self.votes:
            raise ValueError(f"rule for {self.metric} breaks window/2 < votes <= window")
        if self.change is not None and self.change.reference < self.clear_at:
            raise ValueError(f"rule for {self.metric} breaks clear_at <= reference")
        if not self.harms:
            raise ValueError(f"rule for {self.metric} harms nobody")

    def __hash__(self) -> int:
        """Of the metric alone: rules are looked up in every sample, and few share a metric."""
        return hash(self.metric)


@unique
class Trigger(StrEnum):
    """What raised an alarm."""

    LEVEL = "level"
    """Enough of the last samples were high."""
    CHANGE = "change"
    """The metric has jumped: CUSUM has reached its decision value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmState:
    """An alarm between two samples; begins inactive. ``changed`` is when it last changed.

    ``excess`` is the CUSUM sum, ``trigger`` what raised the alarm that is active.
    """

    active: bool = False
    changed: Nanoseconds | None = None
    times: tuple[Nanoseconds, ...] = ()
    values: tuple[float, ...] = ()
    high: tuple[bool, ...] = ()
    excess: float = 0.0
    trigger: Trigger | None = None

    @property
    def suspicious(self) -> bool:
        """Whether the last sample speaks for a hazard: it is high, or CUSUM sums up an excess."""
        return bool(self.high and self.high[-1]) or self.excess > 0


def observe(state: AlarmState, rule: Rule, *, at: Nanoseconds, value: float) -> AlarmState:
    """The alarm after one more sample, which must be later than the last."""
    kept = max(rule.window, TREND_SAMPLES) - 1
    times = (*state.times[-kept:], at)
    values = (*state.values[-kept:], value)
    state = AlarmState(
        active=state.active,
        changed=state.changed,
        times=times,
        values=values,
        high=(*state.high[1 - rule.window :], _is_high(rule, times, values))[-rule.window :],
        excess=0.0 if rule.change is None else accumulate(state.excess, rule.change, value),
        trigger=state.trigger,
    )
    if state.changed is not None and at - state.changed < rule.hold:
        return state
    if state.active:
        calm = sum(value < rule.clear_at for value in values[-rule.window :])
        if calm < rule.votes:
            return state
        return replace(state, active=False, changed=at, excess=0.0, trigger=None)
    trigger = _trigger(state, rule)
    return state if trigger is None else replace(state, active=True, changed=at, trigger=trigger)


def _trigger(state: AlarmState, rule: Rule) -> Trigger | None:
    if rule.change is not None and state.excess >= rule.change.decision:
        return Trigger.CHANGE
    return Trigger.LEVEL if state.high.count(True) >= rule.votes else None


def _is_high(rule: Rule, times: Sequence[Nanoseconds], values: Sequence[float]) -> bool:
    """Whether the last sample is; a rise counts if it is sure, and above the clearing value."""
    if values[-1] >= rule.raise_at:
        return True
    if rule.trend is None or values[-1] < rule.clear_at or len(values) < TREND_SAMPLES:
        return False
    slope = find_slope(times[-TREND_SAMPLES:], values[-TREND_SAMPLES:])
    return slope.estimate >= rule.trend and slope.low > 0


DEFAULT_RULES = (
    Rule(
        metric=Metric.CPU_SYSTEM,
        raise_at=0.5,
        clear_at=0.3,
        trend=0.15,
        harms=frozenset({Victim.ORDINARY}),
    ),
    Rule(
        metric=Metric.RUN_QUEUE,
        raise_at=6.0,
        clear_at=4.0,
        trend=2.0,
        change=Cusum(reference=7.0, decision=3.0),
        harms=frozenset({Victim.ORDINARY}),
    ),
    Rule(
        metric=Metric.KERNEL_QUEUE,
        raise_at=2.0,
        clear_at=1.0,
        change=Cusum(reference=2.0, decision=1.0),
        harms=frozenset({Victim.ORDINARY}),
    ),
    Rule(
        metric=Metric.KERNEL_STRETCH,
        raise_at=0.35,
        clear_at=0.2,
        change=Cusum(reference=0.35, decision=0.3),
        harms=frozenset({Victim.REAL_TIME}),
    ),
)
"""Chosen by measurement: docs/assurance.md."""

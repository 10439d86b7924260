"""Detects a hazard in one metric: threshold and trend, N of the last M samples, hysteresis.

The first stage of the k4.0s monitor (paper, IV-B): "periodic sampling and trend estimation".
"""

from collections.abc import Sequence
from dataclasses import dataclass

from k40s.assurance.metrics import Metric
from k40s.units import NS_PER_S, Nanoseconds

TREND_SAMPLES = 5
"""A trend is estimated over so many samples (the authors' prototype used as many)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """When a metric is a hazard.

    A sample is *high* at ``raise_at`` or above, or above ``clear_at`` while rising by ``trend``
    per second or more; it is *calm* below ``clear_at``. ``votes`` high ones among the last
    ``window`` samples raise the alarm, as many calm ones clear it, and it changes no sooner than
    ``hold`` after its last change.
    """

    metric: Metric
    raise_at: float
    clear_at: float
    trend: float | None = None
    votes: int = 6
    window: int = 8
    hold: Nanoseconds = Nanoseconds(5 * NS_PER_S)

    def __post_init__(self) -> None:
        if not 0 < self.clear_at <= self.raise_at:
            raise ValueError(f"rule for {self.metric} breaks 0 < clear_at <= raise_at")
        if self.trend is not None and self.trend <= 0:
            raise ValueError(f"rule for {self.metric} has a trend that is not a rise")
        if not 0 < self.votes <= self.window < 2 * self.votes:
            raise ValueError(f"rule for {self.metric} breaks window/2 < votes <= window")


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmState:
    """An alarm between two samples; begins inactive. ``changed`` is when it last changed."""

    active: bool = False
    changed: Nanoseconds | None = None
    times: tuple[Nanoseconds, ...] = ()
    values: tuple[float, ...] = ()
    high: tuple[bool, ...] = ()


def observe(state: AlarmState, rule: Rule, *, at: Nanoseconds, value: float) -> AlarmState:
    """The alarm after one more sample, which must be later than the last."""
    kept = max(rule.window, TREND_SAMPLES) - 1
    times = (*state.times[-kept:], at)
    values = (*state.values[-kept:], value)
    high = (*state.high[1 - rule.window :], _is_high(rule, times, values))[-rule.window :]
    calm = [value < rule.clear_at for value in values[-rule.window :]]
    decisive = calm.count(True) if state.active else high.count(True)
    changes = decisive >= rule.votes and (state.changed is None or at - state.changed >= rule.hold)
    return AlarmState(
        active=state.active != changes,
        changed=at if changes else state.changed,
        times=times,
        values=values,
        high=high,
    )


def slope(times: Sequence[Nanoseconds], values: Sequence[float]) -> float:
    """The least-squares rise per second. Constant values give exactly zero."""
    seconds = [(time - times[0]) / NS_PER_S for time in times]
    rises = [value - values[0] for value in values]
    mean = sum(seconds) / len(seconds)
    spread = sum((second - mean) ** 2 for second in seconds)
    return sum((s - mean) * rise for s, rise in zip(seconds, rises, strict=True)) / spread


def _is_high(rule: Rule, times: Sequence[Nanoseconds], values: Sequence[float]) -> bool:
    if values[-1] >= rule.raise_at:
        return True
    if rule.trend is None or values[-1] < rule.clear_at or len(values) < TREND_SAMPLES:
        return False
    return slope(times[-TREND_SAMPLES:], values[-TREND_SAMPLES:]) >= rule.trend


DEFAULT_RULES = (
    Rule(metric=Metric.CPU_SYSTEM, raise_at=0.5, clear_at=0.3, trend=0.15),
    Rule(metric=Metric.RUN_QUEUE, raise_at=6.0, clear_at=4.0, trend=2.0),
)
"""Chosen by measurement: docs/assurance.md."""

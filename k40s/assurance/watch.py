"""The node's state as a fold over samples: counters to metrics, alarms and γ."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from k40s.assurance.counters import Counters
from k40s.assurance.detector import AlarmState, Rule, observe
from k40s.assurance.gamma import GammaPolicy, GammaState, follow
from k40s.assurance.metrics import Metric, metrics_between


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchState:
    """Everything the monitor knows after a sample."""

    counters: Counters | None = None
    metrics: Mapping[Metric, float] = field(default_factory=dict)
    alarms: Mapping[Rule, AlarmState] = field(default_factory=dict)
    gamma: GammaState = field(default_factory=GammaState)

    @property
    def hazards(self) -> tuple[Metric, ...]:
        """The metrics whose alarms are active, each once, in order."""
        return tuple(sorted({rule.metric for rule, alarm in self.alarms.items() if alarm.active}))


def advance(
    state: WatchState, sample: Counters, *, rules: tuple[Rule, ...], policy: GammaPolicy
) -> WatchState:
    """The state after one more sample. An alarm whose metric is missing stays as it is."""
    if state.counters is None:
        return replace(state, counters=sample)
    metrics = metrics_between(state.counters, sample)
    alarms = {rule: _alarm(state, rule, metrics, sample) for rule in rules}
    hazardous = any(alarm.active for alarm in alarms.values())
    return WatchState(
        counters=sample,
        metrics=metrics,
        alarms=alarms,
        gamma=follow(state.gamma, policy, at=sample.at, hazardous=hazardous),
    )


def _alarm(
    state: WatchState, rule: Rule, metrics: Mapping[Metric, float], sample: Counters
) -> AlarmState:
    alarm = state.alarms.get(rule, AlarmState())
    value = metrics.get(rule.metric)
    return alarm if value is None else observe(alarm, rule, at=sample.at, value=value)

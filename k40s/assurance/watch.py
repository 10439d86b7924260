"""The node's state as a fold over samples: counters to metrics, alarms and γ."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from k40s.assurance.counters import Counters
from k40s.assurance.detector import EVERY_VICTIM, AlarmState, Rule, Victim, observe
from k40s.assurance.gamma import GammaPolicy, GammaState, Severity, assess, postpone, recover
from k40s.assurance.metrics import Metric, metrics_between
from k40s.assurance.response.harm import Gauge, HarmState
from k40s.units import Nanoseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchState:
    """The monitor's state after a sample.

    ``blind`` are the metrics of rules that the sample lacks: nothing is known by these rules.
    """

    counters: Counters | None = None
    metrics: Mapping[Metric, float] = field(default_factory=dict)
    alarms: Mapping[Rule, AlarmState] = field(default_factory=dict)
    blind: tuple[Metric, ...] = ()
    gamma: GammaState = field(default_factory=GammaState)
    harm: HarmState = field(default_factory=HarmState)
    severity: Severity | None = None
    """That of the sample; None where it is unknown."""

    @property
    def hazards(self) -> tuple[Metric, ...]:
        """The metrics whose alarms are active, each once, in order."""
        return self.hazards_for(EVERY_VICTIM)

    def hazards_for(self, victims: Collection[Victim]) -> tuple[Metric, ...]:
        """Those among them that are a hazard for one of these victims.

        With the victims that are present on a node it says whether anybody is in danger now; a
        level that speaks for pods to come counts all of them (``hazards``).
        """
        harmful = {
            rule.metric
            for rule, alarm in self.alarms.items()
            if alarm.active and not rule.harms.isdisjoint(victims)
        }
        return tuple(sorted(harmful))

    @property
    def high(self) -> bool:
        """Whether the last sample spoke for a hazard by any rule."""
        return any(alarm.suspicious for alarm in self.alarms.values())

    @property
    def alarmed(self) -> bool:
        """Whether any alarm is active."""
        return any(alarm.active for alarm in self.alarms.values())

    def settled(self, rules: Collection[Rule]) -> bool:
        """Whether no rule is blind, and each has a whole window that is calm, and no alarm."""
        return not self.blind and all(
            _is_settled(self.alarms.get(rule, AlarmState()), rule) for rule in rules
        )

    def seen_by(self, victims: Collection[Victim]) -> "WatchState":
        """The state with the rules alone whose alarms are a hazard for one of these victims."""
        alarms = {
            rule: alarm for rule, alarm in self.alarms.items() if not rule.harms.isdisjoint(victims)
        }
        return replace(self, alarms=alarms)


def advance(
    state: WatchState,
    sample: Counters,
    *,
    rules: tuple[Rule, ...],
    policy: GammaPolicy,
    harm: HarmState,
) -> WatchState:
    """The state after one more sample.

    An alarm whose metric is missing stays as it is, and γ does not rise meanwhile. ``harm`` is the
    gauge of harm at that time.
    """
    if state.counters is None:
        return replace(state, counters=sample, harm=harm)
    metrics = metrics_between(state.counters, sample)
    alarms = {
        rule: _observed(state.alarms.get(rule, AlarmState()), rule, metrics, at=sample.at)
        for rule in rules
    }
    blind = tuple(sorted({rule.metric for rule in rules} - metrics.keys()))
    severity = assess(
        alarm=any(alarm.active for alarm in alarms.values()),
        harmed=harm.harmed,
        missed=harm.shows(Gauge.MISSES),
    )
    known = None if severity is Severity.NONE and blind else severity
    unseen = Nanoseconds(sample.at - state.counters.at)
    return WatchState(
        counters=sample,
        metrics=metrics,
        alarms=alarms,
        blind=blind,
        gamma=postpone(state.gamma, unseen)
        if known is None
        else recover(state.gamma, policy, at=sample.at, severity=known),
        harm=harm,
        severity=known,
    )


def refine(state: WatchState, turns: Sequence[Counters]) -> WatchState:
    """The state with its last turns one by one, which were judged together, or not yet.

    All but the first were quiet, by rules that ``may_wait``: alarms stay as they are, and so does
    γ. But a trend is of single turns. Rules that have judged nothing yet are left alone.
    """
    alarms = {rule: _rewound(alarm, turns[0].at) for rule, alarm in state.alarms.items()}
    for earlier, later in pairwise(turns):
        metrics = metrics_between(earlier, later)
        alarms = {
            rule: _observed(alarm, rule, metrics, at=later.at) for rule, alarm in alarms.items()
        }
    return replace(state, counters=turns[-1], alarms=alarms)


def _is_settled(alarm: AlarmState, rule: Rule) -> bool:
    window = alarm.values[-rule.window :]
    calm = len(window) == rule.window and max(window) < rule.clear_at
    return calm and not alarm.active and not alarm.excess


def _rewound(alarm: AlarmState, at: Nanoseconds) -> AlarmState:
    """Without what it has observed later."""
    kept = sum(time <= at for time in alarm.times)
    dropped = len(alarm.times) - kept
    return replace(
        alarm,
        times=alarm.times[:kept],
        values=alarm.values[:kept],
        high=alarm.high[: max(0, len(alarm.high) - dropped)],
    )


def _observed(
    alarm: AlarmState, rule: Rule, metrics: Mapping[Metric, float], *, at: Nanoseconds
) -> AlarmState:
    """The alarm after one more sample; one without its metric leaves it as it is."""
    value = metrics.get(rule.metric)
    return alarm if value is None else observe(alarm, rule, at=at, value=value)

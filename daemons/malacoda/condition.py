"""The Node's condition k40s.io/AssuranceReduced: why γ is below 10. Pure."""

from datetime import datetime
from enum import StrEnum, unique

from k40s.annotations import ASSURANCE_REDUCED_CONDITION, NodeAssurance
from k40s.assurance.detector import Rule
from k40s.assurance.gamma import HIGHEST, GammaPolicy, Severity
from k40s.assurance.response.harm import Gauge, Harm
from k40s.assurance.watch import WatchState
from k40s.criticality import Criticality
from k40s.kube.records import NodeCondition
from k40s.units import NS_PER_S


@unique
class ConditionReason(StrEnum):
    """The condition's reason: a closed set."""

    NO_HAZARD = "NoHazard"
    HAZARD_ALARM = "HazardAlarm"
    PODS_HARMED = "CriticalPodsHarmed"
    DEADLINES_MISSED = "DeadlinesMissed"


_REASONS = {
    Severity.NONE: ConditionReason.NO_HAZARD,
    Severity.ALARM: ConditionReason.HAZARD_ALARM,
    Severity.HARMED: ConditionReason.PODS_HARMED,
    Severity.MISSED: ConditionReason.DEADLINES_MISSED,
}
_GAUGES = {
    Gauge.PRESSURE: "a critical pod waits for its CPUs {value:.1f} ms a second",
    Gauge.REPORT: "a critical pod reports that it is late",
    Gauge.MISSES: "{value:.0f} jobs of a critical pod took longer than they may",
}


def describe_condition(
    published: NodeAssurance,
    watched: WatchState,
    *,
    policy: GammaPolicy,
    fit: Criticality,
    since: datetime,
) -> NodeCondition:
    """The condition at the time of a change, which is when its figures are from.

    ``fit`` is the highest criticality that the level is fit for. Pods are not named: whoever may
    read Nodes reads this.
    """
    reduced = published.state < HIGHEST
    level = f"level {published.level} of 20, fit for {fit.name}"
    if not reduced:
        message = f"γ is 10 of 10: {level}"
    elif watched.severity in (None, Severity.NONE):
        calm = policy.calm(published.falls) // NS_PER_S
        message = (
            f"γ is {published.state} of 10: {level}; no hazard is seen now, γ rises after {calm} s "
            f"of calm and then by {policy.step} every {policy.every // NS_PER_S} s"
        )
    else:
        evidence = "; ".join((*_alarms(watched), *map(_describe, _worst(watched.harm.evidence))))
        message = f"γ is {published.state} of 10: {level}; {evidence}"
    return NodeCondition(
        kind=ASSURANCE_REDUCED_CONDITION,
        status=reduced,
        reason=_REASONS[published.cause if reduced else Severity.NONE].value,
        message=message,
        since=since,
    )


def _alarms(watched: WatchState) -> list[str]:
    active = [rule for rule, alarm in watched.alarms.items() if alarm.active]
    return [_alarm(rule, watched) for rule in sorted(active, key=lambda rule: rule.metric)]


def _alarm(rule: Rule, watched: WatchState) -> str:
    value = watched.metrics.get(rule.metric)
    shown = "is not known now" if value is None else f"is {value:.2f}"
    return f"{rule.metric.value} {shown}, a hazard from {rule.raise_at:g} on"


def _worst(evidence: tuple[Harm, ...]) -> list[Harm]:
    """The worst of each gauge."""
    worst: dict[Gauge, Harm] = {}
    for harm in evidence:
        if harm.gauge not in worst or harm.value > worst[harm.gauge].value:
            worst[harm.gauge] = harm
    return list(worst.values())


def _describe(harm: Harm) -> str:
    value = harm.value / 1000 if harm.gauge is Gauge.PRESSURE else harm.value
    return _GAUGES[harm.gauge].format(value=value)

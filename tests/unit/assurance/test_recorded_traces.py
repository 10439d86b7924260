"""The built-in rules on recorded traces: how soon they find stress, what churn makes of them."""

import json
from pathlib import Path

import pytest

from k40s.assurance.detector import DEFAULT_RULES, AlarmState, Rule, Victim, observe
from k40s.assurance.metrics import Metric
from k40s.units import NS_PER_S, Nanoseconds

Trace = list[tuple[float, float, float]]

RECORDED = json.loads(Path("tests/fixtures/detection/recorded.json").read_text(encoding="utf-8"))
QUIET = 4
"""Samples before the stress begins."""
CLEAR = (
    *("open x8", "open x16", "fork x8", "fork x16", "udp x8", "udp x16"),
    *("netdev x8", "udp+io x8", "cpu x8"),
)


def alarms(trace: Trace, rule: Rule) -> list[int]:
    """The samples, from 1 on, at which the rule's alarm is raised."""
    alarm, raised = AlarmState(), []
    for number, (system, queue, stretch) in enumerate(trace, start=1):
        values = {
            Metric.CPU_SYSTEM: system,
            Metric.RUN_QUEUE: queue,
            Metric.KERNEL_QUEUE: system * queue,
            Metric.KERNEL_STRETCH: stretch,
        }
        before = alarm.active
        at = Nanoseconds(number * NS_PER_S // 2)
        alarm = observe(alarm, rule, at=at, value=values[rule.metric])
        if alarm.active and not before:
            raised.append(number)
    return raised


def first(trace: Trace, victim: Victim) -> int | None:
    """Samples from the onset of stress to the first alarm that is a hazard for this victim."""
    found = [
        number for rule in DEFAULT_RULES if victim in rule.harms for number in alarms(trace, rule)
    ]
    return min(found) - QUIET if found else None


@pytest.mark.parametrize("kind", CLEAR)
def test_a_clear_hazard_raises_the_alarm_within_three_samples(kind: str) -> None:
    delays = [first(trace, Victim.ORDINARY) for trace in RECORDED["stress"][kind]]

    assert all(delay is not None and 1 <= delay <= 3 for delay in delays)


def test_stress_that_harms_real_time_tasks_is_found_and_next_to_no_other() -> None:
    delays = {
        kind: [first(trace, Victim.REAL_TIME) for trace in traces]
        for kind, traces in RECORDED["stress"].items()
    }

    harmful = {kind: found for kind, found in delays.items() if kind.startswith("open")}
    assert harmful == {"open x2": [3], "open x4": [8, 2], "open x8": [4, 3], "open x16": [2]}
    others = {kind for kind, found in delays.items() if kind not in harmful and any(found)}
    assert others == {"netdev x4", "udp x16"}
    assert len(delays) - len(harmful) == 21


@pytest.mark.parametrize("act", RECORDED["churn"])
def test_ordinary_acts_raise_no_alarm(act: str) -> None:
    raised = {rule.metric for rule in DEFAULT_RULES if alarms(RECORDED["churn"][act], rule)}

    crowded = act.startswith("10 python imports at once")
    assert raised == ({Metric.RUN_QUEUE} if crowded else set())


def test_all_acts_one_after_the_other_raise_no_other_alarm() -> None:
    whole = [sample for trace in RECORDED["churn"].values() for sample in trace]

    raised = [rule.metric for rule in DEFAULT_RULES for _ in alarms(whole, rule)]

    assert raised == [Metric.RUN_QUEUE]

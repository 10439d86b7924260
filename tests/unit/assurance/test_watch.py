from dataclasses import replace

import pytest

from k40s.assurance.counters import Counters, CpuTimes, StatCounters
from k40s.assurance.detector import DEFAULT_RULES, EVERY_VICTIM, AlarmState, Victim
from k40s.assurance.gamma import GammaPolicy, Severity
from k40s.assurance.metrics import Metric
from k40s.assurance.response.harm import Gauge, Harm, HarmState
from k40s.assurance.watch import WatchState, advance, refine
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds

POLICY = GammaPolicy(timeout=Nanoseconds(NS_PER_S))
PRESSED = Harm(uid="u", gauge=Gauge.PRESSURE, value=12_000.0)


class Node:
    """A node of one CPU whose counters are driven by the test, two samples per second."""

    def __init__(self) -> None:
        self.state = WatchState()
        self.harm = HarmState()
        self._at = 0
        self._system = 0
        self._idle = 0

    def spend(self, system: int, samples: int) -> None:
        """So many samples in which ``system`` percent of the time went into the kernel."""
        for _ in range(samples):
            self._at += 500 * NS_PER_MS
            self._system += system
            self._idle += 100 - system
            self._advance(
                StatCounters(
                    own=CpuTimes(
                        user=0, system=self._system, idle=self._idle, iowait=0, irq=0, steal=0
                    ),
                    own_cpus=1,
                    others=CpuTimes(user=0, system=0, idle=0, iowait=0, irq=0, steal=0),
                    other_cpus=0,
                    contexts=self._at // 100_000,
                    forks=0,
                    running=1,
                )
            )

    def lose_stat(self, samples: int) -> None:
        """So many samples without /proc/stat."""
        for _ in range(samples):
            self._at += 500 * NS_PER_MS
            self._advance(None)

    def _advance(self, stat: StatCounters | None) -> None:
        self.state = advance(
            self.state,
            Counters(at=Nanoseconds(self._at), stat=stat),
            rules=DEFAULT_RULES,
            policy=POLICY,
            harm=self.harm,
        )


def test_the_first_sample_is_only_a_beginning() -> None:
    node = Node()

    node.spend(system=100, samples=1)

    assert node.state.metrics == {}
    assert node.state.gamma.value == 10


def test_a_calm_node_keeps_its_ten() -> None:
    node = Node()

    node.spend(system=20, samples=100)

    assert (node.state.hazards, node.state.gamma.value) == ((), 10)


def test_a_stressed_node_falls_below_hi_within_five_seconds() -> None:
    node = Node()
    node.spend(system=5, samples=10)

    node.spend(system=80, samples=10)

    assert node.state.hazards == (Metric.CPU_SYSTEM,)
    assert node.state.gamma.value == 5


def test_an_alarm_alone_lowers_it_once_and_calm_raises_it_again() -> None:
    node = Node()
    node.spend(system=80, samples=200)
    assert node.state.gamma.value == 5

    node.spend(system=5, samples=50)
    assert (node.state.hazards, node.state.gamma.value) == ((), 5)

    node.spend(system=5, samples=30)
    assert node.state.gamma.value == 10


def test_an_alarm_that_harms_nobody_lowers_nothing() -> None:
    node = Node()
    node.harm = HarmState(harmed=False)

    node.spend(system=80, samples=200)

    assert node.state.hazards == (Metric.CPU_SYSTEM,)
    assert (node.state.gamma.value, node.state.severity) == (10, Severity.NONE)


def test_one_that_harms_lowers_it_further() -> None:
    node = Node()
    node.harm = HarmState(harmed=True, evidence=(PRESSED,))

    node.spend(system=80, samples=20)

    assert (node.state.gamma.value, node.state.gamma.cause) == (3, Severity.HARMED)


def test_missed_deadlines_lower_it_to_zero() -> None:
    node = Node()
    missed = Harm(uid="u", gauge=Gauge.MISSES, value=2.0)
    node.harm = HarmState(harmed=True, evidence=(PRESSED, missed))

    node.spend(system=80, samples=20)

    assert node.state.gamma.value == 0


@pytest.mark.parametrize("gauge", Gauge)
def test_harm_without_an_alarm_lowers_nothing(gauge: Gauge) -> None:
    node = Node()
    node.harm = HarmState(harmed=True, evidence=(Harm(uid="u", gauge=gauge, value=12_000.0),))

    node.spend(system=5, samples=200)

    assert node.state.gamma.value == 10


def test_a_metric_that_is_missing_is_no_calm() -> None:
    node = Node()
    node.spend(system=80, samples=20)
    node.spend(system=5, samples=30)

    node.lose_stat(samples=500)

    assert node.state.hazards == ()
    assert (node.state.gamma.value, node.state.severity) == (5, None)


def test_an_alarm_whose_metric_is_missing_stays() -> None:
    node = Node()
    node.spend(system=80, samples=10)

    node.lose_stat(samples=50)

    assert node.state.hazards == (Metric.CPU_SYSTEM,)
    assert node.state.gamma.value == 5


def test_gamma_does_not_rise_while_a_rules_metric_is_missing() -> None:
    node = Node()
    node.spend(system=80, samples=40)
    node.spend(system=5, samples=12)
    assert (node.state.hazards, node.state.gamma.value) == ((), 5)

    node.lose_stat(samples=200)
    assert node.state.blind == (
        Metric.CPU_SYSTEM,
        Metric.KERNEL_QUEUE,
        Metric.KERNEL_STRETCH,
        Metric.RUN_QUEUE,
    )
    assert (node.state.gamma.value, node.state.severity) == (5, None)

    node.spend(system=5, samples=5)
    assert (node.state.blind, node.state.gamma.value) == ((), 5)
    node.spend(system=5, samples=60)
    assert node.state.gamma.value == 10


def test_gamma_rises_by_the_calm_that_is_seen_though_every_other_sample_lacks_a_metric() -> None:
    node = Node()
    node.spend(system=80, samples=40)
    node.spend(system=5, samples=12)

    for _ in range(60):
        node.lose_stat(samples=1)
        node.spend(system=5, samples=2)

    assert node.state.gamma.value == 10


FOR_REAL_TIME, FOR_ORDINARY = (
    next(rule for rule in DEFAULT_RULES if rule.harms == {victim}) for victim in Victim
)


def test_a_hazard_is_one_for_the_victims_of_its_rule_alone() -> None:
    state = WatchState(alarms={FOR_REAL_TIME: AlarmState(), FOR_ORDINARY: AlarmState(active=True)})

    assert state.hazards == (FOR_ORDINARY.metric,)
    assert state.hazards_for({Victim.ORDINARY}) == (FOR_ORDINARY.metric,)
    assert state.hazards_for({Victim.REAL_TIME}) == ()
    assert state.hazards_for(set()) == ()


def test_seen_by_a_victim_other_rules_count_neither_as_alarm_nor_as_high() -> None:
    high = AlarmState(active=True, high=(True,))
    state = WatchState(alarms={FOR_REAL_TIME: AlarmState(high=(False,)), FOR_ORDINARY: high})

    seen = state.seen_by({Victim.REAL_TIME})

    assert (seen.hazards, seen.high) == ((), False)
    assert (state.hazards, state.high) == ((FOR_ORDINARY.metric,), True)
    assert state.seen_by(EVERY_VICTIM) == state


def test_a_hazard_toggled_every_20_s_for_half_an_hour_downgrades_at_most_twice() -> None:
    node = Node()
    downgrades = 0
    for _ in range(45):
        for system in (80, 5):
            for _ in range(40):
                before = node.state.gamma.value
                node.spend(system=system, samples=1)
                downgrades += node.state.gamma.value < before

    assert downgrades == 1
    assert node.state.gamma.value == 5


CALM = AlarmState(values=(0.1,) * 8)


@pytest.mark.parametrize(
    ("alarm", "settled"),
    [
        (CALM, True),
        (replace(CALM, values=(0.9, *CALM.values)), True),
        (replace(CALM, values=(0.3, *CALM.values[1:])), False),
        (replace(CALM, values=CALM.values[1:]), False),
        (replace(CALM, excess=0.1), False),
        (replace(CALM, active=True), False),
        (AlarmState(), False),
    ],
)
def test_it_is_settled_when_every_window_is_full_and_calm(alarm: AlarmState, settled: bool) -> None:
    rules = DEFAULT_RULES[:2]
    state = WatchState(alarms=dict(zip(rules, (alarm, CALM), strict=True)))

    assert state.settled(rules) is settled
    assert not replace(state, blind=(Metric.CPU_SYSTEM,)).settled(rules)
    assert not state.settled(DEFAULT_RULES)


def turn(number: int) -> Counters:
    """A tenth of a second each, of ten ticks; one in the kernel."""
    none = CpuTimes(user=0, system=0, idle=0, iowait=0, irq=0, steal=0)
    own = replace(none, user=4 * number, system=number, idle=5 * number)
    stat = StatCounters(
        own=own, own_cpus=1, others=none, other_cpus=0, contexts=number, forks=0, running=1
    )
    return Counters(at=Nanoseconds(number * 100 * NS_PER_MS), stat=stat)


def test_the_last_turns_take_the_place_of_what_was_judged_of_them_together() -> None:
    (rule, *_) = DEFAULT_RULES
    turns = [turn(number) for number in range(1, 6)]
    state = WatchState()
    for one in (turn(0), turns[0], turns[4]):
        state = advance(state, one, rules=(rule,), policy=GammaPolicy(), harm=HarmState())
    assert len(state.alarms[rule].values) == 2

    state = refine(state, turns)

    alarm = state.alarms[rule]
    assert alarm.times == tuple(turn.at for turn in turns)
    assert len(alarm.values) == len(alarm.high) == 5
    assert state.counters == turns[4]


def test_turns_of_before_a_rule_came_are_none_of_its() -> None:
    (rule, *_) = DEFAULT_RULES
    turns = [turn(number) for number in range(3)]

    assert refine(WatchState(), turns).alarms == {}
    assert refine(WatchState(alarms={rule: AlarmState()}), turns).alarms.keys() == {rule}

import logging
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry

from daemons.malacoda.metrics import MonitorMetrics
from daemons.malacoda.monitor import Monitor
from k40s.assurance.detector import DEFAULT_RULES, Rule
from k40s.assurance.gamma import GammaPolicy, Severity
from k40s.assurance.metrics import Metric
from k40s.assurance.response.harm import HarmState
from k40s.units import NS_PER_S, Nanoseconds
from tests.fakes.malacoda.world import FakeClock, FakeCounters


class World:
    def __init__(self, rules: tuple[Rule, ...] = DEFAULT_RULES) -> None:
        self.clock = FakeClock()
        self.source = FakeCounters(self.clock)
        self.registry = CollectorRegistry()
        self.monitor = Monitor(
            source=self.source,
            rules=rules,
            policy=GammaPolicy(timeout=Nanoseconds(NS_PER_S)),
            metrics=MonitorMetrics(self.registry),
            clock=self.clock,
        )

    def tick(self, times: int) -> None:
        for _ in range(times):
            self.monitor.tick()

    def metric(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"k40s_malacoda_{name}", labels)


def test_it_has_verdict_once_every_window_is_full() -> None:
    world = World()
    world.tick(8)
    assert not world.monitor.has_verdict

    world.tick(1)

    assert world.monitor.has_verdict


def test_a_sample_without_the_cpus_times_judges_nothing() -> None:
    world = World()
    world.source.faults["stat"] = 1

    world.tick(30)

    assert not world.monitor.has_verdict
    assert world.monitor.age is None


def test_the_age_is_that_of_the_last_sample() -> None:
    world = World()
    assert world.monitor.age is None
    world.tick(1)

    world.clock.pass_seconds(3)

    assert world.monitor.age == 3 * NS_PER_S


def test_an_alarm_is_logged_with_its_evidence_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()
    world.tick(10)
    world.source.system = 90

    with caplog.at_level(logging.INFO):
        world.tick(10)
        world.source.system = 5
        world.tick(20)

    raised, cleared = caplog.records
    assert (raised.message, cleared.message) == ("alarm raised", "alarm cleared")
    assert vars(raised)["metric"] == "cpu-system"
    assert vars(raised)["values"]["cpu-system"] == 0.9
    (rule,) = vars(raised)["rules"]
    assert (rule["active"], rule["trigger"], rule["level"]) == (True, "level", 0.9)
    assert rule["harms"] == ["ordinary"]
    assert rule["slope"] == 0
    assert world.metric("alarms_total", metric="cpu-system") == 1
    assert world.metric("alarm", metric="cpu-system") == 0


def test_a_metric_that_is_missing_for_some_samples_is_logged_once_and_when_it_is_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()
    world.tick(10)

    with caplog.at_level(logging.INFO):
        world.source.lost = True
        world.tick(3)
        assert (caplog.records, world.monitor.blind) == ([], ())
        world.tick(20)
        assert world.monitor.blind == (
            Metric.CPU_SYSTEM,
            Metric.KERNEL_QUEUE,
            Metric.KERNEL_STRETCH,
            Metric.RUN_QUEUE,
        )
        world.source.lost = False
        world.tick(3)

    told = sorted((record.message, vars(record)["metric"]) for record in caplog.records)
    names = ("cpu-system", "kernel-queue", "kernel-stretch", "run-queue")
    assert told == [
        *(("metric is back", name) for name in names),
        *(("metric missing", name) for name in names),
    ]
    assert world.monitor.blind == ()


def test_the_last_sample_is_shown() -> None:
    world = World()
    world.source.system = 80
    world.tick(20)

    assert world.metric("metric", metric="cpu-system") == pytest.approx(0.8)
    assert world.metric("alarm", metric="cpu-system") == 1
    assert world.metric("alarm", metric="run-queue") == 0
    assert world.metric("state_assurance") == world.monitor.state.gamma.value == 5
    assert world.metric("downgrades") == 1
    assert world.metric("severity", severity="alarm") == 1
    assert world.metric("severity", severity="none") == 0
    assert world.metric("source_faults_total", source="pressure/cpu") == 20
    assert world.metric("source_faults_total", source="stat") == 0
    assert world.metric("sample_seconds_count") == 20


def test_without_rules_it_judges_nothing_and_then_waits_for_full_windows() -> None:
    world = World(rules=())
    world.source.system = 90
    world.tick(20)
    assert (world.monitor.has_verdict, world.monitor.state.hazards) == (False, ())

    world.monitor.follow(DEFAULT_RULES)
    world.tick(8)
    assert not world.monitor.has_verdict
    world.tick(1)

    assert world.monitor.has_verdict


def test_rules_that_replace_others_keep_the_alarms_of_those_that_stay() -> None:
    world = World()
    world.source.system = 90
    world.tick(20)
    system = DEFAULT_RULES[0]
    longer = replace(system, metric=Metric.CPU_STEAL, votes=20, window=30)

    world.monitor.follow((system, longer))
    world.tick(1)

    assert world.monitor.state.hazards == (Metric.CPU_SYSTEM,)
    assert world.monitor.has_verdict
    assert world.metric("alarm", metric="cpu-system") == 1
    assert world.metric("alarm", metric="cpu-steal") == 0
    assert world.metric("alarm", metric="run-queue") is None


def test_after_a_restart_it_begins_at_the_published_state() -> None:
    world = World()
    world.tick(1)

    world.monitor.resume(4, cause=Severity.HARMED, falls=3)
    world.monitor.resume(9, cause=Severity.ALARM, falls=1)

    gamma = world.monitor.state.gamma
    assert (gamma.value, gamma.cause, gamma.falls) == (4, Severity.HARMED, 3)


def test_what_harms_nobody_lowers_nothing() -> None:
    world = World()
    world.source.system = 90

    for _ in range(40):
        world.monitor.tick(HarmState(harmed=False))

    assert world.monitor.state.gamma.value == 10
    assert world.metric("severity", severity="none") == 1


def test_an_alarm_is_shown_with_the_sample_that_raises_it() -> None:
    world = World()
    world.source.seconds = 0.1
    world.tick(10)
    world.source.system = 90

    for _ in range(20):
        world.tick(1)
        assert world.metric("alarm", metric="cpu-system") == float(
            Metric.CPU_SYSTEM in world.monitor.state.hazards
        )

    assert world.metric("alarm", metric="cpu-system") == 1


def test_samples_may_wait_once_it_has_a_verdict_and_while_nothing_speaks_for_a_hazard() -> None:
    world = World()
    world.tick(9)
    assert world.source.closely == [True] * 9
    world.tick(1)
    assert world.source.closely[-1] is False

    world.source.system = 90
    world.tick(2)

    assert world.source.closely[-1] is True


def test_nothing_waits_by_rules_that_a_glance_cannot_speak_for() -> None:
    world = World()
    world.tick(12)

    world.monitor.follow((Rule(metric=Metric.FORKS, raise_at=500, clear_at=100),))
    world.tick(12)

    assert world.source.closely[-12:] == [True] * 12


def test_a_tick_at_which_a_glance_sufficed_judges_nothing() -> None:
    world = World()
    world.tick(9)
    before = world.monitor.state
    world.source.quiet = True

    assert not world.monitor.tick()

    assert world.monitor.state is before
    assert world.metric("sample_seconds_count") == 9

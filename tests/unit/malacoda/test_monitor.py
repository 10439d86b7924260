import logging

import pytest
from prometheus_client import CollectorRegistry

from daemons.malacoda.metrics import MonitorMetrics
from daemons.malacoda.monitor import Monitor
from k40s.assurance.detector import DEFAULT_RULES
from k40s.assurance.gamma import GammaPolicy
from k40s.units import NS_PER_S
from tests.fakes.malacoda_world import FakeClock, FakeCounters


class World:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.source = FakeCounters(self.clock)
        self.registry = CollectorRegistry()
        self.monitor = Monitor(
            source=self.source,
            rules=DEFAULT_RULES,
            policy=GammaPolicy(),
            metrics=MonitorMetrics(self.registry, DEFAULT_RULES),
            clock=self.clock,
        )

    def tick(self, times: int) -> None:
        for _ in range(times):
            self.monitor.tick()

    def metric(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"k40s_malacoda_{name}", labels)


def test_it_has_judged_once_every_window_is_full() -> None:
    world = World()
    world.tick(8)
    assert not world.monitor.has_judged

    world.tick(1)

    assert world.monitor.has_judged


def test_a_sample_without_the_cpus_times_judges_nothing() -> None:
    world = World()
    world.source.faults["stat"] = 1

    world.tick(30)

    assert not world.monitor.has_judged
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
    assert world.metric("alarms_total", metric="cpu-system") == 1
    assert world.metric("alarm", metric="cpu-system") == 0


def test_the_last_sample_is_shown() -> None:
    world = World()
    world.source.system = 80
    world.tick(20)

    assert world.metric("metric", metric="cpu-system") == pytest.approx(0.8)
    assert world.metric("alarm", metric="cpu-system") == 1
    assert world.metric("alarm", metric="run-queue") == 0
    assert world.metric("state_assurance") == world.monitor.state.gamma.value < 10
    assert world.metric("source_faults_total", source="pressure/cpu") == 20
    assert world.metric("source_faults_total", source="stat") == 0
    assert world.metric("sample_seconds_count") == 20


def test_after_a_restart_it_begins_at_the_published_state() -> None:
    world = World()
    world.tick(1)

    world.monitor.resume(4)
    world.monitor.resume(9)

    assert world.monitor.state.gamma.value == 4

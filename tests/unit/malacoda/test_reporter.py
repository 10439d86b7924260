import json
import logging
from collections.abc import Mapping

import pytest
from prometheus_client import CollectorRegistry

from daemons.malacoda.metrics import MonitorMetrics, ReportMetrics
from daemons.malacoda.monitor import Monitor
from daemons.malacoda.reporter import Reporter
from k40s.annotations import (
    ASSURANCE_CLASS_LABEL,
    ASSURANCE_KEY,
    HARDWARE_ASSURANCE_KEY,
    SOFTWARE_ASSURANCE_KEY,
    parse_node_assurance,
)
from k40s.assurance import Thresholds
from k40s.assurance.detector import DEFAULT_RULES
from k40s.assurance.gamma import GammaPolicy
from k40s.runtime.publisher import Publisher
from k40s.units import NS_PER_S, Nanoseconds
from tests.fakes.malacoda_world import FakeClock, FakeCounters, FakeNode

LEASE = Nanoseconds(30 * NS_PER_S)
OPERATOR = {HARDWARE_ASSURANCE_KEY: "4", SOFTWARE_ASSURANCE_KEY: "3"}


class World:
    """A monitor and a reporter in step: two samples per second, each followed by a report."""

    def __init__(self, annotations: Mapping[str, str] = OPERATOR) -> None:
        self.clock = FakeClock()
        self.node = FakeNode(annotations)
        self.source = FakeCounters(self.clock)
        self.registry = CollectorRegistry()
        self.monitor = Monitor(
            source=self.source,
            rules=DEFAULT_RULES,
            policy=GammaPolicy(),
            metrics=MonitorMetrics(self.registry, DEFAULT_RULES),
            clock=self.clock,
        )
        self.reporter = Reporter(
            node="edge-1",
            monitor=self.monitor,
            reader=self.node,
            board=Publisher(
                gateway=self.node,
                node="edge-1",
                lease_namespace="k40s-system",
                lease_name="malacoda-edge-1",
                lease=LEASE,
            ),
            thresholds=Thresholds(),
            hardware=1,
            software=2,
            lease=LEASE,
            metrics=ReportMetrics(self.registry),
            clock=self.clock,
            now=self.clock.now,
        )

    def run(self, seconds: int) -> None:
        for _ in range(2 * seconds):
            self.monitor.tick()
            self.reporter.tick()

    def metric(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"k40s_malacoda_{name}", labels)


def test_publishes_level_parts_and_class_once_it_has_judged() -> None:
    world = World()
    world.run(seconds=4)
    assert world.node.writes == []

    world.run(seconds=1)

    (written,) = world.node.writes
    assert set(written) == {ASSURANCE_KEY, ASSURANCE_CLASS_LABEL}
    assert json.loads(written[ASSURANCE_KEY] or "") == {
        "v": 1,
        "level": 17,
        "hardware": 4,
        "software": 3,
        "state": 10,
        "observed": "2026-03-01T00:00:04.500000Z",
        "lease": "30s",
    }
    assert written[ASSURANCE_CLASS_LABEL] == "HI"
    assert world.metric("level") == 17
    assert [world.metric("part", part=p) for p in ("hardware", "software", "state")] == [4, 3, 10]


def test_writes_on_change_only_but_keeps_the_lease_alive() -> None:
    world = World()

    world.run(seconds=100)

    assert len(world.node.writes) == 1
    assert len(world.node.beats) == 10
    assert set(world.node.beats) == {("k40s-system", "malacoda-edge-1", "edge-1", LEASE)}


def test_stress_lowers_the_level_and_the_class_and_names_the_hazard() -> None:
    world = World()
    world.run(seconds=10)
    world.source.system = 90

    world.run(seconds=5)

    assert world.node.labels[ASSURANCE_CLASS_LABEL] == "LOW"
    published = parse_node_assurance(world.node.annotations[ASSURANCE_KEY])
    assert (published.level, published.hazards) == (12, ("cpu-system",))


def test_recovery_raises_them_again() -> None:
    world = World()
    world.run(seconds=10)
    world.source.system = 90
    world.run(seconds=15)
    assert world.node.labels[ASSURANCE_CLASS_LABEL] == "LOW"
    world.source.system = 5

    world.run(seconds=90)

    assert world.node.labels[ASSURANCE_CLASS_LABEL] == "HI"
    published = parse_node_assurance(world.node.annotations[ASSURANCE_KEY])
    assert (published.level, published.hazards) == (17, ())


def test_without_the_operators_word_the_setting_and_the_proposal_hold() -> None:
    world = World({})

    world.run(seconds=5)

    published = parse_node_assurance(world.node.annotations[ASSURANCE_KEY])
    assert (published.hardware, published.software) == (1, 2)


def test_an_operators_figure_that_cannot_be_understood_counts_as_0() -> None:
    world = World({HARDWARE_ASSURANCE_KEY: "6", SOFTWARE_ASSURANCE_KEY: "high"})

    world.run(seconds=5)

    published = parse_node_assurance(world.node.annotations[ASSURANCE_KEY])
    assert (published.hardware, published.software) == (0, 0)
    assert world.metric("invalid_annotations_total") == 2


def test_an_operators_new_figure_is_published_within_a_third_of_the_lease() -> None:
    world = World()
    world.run(seconds=5)
    world.node.annotations[HARDWARE_ASSURANCE_KEY] = "5"

    world.run(seconds=10)

    assert parse_node_assurance(world.node.annotations[ASSURANCE_KEY]).hardware == 5


def test_what_someone_else_removes_is_written_again() -> None:
    world = World()
    world.run(seconds=5)
    del world.node.annotations[ASSURANCE_KEY]

    world.run(seconds=10)

    assert parse_node_assurance(world.node.annotations[ASSURANCE_KEY]).level == 17


def test_a_restart_during_stress_does_not_lift_the_level() -> None:
    before = World()
    before.run(seconds=5)
    before.source.system = 90
    before.run(seconds=15)

    after = World(before.node.annotations)
    after.run(seconds=5)

    published = parse_node_assurance(after.node.annotations[ASSURANCE_KEY])
    assert (published.level, published.state) == (7, 0)


def test_an_earlier_level_that_cannot_be_read_is_no_obstacle() -> None:
    world = World({ASSURANCE_KEY: "{", **OPERATOR})

    world.run(seconds=5)

    assert parse_node_assurance(world.node.annotations[ASSURANCE_KEY]).level == 17


def test_a_silent_api_server_is_logged_once_and_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()
    world.node.silent = True
    with caplog.at_level(logging.WARNING):
        world.run(seconds=20)
    assert [record.message for record in caplog.records] == ["the API server does not answer"]
    assert world.metric("unavailable_total") == 40

    world.node.silent = False
    world.run(seconds=1)

    assert len(world.node.writes) == len(world.node.beats) == 1


def test_a_change_during_silence_is_published_afterwards() -> None:
    world = World()
    world.run(seconds=5)
    world.node.silent = True
    world.source.system = 90
    world.run(seconds=10)

    world.node.silent = False
    world.run(seconds=1)

    assert parse_node_assurance(world.node.annotations[ASSURANCE_KEY]).level == 7


def test_without_its_node_it_publishes_nothing() -> None:
    world = World()
    world.node.exists = False

    world.run(seconds=10)

    assert world.node.writes == []


def test_the_lease_ends_when_samples_end() -> None:
    world = World()
    world.run(seconds=5)
    beats = len(world.node.beats)

    for _ in range(100):
        world.clock.pass_seconds(1)
        world.reporter.tick()

    assert len(world.node.beats) == beats


def test_the_lease_ends_when_the_cpus_times_cannot_be_read() -> None:
    world = World()
    world.run(seconds=5)
    beats = len(world.node.beats)
    world.source.faults["stat"] = 1

    world.run(seconds=60)

    assert len(world.node.beats) == beats

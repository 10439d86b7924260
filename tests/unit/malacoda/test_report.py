import json
import logging
from collections.abc import Mapping
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from daemons.malacoda.metrics import MonitorMetrics, ProfileMetrics, ReportMetrics
from daemons.malacoda.monitor import Monitor
from daemons.malacoda.profiles import Profiles
from daemons.malacoda.report import AssuranceReport
from k40s.annotations import (
    ASSURANCE_CLASS_LABEL,
    ASSURANCE_KEY,
    ASSURANCE_REDUCED_CONDITION,
    ASSURANCE_SINCE_KEY,
    CULPRITS_KEY,
    HARDWARE_ASSURANCE_KEY,
    SOFTWARE_ASSURANCE_KEY,
    parse_node_assurance,
)
from k40s.assurance import Thresholds
from k40s.assurance.gamma import GammaPolicy, Severity
from k40s.assurance.response.harm import Gauge, Harm, HarmState
from k40s.node_agent.backoff import Backoff
from k40s.node_agent.publication import NodePublication
from k40s.units import NS_PER_S, Nanoseconds
from tests.fakes.malacoda.world import FakeClock, FakeCounters, FakeNode

LEASE = Nanoseconds(30 * NS_PER_S)
OPERATOR = {HARDWARE_ASSURANCE_KEY: "4", SOFTWARE_ASSURANCE_KEY: "3"}


class World:
    """A monitor and a reporter in step: two samples per second, each followed by a report."""

    def __init__(
        self, annotations: Mapping[str, str] = OPERATOR, *, profiles: Path | None = None
    ) -> None:
        self.clock = FakeClock()
        self.harm = HarmState()
        self.node = FakeNode(annotations)
        self.source = FakeCounters(self.clock)
        self.registry = CollectorRegistry()
        self.monitor = Monitor(
            source=self.source,
            policy=GammaPolicy(timeout=Nanoseconds(NS_PER_S)),
            metrics=MonitorMetrics(self.registry),
            clock=self.clock,
        )
        metrics = ReportMetrics(self.registry)
        report = AssuranceReport(
            monitor=self.monitor,
            profiles=Profiles(
                path=profiles,
                monitor=self.monitor,
                offered=None,
                kernel="6.18.44",
                node="edge-1",
                writer=self.node,
                metrics=ProfileMetrics(self.registry),
            ),
            thresholds=Thresholds(),
            hardware=1,
            software=2,
            lease=LEASE,
            metrics=metrics,
            now=self.clock.now,
            node="edge-1",
            writer=self.node,
        )
        self.publication = NodePublication(
            report=report,
            gateway=self.node,
            node="edge-1",
            lease_namespace="k40s-system",
            lease_name="malacoda-edge-1",
            lease=LEASE,
            since_key=ASSURANCE_SINCE_KEY,
            backoff=Backoff(
                pause=Nanoseconds(0), clock=self.clock, on_failure=metrics.count_failure
            ),
            clock=self.clock,
            now=self.clock.now,
        )

    @property
    def written(self) -> list[Mapping[str, str | None]]:
        """Writes of the report, without the one that says that the daemon is there."""
        return [write for write in self.node.writes if set(write) != {ASSURANCE_SINCE_KEY}]

    def run(self, seconds: int) -> None:
        for _ in range(2 * seconds):
            self.monitor.tick(self.harm)
            self.publication.tick()

    def metric(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"k40s_malacoda_{name}", labels)


def test_publishes_level_parts_and_class_once_it_has_verdict() -> None:
    world = World()
    world.run(seconds=4)
    assert world.node.writes == []

    world.run(seconds=1)

    (written,) = world.written
    assert set(written) == {ASSURANCE_KEY, ASSURANCE_CLASS_LABEL, CULPRITS_KEY}
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

    assert len(world.written) == 1
    assert len(world.node.writes) == 2
    assert len(world.node.conditions) == 1
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
    assert (published.cause, published.falls) == (Severity.ALARM, 1)


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
    assert (published.cause, published.falls) == (Severity.NONE, 1)


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


def test_an_operators_mistake_is_told_on_the_node_once_until_it_is_another() -> None:
    world = World({HARDWARE_ASSURANCE_KEY: "6"})
    world.run(seconds=60)
    once = [(reason, text) for _, reason, text in world.node.written]
    world.node.annotations[HARDWARE_ASSURANCE_KEY] = "7"

    world.run(seconds=60)

    assert [reason for reason, _ in once] == ["AssuranceInvalid"]
    assert "k40s.io/hardware-assurance" in once[0][1]
    assert "it counts as 0" in once[0][1]
    assert len(world.node.written) == 2
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
    assert (published.level, published.state) == (12, 5)
    assert (published.cause, published.falls) == (Severity.ALARM, 1)
    (condition,) = after.node.conditions
    assert condition.status
    assert condition.since == before.node.conditions[-1].since


def test_a_restart_remembers_relapses() -> None:
    before = World()
    before.run(seconds=5)
    for _ in range(2):
        before.source.system = 90
        before.run(seconds=15)
        before.source.system = 5
        before.run(seconds=100)

    after = World(before.node.annotations)
    after.run(seconds=5)

    published = parse_node_assurance(after.node.annotations[ASSURANCE_KEY])
    assert (published.state, published.falls) == (10, 2)


def test_an_annotation_of_before_the_severity_is_understood() -> None:
    old = (
        '{"v":1,"level":12,"hardware":4,"software":3,"state":5,'
        '"observed":"2026-02-28T12:00:00Z","lease":"30s","hazards":["cpu-system"]}'
    )

    world = World({ASSURANCE_KEY: old, **OPERATOR})
    world.run(seconds=5)

    published = parse_node_assurance(world.node.annotations[ASSURANCE_KEY])
    assert (published.state, published.cause, published.falls) == (5, Severity.ALARM, 1)
    assert world.node.conditions[0].since.isoformat() == "2026-02-28T12:00:00+00:00"


def test_the_condition_says_why_in_the_same_write() -> None:
    world = World()
    world.run(seconds=10)
    assert [(c.kind, c.status, c.reason) for c in world.node.conditions] == [
        (ASSURANCE_REDUCED_CONDITION, False, "NoHazard")
    ]
    world.source.system = 90

    world.run(seconds=5)

    condition = world.node.conditions[-1]
    assert (condition.status, condition.reason) == (True, "HazardAlarm")
    assert condition.message == (
        "γ is 5 of 10: level 12 of 20, fit for LOW; cpu-system is 0.90, a hazard from 0.5 on"
    )
    assert len(world.written) == 2


def test_harm_is_a_reason_of_its_own_with_its_figure_and_without_a_name() -> None:
    world = World()
    world.run(seconds=10)
    world.source.system = 90
    world.harm = HarmState(
        harmed=True, evidence=(Harm(uid="u-1", gauge=Gauge.PRESSURE, value=12_345.6),)
    )

    world.run(seconds=6)

    condition = world.node.conditions[-1]
    assert (condition.status, condition.reason) == (True, "CriticalPodsHarmed")
    assert condition.message.endswith("; a critical pod waits for its CPUs 12.3 ms a second")
    assert "u-1" not in condition.message


def test_while_it_recovers_the_condition_says_when_it_rises() -> None:
    world = World()
    world.run(seconds=10)
    world.source.system = 90
    world.harm = HarmState(harmed=True, evidence=(Harm(uid="u-1", gauge=Gauge.MISSES, value=2.0),))
    world.run(seconds=6)
    fallen = world.node.conditions[-1]
    world.source.system, world.harm = 5, HarmState()

    world.run(seconds=38)

    rising = world.node.conditions[-1]
    assert (fallen.reason, rising.reason) == ("DeadlinesMissed", "DeadlinesMissed")
    assert "2 jobs of a critical pod took longer than they may" in fallen.message
    assert rising.message == (
        "γ is 5 of 10: level 12 of 20, fit for LOW; no hazard is seen now, γ rises after 30 s of "
        "calm and then by 5 every 10 s"
    )
    assert (rising.status, rising.since) == (True, fallen.since)
    world.run(seconds=20)
    over = world.node.conditions[-1]
    assert (over.status, over.reason) == (False, "NoHazard")
    assert over.since > fallen.since


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
    assert [record.message for record in caplog.records] == ["API server unavailable"]
    assert world.metric("unavailable_total") == 40

    world.node.silent = False
    world.run(seconds=1)

    assert len(world.written) == len(world.node.beats) == 1


def test_a_change_during_silence_is_published_afterwards() -> None:
    world = World()
    world.run(seconds=5)
    world.node.silent = True
    world.source.system = 90
    world.run(seconds=10)

    world.node.silent = False
    world.run(seconds=1)

    assert parse_node_assurance(world.node.annotations[ASSURANCE_KEY]).level == 12


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
        world.publication.tick()

    assert len(world.node.beats) == beats


def test_the_lease_ends_when_the_cpus_times_cannot_be_read() -> None:
    world = World()
    world.run(seconds=5)
    beats = len(world.node.beats)
    world.source.faults["stat"] = 1

    world.run(seconds=60)

    assert len(world.node.beats) == beats


def test_a_node_that_cannot_be_read_is_counted_and_nothing_is_published() -> None:
    world = World()
    world.node.readable = False

    world.run(seconds=5)

    assert world.node.writes == []
    name, labels = "k40s_malacoda_unreadable_objects_total", {"kind": "nodes"}
    assert world.registry.get_sample_value(name, labels) == 10


def test_without_a_valid_profile_nothing_is_published_and_no_heartbeat_sent(
    tmp_path: Path,
) -> None:
    (tmp_path / "default.json").write_text("{")
    world = World(profiles=tmp_path)

    world.run(seconds=30)

    assert (world.node.writes, world.node.beats) == ([], [])
    assert [reason for _, reason, _ in world.node.written] == ["ProfileRefused"]

    (tmp_path / "default.json").unlink()
    world.run(seconds=30)

    assert world.node.writes
    assert world.node.beats

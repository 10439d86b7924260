"""A report on the Node: read, written on change, its Lease renewed while it is true."""

import logging
from datetime import UTC, datetime, timedelta

import pytest

from k40s.kube.records import NodeCondition
from k40s.node_agent.backoff import Backoff
from k40s.node_agent.publication import NOT_PUBLISHED, NodeKeys, NodePublication
from k40s.units import NS_PER_S, Nanoseconds
from tests.fakes.node_agent import FakeCluster, FakeReport

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Agent:
    def __init__(self, pause: float = 2) -> None:
        self.time = 0
        self.cluster = FakeCluster()
        self.report = FakeReport()
        self.failures: list[Exception] = []
        self.publication = NodePublication(
            report=self.report,
            gateway=self.cluster,
            node="edge-1",
            lease_namespace="k40s-system",
            lease_name="third-edge-1",
            lease=Nanoseconds(30 * NS_PER_S),
            since_key="since",
            backoff=Backoff(
                pause=Nanoseconds(round(pause * NS_PER_S)),
                clock=lambda: self.time,
                on_failure=self.failures.append,
            ),
            clock=lambda: self.time,
            now=lambda: NOON + timedelta(microseconds=self.time // 1000),
        )

    @property
    def annotations(self) -> dict[str, str]:
        """Without that on the heartbeat."""
        return {key: text for key, text in self.cluster.annotations.items() if key != "since"}

    def run(self, seconds: float) -> None:
        """Tick twice a second."""
        for _ in range(round(2 * seconds)):
            self.publication.tick()
            self.time += NS_PER_S // 2


def test_one_tick_reads_publishes_and_beats() -> None:
    agent = Agent()

    agent.publication.tick()

    assert (agent.cluster.annotations, agent.cluster.labels) == ({"a": "1"}, {"l": "x"})
    assert agent.cluster.leases == [("k40s-system", "third-edge-1", "edge-1", 30 * NS_PER_S)]
    assert agent.report.confirmed == [True]
    assert agent.publication.trouble() is None


def test_reads_and_beats_every_third_of_the_lease_and_writes_once() -> None:
    agent = Agent()

    agent.run(30)

    assert len(agent.report.read_records) == 3
    assert len(agent.cluster.leases) == 3
    assert agent.cluster.writes == 2  # the contents, and that it is there


def test_without_contents_nothing_is_published_and_no_lease_renewed() -> None:
    agent = Agent()
    agent.report.keys = None

    agent.run(30)

    assert (agent.cluster.writes, agent.cluster.leases) == (0, [])
    assert agent.publication.trouble() == NOT_PUBLISHED


def test_a_node_that_is_not_understood_is_read_again_at_the_next_tick() -> None:
    agent = Agent()
    agent.report.understands = False

    agent.run(2)

    assert len(agent.report.read_records) == 4


def test_a_heartbeat_that_is_held_back_is_logged_once_for_each_cause(
    caplog: pytest.LogCaptureFixture,
) -> None:
    agent = Agent()
    agent.run(1)
    with caplog.at_level(logging.WARNING):
        for cause in ("slow", None, "slow", "stuck"):
            agent.report.cause = cause
            agent.run(20)

    held = [r.__dict__["cause"] for r in caplog.records if r.message == "no heartbeat"]
    assert held == ["slow", "slow", "stuck"]


def test_after_a_failure_the_api_server_is_left_alone_for_the_pause() -> None:
    agent = Agent(pause=2)
    agent.cluster.down = True

    agent.run(10)

    assert agent.cluster.reads == 5
    assert len(agent.failures) == 5


def test_a_failed_write_makes_the_publication_not_current_until_it_is_written() -> None:
    agent = Agent()
    agent.run(1)
    agent.report.keys = NodeKeys(annotations={"a": "2"})
    agent.cluster.down = True
    agent.publication.publish()
    troubled = agent.publication.trouble()
    agent.cluster.down = False

    agent.run(3)

    assert troubled == NOT_PUBLISHED
    assert agent.annotations == {"a": "2"}
    assert agent.publication.trouble() is None


def test_what_someone_else_changed_is_written_again_before_the_next_beat() -> None:
    agent = Agent()
    agent.run(1)
    agent.cluster.annotations["a"] = "forged"
    agent.time += 10 * NS_PER_S

    agent.publication.beat()
    beats = len(agent.cluster.leases)
    agent.publication.publish()
    agent.publication.beat()

    assert beats == 1
    assert agent.annotations == {"a": "1"}
    assert len(agent.cluster.leases) == 2


def test_without_the_node_nothing_is_current() -> None:
    agent = Agent()
    agent.run(1)
    agent.cluster.exists = False
    agent.time += 10 * NS_PER_S

    agent.publication.beat()

    assert agent.publication.trouble() == NOT_PUBLISHED
    assert str(agent.failures[0]) == "there is no Node edge-1"


def test_a_node_that_is_deleted_between_two_reads_is_an_outage() -> None:
    agent = Agent()
    agent.publication.tick()
    agent.cluster.exists = False
    agent.report.keys = NodeKeys(annotations={"a": "2"}, labels={"l": "x"})

    agent.publication.publish()

    assert len(agent.failures) == 1
    assert agent.publication.trouble() == NOT_PUBLISHED


def test_a_node_that_is_made_again_gets_everything_from_a_publishing_loop_of_its_own() -> None:
    agent = Agent()
    agent.publication.tick()
    agent.cluster.exists = False
    for _ in range(120):
        agent.publication.publish()
        agent.publication.beat()
        agent.time += NS_PER_S // 2
    leases = len(agent.cluster.leases)
    agent.cluster.exists = True
    agent.cluster.annotations, agent.cluster.labels = {}, {}

    for _ in range(6):
        agent.publication.publish()
        agent.publication.beat()
        agent.time += NS_PER_S // 2

    assert (agent.annotations, agent.cluster.labels) == ({"a": "1"}, {"l": "x"})
    assert len(agent.cluster.leases) == leases + 1


def test_a_daemon_that_begins_writes_its_node_once_more_after_its_lease() -> None:
    agent = Agent()
    agent.publication.tick()
    assert "since" not in agent.cluster.annotations

    agent.run(30)

    assert agent.cluster.annotations["since"] == "2026-03-01T12:00:00Z"


@pytest.mark.parametrize(("away", "writes"), [(5, 0), (9, 0), (31, 1), (3600, 1)])
def test_one_that_was_away_for_longer_than_its_lease_writes_its_node_once(
    away: int, writes: int
) -> None:
    agent = Agent(pause=0)
    agent.run(30)
    before, leases = agent.cluster.writes, len(agent.cluster.leases)
    agent.cluster.down = True
    agent.run(away)
    agent.cluster.down = False

    agent.run(0.5)
    renewed = len(agent.cluster.leases) - leases
    at_once = agent.cluster.writes - before
    agent.run(20)

    assert (renewed, at_once) == (1, 0)
    assert agent.cluster.writes - before == writes
    if writes:
        assert agent.cluster.annotations["since"] > "2026-03-01T12:00:30Z"


def test_so_does_one_whose_heartbeat_was_held_back() -> None:
    agent = Agent()
    agent.run(30)
    agent.report.cause = "stuck"
    agent.run(60)
    before = agent.cluster.writes

    agent.report.cause = None
    agent.run(20)

    assert agent.cluster.writes == before + 1


def test_that_write_is_tried_again_until_it_is_done() -> None:
    agent = Agent(pause=0)
    agent.run(30)
    agent.cluster.down = True
    agent.run(40)
    agent.cluster.down = False
    agent.cluster.failures = 3
    before = agent.cluster.writes

    agent.run(10)

    assert agent.cluster.writes == before + 1


def test_a_condition_is_written_when_it_changes() -> None:
    agent = Agent()
    agent.run(2)
    first, second = (
        NodeCondition(kind="c", status=status, reason="R", message="m", since=NOON)
        for status in (False, True)
    )
    written = []
    for condition in (first, first, second, None, second):
        agent.report.keys = NodeKeys(annotations={"a": "1"}, labels={"l": "x"}, condition=condition)
        before = agent.cluster.writes
        agent.publication.publish()
        written.append(agent.cluster.writes - before)

    assert written == [1, 0, 1, 0, 0]
    assert agent.cluster.condition == second

"""Events about suspects: how many are written, and what becomes of those that are not."""

import pytest
from prometheus_client import CollectorRegistry, Counter

from daemons.malacoda.culprit.events import CulpritEvents, EventReason
from daemons.malacoda.culprit.metrics import CulpritMetrics
from k40s.errors import K40sError, UnavailableError
from k40s.kube.records import ObjectRef
from k40s.kube.transport import NotFoundError, RefusedError
from k40s.node_agent.backoff import Backoff
from k40s.units import NS_PER_S, Nanoseconds
from tests.fakes.malacoda.culprit import FakeEvents
from tests.fakes.malacoda.world import FakeClock

NAMED = EventReason.SUSPECT_NAMED


class World:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.api = FakeEvents()
        self.registry = CollectorRegistry()
        faults = Counter("faults", "faults", ["source"], registry=self.registry)
        metrics = CulpritMetrics(self.registry, EventReason, faults=faults)
        backoff = Backoff(pause=Nanoseconds(5 * NS_PER_S), clock=self.clock)
        self.events = CulpritEvents(
            writer=self.api, metrics=metrics, backoff=backoff, clock=self.clock
        )

    def add(self, uid: str = "u", subject: str = "s") -> None:
        about = ObjectRef(kind="Pod", namespace="default", name=uid, uid=uid)
        self.events.add(about, NAMED, "text", subject=subject)

    def metric(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"k40s_malacoda_{name}", labels)

    @property
    def texts(self) -> list[str]:
        return [text for _, _, text in self.api.written]


@pytest.fixture
def world() -> World:
    return World()


def test_one_like_it_is_written_once_in_ten_minutes_and_the_others_are_counted(
    world: World,
) -> None:
    for _ in range(3):
        world.add()
        world.events.send()
    assert world.texts == ["text"]

    world.clock.pass_seconds(600)
    world.add()
    world.events.send()

    assert world.texts == ["text", "text (2 more in the last 600 s)"]
    assert world.metric("events_total", reason="SuspectNamed") == 2


def test_another_suspect_is_another_event(world: World) -> None:
    world.add(subject="a")
    world.add(subject="b")
    world.events.send()

    assert len(world.texts) == 2


def test_ten_are_written_in_a_minute_and_the_others_wait(world: World) -> None:
    for number in range(12):
        world.add(uid=f"u{number}")
    world.events.send()
    assert len(world.texts) == 10

    world.clock.pass_seconds(60)
    world.events.send()

    assert len(world.texts) == 12


def test_more_than_sixteen_do_not_wait(world: World) -> None:
    for number in range(17):
        world.add(uid=f"u{number}")

    assert world.metric("events_dropped_total") == 1


def test_they_wait_while_the_api_server_is_away(world: World) -> None:
    world.add()
    world.api.failure = UnavailableError("no answer")
    world.events.send()
    assert world.texts == []

    world.api.failure = None
    world.events.send()
    assert world.texts == []

    world.clock.pass_seconds(5)
    world.events.send()
    assert world.texts == ["text"]


@pytest.mark.parametrize("error", [NotFoundError("gone"), RefusedError("it is terminating")])
def test_one_about_a_pod_in_a_namespace_that_is_gone_or_ends_is_dropped(
    world: World, error: K40sError
) -> None:
    world.add()
    world.api.failure = error
    world.events.send()
    world.api.failure = None
    world.events.send()

    assert world.texts == []
    assert world.metric("events_dropped_total") == 1


def test_one_that_has_waited_for_ten_minutes_is_dropped(world: World) -> None:
    world.add(uid="old")
    world.api.failure = UnavailableError("no answer")
    world.events.send()
    world.clock.pass_seconds(600)
    world.add(uid="new")
    world.api.failure = None

    world.events.send()

    assert [about.name for about, _, _ in world.api.written] == ["new"]
    assert world.metric("events_dropped_total") == 1


def test_one_that_the_api_server_never_takes_holds_up_others_for_ten_minutes_at_most(
    world: World,
) -> None:
    world.api.failure = UnavailableError("a webhook fails")
    for number in range(16):
        world.add(uid=f"u{number}")
    world.clock.pass_seconds(600)
    world.events.send()

    world.add(uid="new")

    assert world.metric("events_dropped_total") == 16

"""Events: few, with what was held back, and never lost to an API server that is away."""

import pytest
from prometheus_client import CollectorRegistry

from daemons.rubicante.cluster.pod_events import EventReason, PodEvents
from daemons.rubicante.metrics import FeedbackMetrics
from k40s.criticality import Criticality
from k40s.errors import K40sError
from k40s.kube.records import ObjectRef
from k40s.node_api.messages import PodRef
from tests.fakes.rubicante.api_server import FakeApiServer
from tests.fakes.rubicante.world import uid

HI = Criticality.HI
LOW = Criticality.LOW


class Scene:
    def __init__(self) -> None:
        self.seconds = 0.0
        self.registry = CollectorRegistry()
        self.server = FakeApiServer()
        self.events = PodEvents(
            node="edge-1",
            writer=self.server,
            metrics=FeedbackMetrics(self.registry),
            clock=lambda: self.seconds,
        )

    def tell(self, number: int = 1, text: str = "much", criticality: Criticality = HI) -> bool:
        pod = PodRef(uid=uid(number), namespace="default", name=f"pod-{number}")
        return self.events.add(pod, EventReason.OVERRUN, text, criticality=criticality)

    def metric(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_a_notice_becomes_an_event_on_its_pod(scene: Scene) -> None:
    scene.tell()

    scene.events.send()

    assert scene.server.events == [(uid(1), "Overrun", "much")]
    assert scene.metric("k40s_rubicante_events_total", reason="Overrun") == 1


def test_the_same_is_told_again_only_after_a_while_and_says_how_often_it_was(
    scene: Scene,
) -> None:
    told = []
    for _ in range(7):
        told.append(scene.tell())
        scene.seconds += 100

    scene.events.send()

    assert told == [True, False, False, False, False, False, True]
    assert [text for _, _, text in scene.server.events] == [
        "much",
        "much (5 more in the last 600 s)",
    ]


def test_other_pods_and_other_reasons_are_told_all_the_same(scene: Scene) -> None:
    pod = PodRef(uid=uid(1), namespace="default", name="pod-1")

    assert [scene.tell(1), scene.tell(2)] == [True, True]
    assert scene.events.add(pod, EventReason.NOT_ENFORCED, "EPERM", criticality=HI)


def test_no_more_than_thirty_a_minute_are_written(scene: Scene) -> None:
    for number in range(40):
        scene.tell(number)

    scene.events.send()
    first = len(scene.server.events)
    scene.seconds += 61
    scene.events.send()

    assert (first, len(scene.server.events)) == (30, 40)


def test_what_waits_is_bounded_and_what_is_dropped_is_counted(scene: Scene) -> None:
    told = [scene.tell(number) for number in range(5000)]

    assert sum(told) == 64
    assert scene.metric("k40s_rubicante_events_dropped_total") == 5000 - 64


def test_memory_of_what_was_told_is_bounded(scene: Scene) -> None:
    for number in range(3000):
        scene.tell(number)
        scene.seconds += 3
        scene.events.send()

    assert scene.tell(0)


def test_an_api_server_that_is_away_is_waited_for(scene: Scene) -> None:
    scene.tell()
    scene.server.down = True
    scene.events.send()
    scene.server.down = False

    scene.events.send()

    assert len(scene.server.events) == 1


def test_an_event_that_is_refused_hinders_no_other() -> None:
    class Gone(FakeApiServer):
        def create_event(self, about: ObjectRef, **_fields: object) -> None:
            raise K40sError(f"the namespace of {about.name} is gone")

    events = PodEvents(
        node="edge-1",
        writer=Gone(),
        metrics=FeedbackMetrics(CollectorRegistry()),
        clock=lambda: 0.0,
    )
    for number in range(2):
        pod = PodRef(uid=uid(number), namespace="default", name="p")
        events.add(pod, EventReason.OVERRUN, "much", criticality=HI)

    events.send()
    events.send()


def test_what_there_is_to_say_about_hi_is_said_however_much_there_is_about_low(
    scene: Scene,
) -> None:
    for number in range(5000):
        scene.tell(number, criticality=LOW)

    assert scene.tell(6000)
    scene.events.send()

    assert scene.server.events[0] == (uid(6000), "Overrun", "much")


def test_low_pods_have_twenty_of_the_thirty_events_a_minute(scene: Scene) -> None:
    for number in range(40):
        scene.tell(number, criticality=LOW)
    scene.events.send()
    first = len(scene.server.events)

    for number in range(100, 112):
        scene.tell(number)
    scene.events.send()

    assert (first, len(scene.server.events)) == (20, 30)


def test_pods_below_hi_never_make_an_event_of_a_hi_pod_forgotten(scene: Scene) -> None:
    scene.tell(9000)
    for number in range(2000):
        scene.tell(number, criticality=LOW)
        scene.events.send()

    assert not scene.tell(9000)

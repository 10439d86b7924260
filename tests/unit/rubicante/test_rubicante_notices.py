"""Events: few, with what was held back, and never lost to an API server that is away."""

import pytest
from prometheus_client import CollectorRegistry

from daemons.rubicante.metrics import FeedbackMetrics
from daemons.rubicante.notices import Notice, Notices
from k40s.errors import K40sError
from k40s.node_api import PodRef
from k40s.runtime.records import ObjectRef
from tests.fakes.rubicante_api_server import FakeApiServer
from tests.fakes.rubicante_world import uid


class Scene:
    def __init__(self) -> None:
        self.seconds = 0.0
        self.registry = CollectorRegistry()
        self.server = FakeApiServer()
        self.notices = Notices(
            writer=self.server,
            metrics=FeedbackMetrics(self.registry),
            clock=lambda: self.seconds,
        )

    def tell(self, number: int = 1, text: str = "much") -> bool:
        pod = PodRef(uid=uid(number), namespace="default", name=f"pod-{number}")
        return self.notices.tell(pod, Notice.OVERRUN, text)

    def metric(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_a_notice_becomes_an_event_on_its_pod(scene: Scene) -> None:
    scene.tell()

    scene.notices.send()

    assert scene.server.events == [(uid(1), "Overrun", "much")]
    assert scene.metric("k40s_rubicante_events_total", reason="Overrun") == 1


def test_the_same_is_told_again_only_after_a_while_and_says_how_often_it_was(
    scene: Scene,
) -> None:
    told = []
    for _ in range(7):
        told.append(scene.tell())
        scene.seconds += 100

    scene.notices.send()

    assert told == [True, False, False, False, False, False, True]
    assert [text for _, _, text in scene.server.events] == [
        "much",
        "much (5 more in the last 600 s)",
    ]


def test_other_pods_and_other_reasons_are_told_all_the_same(scene: Scene) -> None:
    pod = PodRef(uid=uid(1), namespace="default", name="pod-1")

    assert [scene.tell(1), scene.tell(2)] == [True, True]
    assert scene.notices.tell(pod, Notice.NOT_ENFORCED, "EPERM")


def test_no_more_than_thirty_a_minute_are_written(scene: Scene) -> None:
    for number in range(40):
        scene.tell(number)

    scene.notices.send()
    first = len(scene.server.events)
    scene.seconds += 61
    scene.notices.send()

    assert (first, len(scene.server.events)) == (30, 40)


def test_what_waits_is_bounded_and_what_is_dropped_is_counted(scene: Scene) -> None:
    told = [scene.tell(number) for number in range(5000)]

    assert sum(told) == 64
    assert scene.metric("k40s_rubicante_events_dropped_total") == 5000 - 64


def test_memory_of_what_was_told_is_bounded(scene: Scene) -> None:
    for number in range(3000):
        scene.tell(number)
        scene.seconds += 3
        scene.notices.send()

    assert scene.tell(0)


def test_an_api_server_that_is_away_is_waited_for(scene: Scene) -> None:
    scene.tell()
    scene.server.down = True
    scene.notices.send()
    scene.server.down = False

    scene.notices.send()

    assert len(scene.server.events) == 1


def test_an_event_that_is_refused_hinders_no_other() -> None:
    class Gone(FakeApiServer):
        def create_event(self, about: ObjectRef, **_fields: object) -> None:
            raise K40sError(f"the namespace of {about.name} is gone")

    notices = Notices(
        writer=Gone(), metrics=FeedbackMetrics(CollectorRegistry()), clock=lambda: 0.0
    )
    for number in range(2):
        pod = PodRef(uid=uid(number), namespace="default", name="p")
        notices.tell(pod, Notice.OVERRUN, "much")

    notices.send()
    notices.send()

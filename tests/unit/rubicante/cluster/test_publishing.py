"""What is published, when, and when the heart beats."""

from collections.abc import Iterator
from fractions import Fraction

import pytest

from k40s.annotations import (
    CPU_STATE_KEY,
    PLATFORM_FACTOR_KEY,
    PLATFORM_LABEL,
    REAL_TIME_LABEL,
    parse_cpu_state,
)
from tests.fakes.rubicante.api_server import NODE
from tests.fakes.rubicante.scene import Scene, published
from tests.fakes.rubicante.world import ask, pod


@pytest.fixture
def scene() -> Iterator[Scene]:
    made = Scene()
    yield made
    made.daemon.halt()


def test_is_not_ready_until_node_pods_and_publication_are_there(scene: Scene) -> None:
    daemon = scene.daemon
    troubles = [daemon.ready()]
    daemon.upkeep.tick()
    daemon.publication.publish()
    daemon.publication.beat()
    troubles.append(daemon.ready())
    scene.daemon.informer.synchronized.set()
    troubles.append(daemon.ready())
    scene.open()

    assert troubles == [
        "the node's platform is not known yet",
        "the node's pods are not known yet",
        "the node's state is not published",
    ]
    assert daemon.ready() is None


def test_publishes_state_and_label_and_beats(scene: Scene) -> None:
    scene.open()

    state = parse_cpu_state(published(scene))
    assert (state.mechanism, state.endpoint) == ("rt-cgroup", "https://10.0.0.1:8441")
    assert (state.node.cores, state.node.platform) == ((1,), "xeon")
    assert state.node.node_capacity == Fraction(95, 100)
    assert scene.server.node.labels[REAL_TIME_LABEL] == "true"
    assert scene.server.beats == 1


def test_publishes_on_change_only(scene: Scene) -> None:
    scene.open()

    for _ in range(3):
        scene.daemon.publication.publish()
    quiet = len(scene.server.patches)
    scene.server.add(pod(1))
    scene.daemon.reservations.reserve(ask(1))
    scene.daemon.publication.publish()

    assert (quiet, len(scene.server.patches)) == (1, 2)
    assert parse_cpu_state(published(scene)).generation == 3


def test_writes_again_what_someone_else_has_changed(scene: Scene) -> None:
    scene.open()
    ours = published(scene)
    scene.server.patch_node(NODE, annotations={CPU_STATE_KEY: "forged"})

    scene.seconds += 10
    scene.daemon.publication.beat()
    scene.daemon.publication.publish()

    assert published(scene) == ours


def test_a_beat_is_good_for_a_third_of_the_lease(scene: Scene) -> None:
    scene.open()

    for _ in range(5):
        scene.daemon.publication.beat()

    assert scene.server.beats == 1


def test_does_not_beat_for_a_state_that_is_not_published(scene: Scene) -> None:
    scene.daemon.publication.beat()
    scene.daemon.publication.beat()

    assert scene.server.beats == 0


def test_an_api_server_that_is_away_is_no_end(scene: Scene) -> None:
    scene.open()
    scene.server.add(pod(1))
    scene.daemon.reservations.reserve(ask(1))
    scene.server.down = True

    scene.daemon.publication.publish()
    troubled = scene.daemon.ready()
    scene.seconds += 10
    scene.daemon.publication.beat()
    scene.server.down = False
    scene.daemon.publication.publish()
    waited = scene.daemon.ready()
    scene.seconds += 2
    scene.daemon.publication.publish()
    scene.daemon.publication.beat()

    assert troubled == waited == "the node's state is not published"
    assert scene.daemon.ready() is None
    assert scene.server.beats == 2


def test_an_unknown_node_is_waited_for(scene: Scene) -> None:
    scene.server.node = None

    scene.daemon.publication.beat()

    assert scene.daemon.ready() == "the node's platform is not known yet"


def test_a_platform_factor_that_is_none_fails_closed(scene: Scene) -> None:
    scene.open()
    scene.server.patch_node(NODE, annotations={PLATFORM_FACTOR_KEY: "fast"})

    scene.seconds += 10
    scene.daemon.publication.beat()

    assert scene.daemon.ready() == "the node's platform is not known yet"
    assert scene.server.beats == 1


def test_a_new_platform_is_taken_over_and_published(scene: Scene) -> None:
    scene.open()
    scene.server.patch_node(
        NODE, labels={PLATFORM_LABEL: "arm"}, annotations={PLATFORM_FACTOR_KEY: "3/2"}
    )

    scene.seconds += 10
    scene.daemon.publication.beat()
    scene.daemon.publication.publish()

    node = parse_cpu_state(published(scene)).node
    assert (node.platform, node.platform_factor) == ("arm", Fraction(3, 2))

"""A bind that fails or is killed at any moment: nothing double, nothing leaked."""

import itertools
from contextlib import suppress

import pytest

from tests.fakes.extender.network_scene import (
    POD,
    UID,
    FaultPoint,
    KilledError,
    Scene,
    moments_of,
)
from tests.fakes.extender.world import World

MOMENTS = 10
"""Before and after: three writes of a status, the station's call, the Binding."""


def filtered(scene: Scene) -> World:
    world = scene.start_extender()
    world.filter(POD, ["a", "b"])
    return world


@pytest.fixture
def scene() -> Scene:
    scene = Scene()
    scene.create(POD)
    return scene


def test_a_bind_without_faults_passes_ten_moments(scene: Scene) -> None:
    world = filtered(scene)

    assert moments_of(scene, lambda: world.bind(POD, "a")) == MOMENTS
    assert scene.node_of() == "a"
    assert scene.faults() == []


@pytest.mark.parametrize("at", range(1, MOMENTS + 1))
def test_a_call_that_is_lost_leaves_nothing_unless_the_pod_may_be_bound(
    scene: Scene, at: int
) -> None:
    world, point = filtered(scene), FaultPoint(at)
    scene.fail(point)

    error = world.bind(POD, "a")

    may_be_bound = point.moments[at - 1] in ("bind", "bound")
    assert error
    assert scene.faults() == []
    assert scene.holders() == ({UID} if may_be_bound else set())


@pytest.mark.parametrize("node", ["a", "b"])
@pytest.mark.parametrize("at", range(1, MOMENTS + 1))
def test_after_a_lost_call_a_repeat_binds_once(scene: Scene, at: int, node: str) -> None:
    world = filtered(scene)
    scene.fail(FaultPoint(at))
    world.bind(POD, "a")
    bound = scene.node_of()
    scene.heal()

    error = world.bind(POD, node)

    assert (error == "") == (bound in ("", node))
    assert scene.node_of() == (bound or node)
    assert scene.faults() == []
    scene.clock.advance(61)
    scene.collect()
    assert all(len(state.reservations) == 1 for state in scene.networks.states.values())


@pytest.mark.parametrize("node", ["a", "b"])
@pytest.mark.parametrize("at", range(1, MOMENTS + 1))
def test_after_a_kill_another_extender_binds_once(scene: Scene, at: int, node: str) -> None:
    world = filtered(scene)
    scene.fail(FaultPoint(at, kills=True))
    with pytest.raises(KilledError):
        world.bind(POD, "a")
    bound = scene.node_of()
    scene.heal()

    error = filtered(scene).bind(POD, node)

    assert (error == "") == (bound in ("", node))
    assert scene.node_of() == (bound or node)
    assert scene.faults() == []


@pytest.mark.parametrize("at", range(1, MOMENTS + 1))
def test_after_a_kill_nothing_stays_for_good_unless_the_pod_is_bound(scene: Scene, at: int) -> None:
    world = filtered(scene)
    scene.fail(FaultPoint(at, kills=True))
    with pytest.raises(KilledError):
        world.bind(POD, "a")
    scene.heal()

    scene.clock.advance(61)
    scene.collect()
    scene.settle_stations()

    assert scene.faults() == []
    assert scene.holders() == ({UID} if scene.node_of() else set())


@pytest.mark.parametrize("kills", [False, True])
@pytest.mark.parametrize("at", range(1, MOMENTS + 1))
def test_after_the_pod_is_gone_nothing_is_left(scene: Scene, at: int, kills: bool) -> None:
    world = filtered(scene)
    scene.fail(FaultPoint(at, kills=kills))
    with suppress(KilledError):
        world.bind(POD, "a")
    scene.heal()

    scene.delete()
    scene.collect()
    scene.settle_stations()

    assert scene.holders() == set()


@pytest.mark.parametrize("at", range(1, MOMENTS - 1))
def test_an_extender_that_stood_still_for_longer_than_its_lease_does_not_bind(
    scene: Scene, at: int
) -> None:
    world, moments = filtered(scene), itertools.count(1)

    def stand_still() -> None:
        scene.clock.advance(61)
        scene.collect()
        scene.settle_stations()

    def pass_by(_: str) -> None:
        if next(moments) == at:
            stand_still()

    scene.networks.on_call = scene.stations.on_call = pass_by

    error = world.bind(POD, "a")

    late = at >= MOMENTS - 3
    assert error.startswith("pod.bind-expired" if late else ("pod.bind-expired", "network."))
    assert scene.node_of() == ""
    scene.heal()
    scene.collect()
    scene.settle_stations()
    assert scene.holders() == set()
    assert scene.faults() == []

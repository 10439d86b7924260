"""Pods that cannot be read: rubicante reconciles beside them and takes nothing from them."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from daemons.rubicante.book.entry import Phase
from k40s.annotations import ALLOCATION_KEY, CRITICALITY_KEY, TASKS_KEY
from k40s.kube.list_watch import Listing, Unreadable
from k40s.kube.records import Fault, PodRecord
from tests.fakes.rubicante.api_server import NODE, FakePodSource
from tests.fakes.rubicante.scene import Scene
from tests.fakes.rubicante.world import World, ask, pod, uid

ADOPTED = {
    CRITICALITY_KEY: "HI",
    TASKS_KEY: '[{"name":"x","period":"100ms","wcet":{"xeon":"1ms"}}]',
    ALLOCATION_KEY: "{}",
}


def odd(record: PodRecord, *fields: str, **changes: object) -> PodRecord:
    faults = tuple(Fault(field=name, text=f"{name}: found 5") for name in fields)
    return replace(record, faults=faults, **changes)  # type: ignore[arg-type]  # single fields


@pytest.fixture
def world() -> World:
    made = World()
    made.reserve(1)
    made.pods.upsert(
        made.server.add(pod(1, node=NODE, phase="Running", container_ids={"main": "a"}))
    )
    return made


def phases(world: World) -> list[Phase]:
    return [entry.phase for entry in world.book.entries()]


@pytest.mark.parametrize("listed", [True, False])
def test_a_pod_that_became_unreadable_keeps_its_reservation_and_what_was_known(
    world: World, listed: bool
) -> None:
    bad = odd(
        pod(1, containers=(), container_ids={}),
        *("node", "phase", "containers", "container_ids", "annotations", "cpu_request_millis"),
        phase="",
    )

    if listed:
        world.pods.replace([bad])
    else:
        world.pods.upsert(bad)

    assert phases(world) == [Phase.BOUND]
    record = world.pods.record(uid(1))
    assert record is not None
    assert record.container_ids == {"main": "a"}
    assert world.pods.records()[0].phase == "Running"


def test_an_incomplete_list_releases_nothing_and_confirms_what_is_there(world: World) -> None:
    world.reserve(2)

    world.pods.merge([pod(2, node=NODE)])

    assert phases(world) == [Phase.BOUND, Phase.BOUND]
    assert len(world.pods.records()) == 2


def test_a_lease_goes_on_while_its_pod_cannot_be_read_and_the_others_are_settled() -> None:
    world = World()
    for number in (1, 2):
        world.reserve(number)
    world.server.add(pod(2, node="edge-2"))
    world.server.unreadable = {uid(1)}
    world.seconds = 61

    world.upkeep.resolve_leases()

    assert [entry.pod.uid for entry in world.book.entries()] == [uid(1)]


@pytest.fixture
def scene() -> Iterator[Scene]:
    made = Scene()
    yield made
    made.daemon.halt()


def test_one_pod_that_cannot_be_read_keeps_nobody_from_being_adopted(scene: Scene) -> None:
    for number in (1, 2):
        scene.server.add(pod(number, node=NODE, annotations=ADOPTED))
    scene.server.unreadable = {uid(1)}

    scene.open()

    assert scene.daemon.reservations.is_open
    assert [entry.pod.uid for entry in scene.daemon.book.entries()] == [uid(2)]
    assert scene.daemon.registry.get_sample_value("k40s_rubicante_unreserved_pods") == 1


class IncompleteSource(FakePodSource):
    def list(self) -> Listing[PodRecord]:
        nameless = Unreadable(name="", fields=("metadata",), cause="no object", identified=False)
        return replace(super().list(), unreadable=(nameless,))


def test_a_restarted_rubicante_keeps_the_reservations_of_pods_it_cannot_tell(scene: Scene) -> None:
    scene.open()
    scene.server.add(pod(1))
    scene.daemon.reservations.reserve(ask(1))
    scene.daemon.pods.upsert(pod(1, node=NODE))
    scene.server.pods.clear()
    listing = IncompleteSource(scene.server).list()
    again = scene.make()

    again.pods.merge(listing.records)

    assert not listing.is_complete
    assert [entry.phase for entry in again.book.entries()] == [Phase.BOUND]
    again.halt()


def test_odd_pods_are_counted_by_kind(scene: Scene) -> None:
    name, labels = "k40s_rubicante_unreadable_objects_total", {"kind": "pods"}
    scene.pods = IncompleteSource(scene.server)
    daemon = scene.make()
    before = daemon.registry.get_sample_value(name, labels)

    thread = daemon.informer.start()
    assert daemon.informer.synchronized.wait(120)
    daemon.stop.set()
    scene.pods.stop()
    thread.join(120)

    assert (before, daemon.registry.get_sample_value(name, labels)) == (0, 1)
    daemon.halt()

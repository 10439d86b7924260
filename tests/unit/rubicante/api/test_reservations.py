"""What becomes of reservations as pods are bound, end, vanish, or were forgotten."""

from dataclasses import replace

import pytest

from daemons.rubicante.book.entry import Phase
from k40s.annotations import ALLOCATION_KEY, CRITICALITY_KEY, TASKS_KEY
from k40s.errors import UnavailableError
from k40s.kube.records import PodRecord
from tests.fakes.rubicante.api_server import NODE
from tests.fakes.rubicante.world import World, ask, pod, task, uid

TASKS = '[{"name":"ctl","period":"100ms","wcet":{"xeon":"5ms"}}]'


def allocated(number: int = 1, *, tasks: str = TASKS, phase: str = "Running") -> PodRecord:
    annotations = {CRITICALITY_KEY: "HI", TASKS_KEY: tasks, ALLOCATION_KEY: "{}"}
    return pod(number, node=NODE, phase=phase, annotations=annotations)


def phases(world: World) -> list[Phase]:
    return [entry.phase for entry in world.book.entries()]


def test_a_bound_pod_confirms_its_reservation(world: World) -> None:
    world.reserve()

    world.pods.upsert(pod(1, node=NODE))

    assert phases(world) == [Phase.BOUND]


def test_a_listed_pod_confirms_its_reservation(world: World) -> None:
    world.reserve()

    world.pods.replace([pod(1, node=NODE), pod(2, node=NODE)])

    assert phases(world) == [Phase.BOUND]


def test_a_pod_missing_in_a_list_is_let_go_only_when_it_was_bound(world: World) -> None:
    world.reserve(1)
    world.reserve(2, task(wcet_ms=2))
    world.pods.upsert(pod(1, node=NODE))

    world.pods.replace([])

    assert phases(world) == [Phase.RELEASING, Phase.LEASED]


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_pod_that_ended_is_let_go(world: World, phase: str) -> None:
    world.reserve()
    world.pods.upsert(pod(1, node=NODE))

    world.pods.upsert(pod(1, node=NODE, phase=phase))

    assert phases(world) == [Phase.RELEASING]


def test_a_pod_that_terminates_keeps_its_budget_until_it_is_gone(world: World) -> None:
    world.reserve()

    world.pods.upsert(pod(1, node=NODE, deleting=True))

    assert phases(world) == [Phase.BOUND]


def test_other_pods_do_not_wake_the_enforcer(world: World) -> None:
    world.pods.upsert(pod(5, node=NODE))
    world.pods.delete(uid(5))

    assert world.woken == 0
    assert world.pods.records() == ()


def test_a_lease_that_runs_out_gives_back_its_bandwidth(world: World) -> None:
    world.reserve()
    world.seconds = 61

    world.upkeep.resolve_leases()

    assert world.book.entries() == ()
    assert world.system.admitted() == 0


def test_a_lease_whose_pod_is_bound_here_after_all_is_confirmed(world: World) -> None:
    world.reserve()
    world.server.add(pod(1, node=NODE))
    world.seconds = 61

    world.upkeep.resolve_leases()

    assert phases(world) == [Phase.BOUND]


@pytest.mark.parametrize(
    "record", [pod(1, node="edge-2"), pod(1, node=NODE, phase="Failed"), pod(1)]
)
def test_a_lease_whose_pod_runs_elsewhere_or_not_at_all_expires(
    world: World, record: PodRecord
) -> None:
    world.reserve()
    world.server.add(record)
    world.seconds = 61

    world.upkeep.resolve_leases()

    assert world.book.entries() == ()


def test_no_lease_expires_while_the_api_server_is_away(world: World) -> None:
    world.reserve()
    world.server.down = True
    world.seconds = 61

    with pytest.raises(UnavailableError):
        world.upkeep.resolve_leases()

    assert phases(world) == [Phase.LEASED]


def test_a_pod_of_ours_that_the_book_lost_is_adopted(world: World) -> None:
    record = world.server.add(allocated())

    assert world.upkeep.adopt(record)

    assert phases(world) == [Phase.BOUND]
    assert world.book.entries()[0].reservations[0].tasks[0].name == "ctl"
    assert world.system.admitted() > 0


@pytest.mark.parametrize(
    "record", [pod(1, node=NODE), allocated(phase="Succeeded")], ids=["plain", "ended"]
)
def test_a_pod_that_needs_no_reservation_is_left_alone(world: World, record: PodRecord) -> None:
    assert world.upkeep.adopt(record)
    assert world.book.entries() == ()


def test_an_allocated_pod_without_tasks_needs_none(world: World) -> None:
    record = pod(1, node=NODE, annotations={ALLOCATION_KEY: "{}"})

    assert world.upkeep.adopt(record)
    assert world.book.entries() == ()


def test_adopting_twice_changes_nothing(world: World) -> None:
    record = world.server.add(allocated())
    world.upkeep.adopt(record)
    before = dict(world.store.texts)

    assert world.upkeep.adopt(record)
    assert world.store.texts == before


@pytest.mark.parametrize(
    "tasks", ["[", TASKS.replace("5ms", "99ms")], ids=["malformed", "too large"]
)
def test_a_pod_that_cannot_be_adopted_is_reported(world: World, tasks: str) -> None:
    record = world.server.add(allocated(tasks=tasks))

    assert not world.upkeep.adopt(record)
    assert world.book.entries() == ()


def test_nothing_is_answered_before_node_and_pods_are_known(world: World) -> None:
    starting = world.restarted(opened=False)
    world.server.add(pod(1))

    with pytest.raises(UnavailableError, match="starting"):
        starting.reservations.reserve(ask(1))
    with pytest.raises(UnavailableError, match="starting"):
        starting.reservations.preview(ask(1))
    assert not starting.reservations.is_open
    starting.reservations.open()
    assert starting.reservations.preview(ask(1)).schedulable


def test_a_pod_that_is_being_deleted_gets_nothing(world: World) -> None:
    world.server.add(pod(1, deleting=True))

    answer, created = world.reservations.reserve(ask(1))

    assert not answer.schedulable
    assert not created


@pytest.mark.parametrize(
    ("kinds", "detail"),
    [
        ({"sidecars": ("log",)}, ""),
        ({"init_containers": ("log",)}, "one with restartPolicy: Always may hold tasks"),
        ({}, "no such container: ['log']"),
    ],
)
def test_a_sidecar_may_hold_tasks_and_an_init_container_that_ends_first_may_not(
    world: World, kinds: dict[str, tuple[str, ...]], detail: str
) -> None:
    world.server.add(replace(pod(1), **kinds))

    answer, created = world.reservations.reserve(ask(1, task(container="log")))

    assert (created, detail in answer.detail) == (not detail, True)

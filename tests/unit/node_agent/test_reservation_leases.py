"""Reservations whose pod was not bound here: how long they last, and what ends them sooner."""

from collections.abc import Callable

import pytest

from daemons.rubicante.book.entry import Phase
from k40s.kube.records import PodRecord
from k40s.node_agent.reservation_leases import Leases
from k40s.units import NS_PER_S, Nanoseconds
from tests.fakes.rubicante.api_server import NODE, FakeApiServer
from tests.fakes.rubicante.books import Clock
from tests.fakes.rubicante.world import World, pod


class CountingServer(FakeApiServer):
    def __init__(self) -> None:
        super().__init__()
        self.looked = 0

    def get_pod(self, namespace: str, name: str) -> PodRecord | None:
        self.looked += 1
        return super().get_pod(namespace, name)


@pytest.fixture
def world() -> World:
    made = World(server=CountingServer())
    made.reserve(1)
    return made


def elsewhere(world: World) -> None:
    world.server.add(pod(1, node="edge-2"))


def gone(world: World) -> None:
    world.server.pods.clear()


def ended(world: World) -> None:
    world.server.add(pod(1, phase="Failed"))


def deleting(world: World) -> None:
    world.server.add(pod(1, deleting=True))


@pytest.mark.parametrize("event", [elsewhere, gone, ended, deleting])
def test_a_reservation_whose_pod_will_not_come_goes_at_the_next_look(
    world: World, event: Callable[[World], None]
) -> None:
    event(world)
    world.seconds = 1.0

    world.upkeep.resolve_leases()

    assert world.book.entries() == ()
    assert world.system.admitted() == 0


def test_a_pod_that_is_waited_for_keeps_its_reservation_until_the_lease_ends(world: World) -> None:
    held = []
    for second in (1, 30, 59.9, 60):
        world.seconds = second
        world.upkeep.resolve_leases()
        held.append(len(world.book.entries()))

    assert held == [1, 1, 1, 0]


def test_a_pod_bound_here_unnoticed_is_confirmed_at_the_next_look(world: World) -> None:
    world.server.add(pod(1, node=NODE))
    world.seconds = 1.0

    world.upkeep.resolve_leases()

    assert [entry.phase for entry in world.book.entries()] == [Phase.BOUND]


def test_a_pod_that_ends_by_itself_while_bound_here_is_the_watchs_to_tell(world: World) -> None:
    world.server.add(pod(1, node=NODE, deleting=True))
    world.seconds = 1.0

    world.upkeep.resolve_leases()

    assert [entry.phase for entry in world.book.entries()] == [Phase.BOUND]


def test_a_waiting_pod_is_looked_up_a_few_times_only(world: World) -> None:
    assert isinstance(world.server, CountingServer)
    world.server.looked = 0

    for half_second in range(119):
        world.seconds = half_second / 2
        world.upkeep.resolve_leases()

    assert world.server.looked == 5


def test_a_pod_that_is_bound_in_time_is_never_looked_up(world: World) -> None:
    assert isinstance(world.server, CountingServer)
    world.server.looked = 0
    world.pods.upsert(pod(1, node=NODE))

    for second in range(120):
        world.seconds = second
        world.upkeep.resolve_leases()

    assert world.server.looked == 0


def test_a_new_process_looks_at_once(world: World) -> None:
    again = world.restarted()
    elsewhere(again)

    again.upkeep.resolve_leases()

    assert again.book.entries() == ()


def test_a_lease_that_is_unknown_has_run_out() -> None:
    leases = Leases(length=Nanoseconds(NS_PER_S), clock=Clock())

    assert leases.has_expired("x")
    assert leases.is_due("x")

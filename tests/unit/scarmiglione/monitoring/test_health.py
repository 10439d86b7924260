"""Sync, clock, roles and the master's table become codes, events and metrics."""

import pytest

from daemons.scarmiglione.monitoring.clock_steps import ClockSteps
from daemons.scarmiglione.monitoring.master import TableCheck
from daemons.scarmiglione.network.back_end import Role
from k40s.network.model import NetworkState
from tests.fakes.scarmiglione.back_end import FakePriorities
from tests.fakes.scarmiglione.world import NET, NODE, World, network, reservation, window


def health(world: World) -> str:
    return world.daemon.health.health(NET)


def test_a_station_is_starting_until_it_was_looked_at() -> None:
    world = World()

    assert health(world) == "starting"
    assert world.open().daemon.health.health(NET) == "ok"


def test_a_station_whose_receive_counter_stands_still_has_no_sync() -> None:
    world = World().open()
    world.kernel.received = 0
    for _ in range(3):
        world.kernel.received += 1000
        world.tick()
        assert health(world) == "ok"

    world.tick()

    assert health(world) == "no-sync"
    assert world.metric("sync_losses_total") == 1
    assert world.events_of(NODE) == ["NetworkUnhealthy"]
    world.kernel.received += 1000
    world.tick()
    assert health(world) == "ok"


def test_looks_that_are_too_close_together_say_nothing_of_sync() -> None:
    world = World().open()
    world.kernel.received = 5
    world.tick()

    world.tick(0.001)

    assert health(world) == "ok"


def test_the_master_waits_for_no_sync() -> None:
    world = World(networks={})
    world.declare(network(master=NODE))
    world.kernel.role, world.kernel.received = Role.MASTER, 5
    world.open()

    world.tick()

    assert health(world) == "ok"


def test_a_station_that_is_to_be_master_and_is_not_has_another_role() -> None:
    world = World(networks={})
    world.declare(network(master=NODE))

    world.open()

    assert health(world) == "role"


def test_a_second_master_is_told_by_its_own_kernel() -> None:
    world = World()
    world.kernel.role = Role.MASTER

    world.open()

    assert health(world) == "second-master"


def test_stock_linux_knows_no_role_and_no_sync() -> None:
    world = World(networks={}, back_end=FakePriorities)
    world.declare(network(master=NODE))
    world.kernel.received = 5
    world.open()

    world.tick()

    assert health(world) == "ok"


def test_the_master_reports_reservations_that_overlap() -> None:
    world = World(networks={})
    world.declare(network(NODE, "edge-2", master=NODE))
    world.kernel.role = Role.MASTER
    world.reserve(1, window(100), node="edge-2")
    world.reserve(2, window(120), node="edge-2")

    world.open()

    assert health(world) == "conflict"
    assert world.metric("table_conflicts") == 1
    world.daemon.events.send()
    (text,) = (text for _, reason, text in world.server.events if reason == "SlotTableConflict")
    assert text == "network plant: the slots of pod default/pod-1 and pod default/pod-2 meet"


def test_a_table_that_changes_at_every_bind_is_tested_every_few_seconds() -> None:
    tested: list[int] = []
    now = [0]
    check = TableCheck(lambda table: tested.append(len(table.windows)), clock=lambda: now[0])
    states = [
        NetworkState(
            network=network(),
            reservations=tuple(reservation(one, window(100)) for one in range(n)),
            resource_version=str(n),
        )
        for n in range(4)
    ]

    for state, seconds in zip(states, (0, 2, 4, 6), strict=True):
        now[0] = seconds * 1_000_000_000
        assert check.find_conflict(state) is None
        assert check.find_conflict(state) is None

    assert tested == [0, 3]


def test_a_step_of_the_clock_keeps_pods_away_for_a_while() -> None:
    world = World().open()
    world.daemon.clock_steps.look()
    world.wall_ahead = -3.0

    world.daemon.clock_steps.look()
    world.tick()

    assert health(world) == "clock-step"
    assert "ClockStepped" in world.events_of(NODE)
    assert world.metric("clock_steps_total") == 1
    world.tick(10)
    assert health(world) == "ok"


@pytest.mark.parametrize(
    ("wall", "steps"),
    [(100_000_000, []), (108_000_000, []), (130_000_000, [30_000_000]), (0, [-100_000_000])],
)
def test_a_clock_that_is_slewed_is_not_stepped(wall: int, steps: list[int]) -> None:
    """By 8.3 % at most, as chrony does."""
    found: list[int] = []
    times = iter([0, 0, 100_000_000, 100_000_000])
    walls = iter([0, wall])
    clock = ClockSteps(
        monotonic=lambda: next(times), wall=lambda: next(walls), stepped=found.append
    )

    clock.look()

    assert found == steps


@pytest.mark.parametrize("held_up", [0, 1])
def test_a_thread_that_is_held_up_between_both_clocks_has_seen_no_step(held_up: int) -> None:
    found: list[int] = []
    times = iter([0, 0, 100_000_000, 160_000_000, 200_000_000, 200_000_000][2 * held_up :])
    walls = iter([0, 160_000_000, 200_000_000][held_up:])
    clock = ClockSteps(
        monotonic=lambda: next(times), wall=lambda: next(walls), stepped=found.append
    )

    clock.look()

    assert found == []


def test_an_interface_that_is_not_attached_is_absent_and_its_slots_come_back_with_it() -> None:
    world = World().open()
    world.give(1, window(100))
    held = dict(world.kernel.of("rteth0"))
    world.kernel.attached = False
    world.kernel.of("rteth0").clear()

    world.tick()
    assert health(world) == "absent"
    world.kernel.attached = True
    world.tick()

    assert world.kernel.of("rteth0") == held

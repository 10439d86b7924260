"""The Node's annotation and label, written on change, and the Lease."""

from dataclasses import replace

import pytest

from k40s.annotations import NETWORK_STATE_KEY, XENOMAI_LABEL
from k40s.annotations.network_state import BackEnd, Role, parse_network_state
from k40s.errors import UnavailableError
from k40s.network.model import NetworkState
from k40s.units import NS_PER_S, Nanoseconds
from tests.fakes.scarmiglione.world import NET, World, network, window


def publish(world: World) -> None:
    world.daemon.publication.publish()
    world.daemon.publication.beat()


def test_the_state_is_published_once_it_is_known() -> None:
    world = World()
    publish(world)
    assert world.server.patches == 0
    assert world.server.beats == 0

    world.open()
    publish(world)

    state = parse_network_state(world.server.node.annotations[NETWORK_STATE_KEY])
    (station,) = state.networks.values()
    assert state.endpoint == "https://127.0.0.1:8447"
    assert (station.interface, station.back_end, station.role) == (
        "rteth0",
        BackEnd.TDMACFG,
        Role.STATION,
    )
    assert (station.health, station.channels) == ("ok", 8)
    assert world.server.beats == 1
    assert XENOMAI_LABEL not in world.server.node.labels


def test_nothing_is_written_while_nothing_changes() -> None:
    world = World().open()
    publish(world)
    patches = world.server.patches

    for _ in range(5):
        world.tick()
        world.daemon.publication.publish()

    assert world.server.patches <= patches + 1  # since when the Lease was renewed


def test_a_slot_and_a_fault_are_published() -> None:
    world = World().open()
    world.give(1, window(100), window(300))
    world.kernel.role = None
    world.kernel.attached = False

    world.tick()
    publish(world)

    state = parse_network_state(world.server.node.annotations[NETWORK_STATE_KEY])
    assert (state.networks[NET].health, state.networks[NET].channels) == ("absent", 0)


def test_a_node_with_xenomai_says_so() -> None:
    world = World(xenomai=True).open()

    publish(world)

    assert world.server.node.labels[XENOMAI_LABEL] == "true"


def test_networks_that_do_not_fit_into_the_annotation_are_left_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()
    for number in range(14):
        one = network(name=f"{'n' * 60}-{number:02}")
        members = tuple(replace(m, interface=f"rteth{number}") for m in one.members)
        world.networks[one.name] = NetworkState(network=replace(one, members=members))
    world.open()

    publish(world)

    text = world.server.node.annotations[NETWORK_STATE_KEY]
    assert len(text) <= 1024
    assert 3 < len(parse_network_state(text).networks) < 14
    assert [r.message for r in caplog.records].count("networks not published") == 1


def test_a_node_on_more_networks_than_can_be_published_publishes_the_first(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()
    for number in range(18):
        one = network(name=f"n{number:02}")
        members = tuple(replace(m, interface=f"e{number}") for m in one.members)
        world.networks[one.name] = NetworkState(network=replace(one, members=members))
    world.open()

    publish(world)

    text = world.server.node.annotations[NETWORK_STATE_KEY]
    assert min(parse_network_state(text).networks) == "n00"
    assert [r.message for r in caplog.records].count("networks not published") == 1
    assert world.server.beats == 1


def test_a_node_on_no_network_publishes_that_and_renews_its_lease() -> None:
    world = World()
    world.networks.clear()
    world.open()

    publish(world)

    state = parse_network_state(world.server.node.annotations[NETWORK_STATE_KEY])
    assert state.networks == {}
    assert world.server.beats == 1
    assert world.daemon.ready() is None


def test_a_station_whose_book_cannot_be_written_renews_nothing() -> None:
    world = World().open()
    world.give(1, window(100))
    world.unreserve(1)
    world.show()
    world.store.broken = True

    world.tick()
    publish(world)

    assert world.server.beats == 0
    assert world.daemon.healthy() is None
    assert world.daemon.ready() == "the book of slots cannot be written"
    world.store.broken = False
    world.tick()
    publish(world)
    assert world.server.beats == 1


def test_on_a_slow_network_a_look_may_take_as_long_as_a_calibration() -> None:
    world = World()
    slow = network()
    assert slow.tdma is not None
    cycle = replace(slow.tdma.cycle, period=Nanoseconds(NS_PER_S))
    world.declare(replace(slow, tdma=replace(slow.tdma, cycle=cycle)))
    world.open()

    world.seconds += 400

    assert world.daemon.healthy() is None


def test_a_daemon_without_looks_is_restarted_and_renews_nothing() -> None:
    world = World().open()
    world.seconds += 61

    assert world.daemon.healthy() == "no look at the stations for 61 s"
    publish(world)

    assert world.server.beats == 0


def test_events_wait_for_an_api_server_that_is_away() -> None:
    world = World().open()
    world.give(1, window(100))
    world.server.down = True
    world.daemon.events.send()
    world.server.down = False

    world.daemon.events.send()

    assert [reason for _, reason, _ in world.server.events] == ["SlotsApplied"]
    assert world.metric("events_total", reason="SlotsApplied") == 1


def test_a_damaged_store_is_named() -> None:
    world = World().open()
    world.store.texts["pod/x"] = "{}"

    with pytest.raises(UnavailableError, match="the store's entry of pod x is damaged"):
        world.start()

"""Bind reserves on all networks, then at the station, and binds; or leaves nothing behind."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from extender.binding.conditional_writes import UNDO
from k40s.annotations import NETWORK_GRANT_KEY, GrantedPath, GrantedSlots, parse_network_grants
from k40s.errors import UnavailableError
from k40s.kube.transport import NotFoundError, RefusedError
from k40s.ledger.entry import Owner
from k40s.network.model import NetworkReservation, Tdma
from k40s.node_api.client import DaemonError
from k40s.reasons import Reason
from k40s.tdma.model import Cycle
from k40s.units import NS_PER_S, Nanoseconds
from tests.fakes.extender.networks import STATION, make_lan, make_stations, make_tdma, path, slot
from tests.fakes.extender.world import (
    World,
    make_cpu_state,
    make_node,
    make_pod,
    make_pod_record,
    make_task,
)

POD = make_pod("p", networks=[slot(), path("b")])
LAN, PLANT, APPLY, BIND, WITHDRAW = (
    "update lan",
    "update plant",
    f"apply uid-p at {STATION}",
    "bind uid-p to a",
    f"withdraw uid-p at {STATION}",
)
LOST = DaemonError("timed out", reason=Reason.NETWORK_STATION_SILENT)
CERTAIN = DaemonError("refused", reason=Reason.NETWORK_STATION_FAILED, certain=True)


@pytest.fixture
def world() -> World:
    world = World()
    stations = make_stations("plant")
    world.add(*(make_node(name, level=20, stations=stations) for name in "ab"))
    world.declare(make_tdma(), make_lan())
    world.filter(POD, ["a"])
    return world


def failing(call: str, error: Exception) -> Callable[[str], None]:
    def hook(name: str) -> None:
        if name == call:
            raise error

    return hook


def is_empty(world: World) -> bool:
    nothing = not world.networks.reservations("plant") and not world.networks.reservations("lan")
    return nothing and not world.stations.held


def test_a_pod_is_told_its_slot_and_its_path(world: World) -> None:
    assert world.bind(POD, "a") == ""

    assert world.journal == [LAN, PLANT, APPLY, BIND]
    text = world.pods.bound["uid-p"][1][NETWORK_GRANT_KEY]
    slots, way = parse_network_grants(text)
    (held,) = world.networks.reservations("plant")
    assert isinstance(slots, GrantedSlots)
    assert (slots.network, slots.interface, slots.channel) == ("plant", "rteth0", 2)
    assert [(one.offset, one.phasing - 1) for one in slots.slots] == [
        (window.offset, window.phase) for window in held.slots[0].windows
    ]
    assert isinstance(way, GrantedPath)
    assert way.path.nodes == ("a", "switch", "b")


def test_an_entry_names_its_pod_its_node_and_attempt_and_expires(world: World) -> None:
    world.bind(POD, "a")

    for network in ("plant", "lan"):
        (held,) = world.networks.reservations(network)
        assert held.owner == Owner(uid="uid-p", namespace="default", name="p")
        assert (held.node, held.attempt) == ("a", "attempt-1")
        assert held.until == world.clock.wall() + timedelta(seconds=60)


def test_cpu_is_reserved_first_and_all_is_told_together() -> None:
    world = World()
    pod = make_pod("p", criticality="HI", tasks=[make_task()], networks=[slot()])
    world.add(make_node("a", level=20, cpu=make_cpu_state(), stations=make_stations()))
    world.declare(make_tdma())
    world.filter(pod, ["a"])

    assert world.bind(pod, "a") == ""
    assert world.journal == [f"reserve uid-p at {make_cpu_state().endpoint}", PLANT, APPLY, BIND]
    assert len(world.pods.bound["uid-p"][1]) == 2


def test_a_best_effort_network_asks_no_station(world: World) -> None:
    world.add(make_node("a", level=20))
    pod = make_pod("r", networks=[path("b")])
    world.filter(pod, ["a"])

    assert world.bind(pod, "a") == ""
    assert world.journal == [LAN, "bind uid-r to a"]


def test_a_refusal_of_the_second_network_takes_back_the_first(world: World) -> None:
    own = make_pod("own", networks=[slot(payload="1500B")] * 6)
    world.filter(own, ["b"])
    assert world.bind(own, "b") == ""
    big = make_pod("p", networks=[path("b"), slot(payload="1500B"), slot(payload="1500B")])
    world.filter(big, ["a"])

    error = world.bind(big, "a")

    assert error.startswith("network.no-slot")
    assert world.networks.reservations("lan") == ()
    assert [one.owner.uid for one in world.networks.reservations("plant")] == ["uid-own"]


def test_a_conflict_is_answered_by_a_search_in_the_newest_version(world: World) -> None:
    place = NetworkReservation(owner=Owner(uid="x", namespace="n", name="x"), node="b")
    world.networks.write("plant", [place])  # the watch has not told of it

    assert world.bind(POD, "a") == ""

    assert world.journal == [LAN, PLANT, "get plant", PLANT, APPLY, BIND]
    assert world.networks.reservations("plant")[0] == place
    assert world.registry.get_sample_value("k40s_extender_network_conflicts_total") == 1
    assert len(world.pauses) == 1


def test_conflicts_without_end_are_given_up_at_the_deadline(world: World) -> None:
    def be_faster(call: str) -> None:
        if call == "update":
            world.networks.write("plant", [])

    world.networks.on_call = be_faster
    pod = make_pod("s", networks=[slot()])
    world.filter(pod, ["a"])

    error = world.bind(pod, "a")

    assert error.startswith("network.conflicts")
    assert sum(world.pauses) < world.network_timeout
    assert 10 < len(world.pauses) < 100
    assert is_empty(world)


def test_a_slot_that_somebody_else_took_meanwhile_is_not_given_twice(world: World) -> None:
    other = World(networks=world.networks, stations=world.stations, name="other")
    other.add(*(make_node(name, level=20, stations=make_stations("plant")) for name in "ab"))
    other.watch_networks()
    pods = [make_pod(name, networks=[slot(payload="1500B")] * 6) for name in "xy"]
    for one, pod in zip((world, other), pods, strict=True):
        one.filter(pod, ["a"])

    errors = world.bind(pods[0], "a"), other.bind(pods[1], "a")

    assert errors[0] == ""
    assert errors[1].startswith("network.no-slot")


def test_a_network_that_vanishes_is_unknown(world: World) -> None:
    del world.networks.states["plant"]

    assert world.bind(POD, "a").startswith("network.unknown")
    assert world.networks.reservations("lan") == ()


def test_an_unhealthy_station_is_asked_for_nothing(world: World) -> None:
    world.add(make_node("a", level=20, stations=make_stations("plant", health="no-sync")))

    assert world.bind(POD, "a").startswith("network.unhealthy")
    assert world.journal == []


def test_what_a_station_refuses_is_taken_back(world: World) -> None:
    world.stations.reason = Reason.NETWORK_NO_CHANNEL

    error = world.bind(POD, "a")

    assert error == f"network.no-channel: {Reason.NETWORK_NO_CHANNEL.text}"
    assert world.journal == [LAN, PLANT, APPLY, PLANT, LAN]
    assert is_empty(world)


def test_a_station_that_certainly_did_nothing_is_asked_to_withdraw_nothing(world: World) -> None:
    world.stations.on_call = failing("apply", CERTAIN)

    assert world.bind(POD, "a").startswith("network.station-failed")
    assert world.journal == [LAN, PLANT, APPLY, PLANT, LAN]
    assert is_empty(world)


def test_slots_whose_answer_was_lost_are_withdrawn(world: World) -> None:
    world.stations.on_call = failing("applied", LOST)

    assert world.bind(POD, "a").startswith("network.station-silent")
    assert world.journal == [LAN, PLANT, APPLY, WITHDRAW, PLANT, LAN]
    assert is_empty(world)


def test_a_station_with_an_unknown_back_end_is_a_fault_and_undone(world: World) -> None:
    world.stations.backend = "pigeon"

    assert world.bind(POD, "a").startswith("network.station-failed")
    assert is_empty(world)


@pytest.mark.parametrize("fault", [NotFoundError("404"), RefusedError("403")])
def test_a_binding_that_certainly_failed_undoes_all_in_reverse(
    world: World, fault: Exception
) -> None:
    world.pods.fault = fault

    assert world.bind(POD, "a")
    assert world.journal == [LAN, PLANT, APPLY, BIND, WITHDRAW, PLANT, LAN]
    assert is_empty(world)


def test_a_binding_that_may_have_happened_keeps_all(world: World) -> None:
    world.pods.fault = UnavailableError("timeout")

    assert world.bind(POD, "a").startswith("api.silent")
    assert world.journal == [LAN, PLANT, APPLY, BIND]
    assert not is_empty(world)


def test_a_repeat_takes_over_what_it_finds_with_its_own_attempt(world: World) -> None:
    world.pods.fault = UnavailableError("timeout")
    world.bind(POD, "a")
    before = world.networks.reservations("plant")
    world.pods.fault = None
    world.clock.advance(10)
    world.beat("a")

    assert world.bind(POD, "a") == ""

    (held,) = world.networks.reservations("plant")
    assert held.slots == before[0].slots
    assert held.attempt == "attempt-2"
    assert held.until == world.clock.wall() + timedelta(seconds=60)


def test_a_repeat_that_fails_keeps_what_an_earlier_attempt_may_be_bound_with(
    world: World,
) -> None:
    world.pods.fault = UnavailableError("timeout")
    world.bind(POD, "a")
    world.pods.fault = RefusedError("403")

    assert world.bind(POD, "a").startswith("api.refused")
    assert len(world.networks.reservations("plant")) == 1
    assert len(world.networks.reservations("lan")) == 1


def test_a_bind_elsewhere_leaves_the_entry_that_the_pod_may_be_bound_with(world: World) -> None:
    world.pods.fault = UnavailableError("timeout")
    world.bind(POD, "a")
    world.pods.by_name["default", "p"] = make_pod_record("uid-p", name="p", node="a")
    world.pods.fault = None

    error = world.bind(POD, "b")

    assert error.startswith("pod.bound-elsewhere")
    assert [one.node for one in world.networks.reservations("plant")] == ["a"]
    assert [one.node for one in world.networks.reservations("lan")] == ["a"]


def test_what_the_controller_saw_bound_is_not_given_another_end(world: World) -> None:
    world.pods.fault = UnavailableError("timeout")
    world.bind(POD, "a")
    for name in ("plant", "lan"):
        bound = [replace(one, until=None) for one in world.networks.reservations(name)]
        world.networks.write(name, bound)
    world.watch_networks()
    world.pods.fault = None
    world.journal.clear()

    assert world.bind(POD, "a") == ""
    assert world.journal == [APPLY, BIND]
    assert [one.until for one in world.networks.reservations("plant")] == [None]


def test_what_a_bound_pod_holds_is_not_replaced(world: World) -> None:
    world.bind(POD, "a")
    bound = [replace(one, until=None) for one in world.networks.reservations("plant")]
    world.networks.write("plant", bound)
    world.watch_networks()
    other = make_pod("p", networks=[slot(payload="500B")])
    world.filter(other, ["a"])

    assert world.bind(other, "a").startswith("pod.changed")
    assert list(world.networks.reservations("plant")) == bound


def test_a_removal_that_fails_is_left_to_the_lease(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    def cut_off() -> None:
        world.networks.on_call = failing("update", UnavailableError("timeout"))

    world.pods.on_bind, world.pods.fault = cut_off, NotFoundError("404")

    assert world.bind(POD, "a").startswith("pod.unknown")
    assert len(world.networks.reservations("plant")) == 1
    assert caplog.messages.count("network reservation not removed; it will expire") == 2


def test_a_removal_survives_conflicts(world: World) -> None:
    def change() -> None:
        for name in ("plant", "lan"):
            world.networks.write(name, world.networks.reservations(name))

    world.pods.on_bind, world.pods.fault = change, NotFoundError("404")

    world.bind(POD, "a")
    assert is_empty(world)


def test_a_pod_that_is_bound_here_without_its_grant_is_not_taken_for_bound(world: World) -> None:
    world.watch_pod(
        make_pod_record("uid-p", name="p", node="a", annotations=POD["metadata"]["annotations"])  # type: ignore[index]
    )

    assert world.bind(POD, "a").startswith("pod.bound-elsewhere")


def test_one_process_lets_its_binds_take_turns() -> None:
    world = World(network_timeout=Nanoseconds(NS_PER_S // 100))
    world.add(*(make_node(name, level=20, stations=make_stations("plant")) for name in "ab"))
    world.declare(make_tdma())
    inner: list[str] = []
    pods = [make_pod(name, networks=[slot()]) for name in "xy"]
    for pod in pods:
        world.filter(pod, ["a"])

    def meanwhile(call: str) -> None:
        if call == "update" and not inner:
            inner.append("")
            inner[0] = world.bind(pods[1], "a")

    world.networks.on_call = meanwhile

    assert world.bind(pods[0], "a") == ""
    assert inner[0].startswith("network.conflicts")
    assert world.registry.get_sample_value("k40s_extender_network_conflicts_total") == 0


def test_an_attempt_that_fails_leaves_what_another_one_took_over(world: World) -> None:
    other = World(networks=world.networks, stations=world.stations, pods=world.pods, name="other")
    other.add(*(make_node(name, level=20, stations=make_stations("plant")) for name in "ab"))
    errors: list[str] = []

    def bind_elsewhere() -> None:
        world.pods.on_bind = lambda: None
        world.pods.fault = UnavailableError("timeout")
        other.watch_networks()
        other.filter(POD, ["a"])
        errors.append(other.bind(POD, "a"))
        world.pods.fault = NotFoundError("404")

    world.pods.on_bind = bind_elsewhere

    errors.append(world.bind(POD, "a"))

    assert [error.partition(":")[0] for error in errors] == ["api.silent", "pod.unknown"]
    for name in ("plant", "lan"):
        assert [one.attempt for one in world.networks.reservations(name)] == ["other-1"]
    assert len(world.stations.held) == 1


def test_a_grant_that_nobody_could_read_is_refused_and_undone() -> None:
    names = [f"plant-{n}" for n in range(4)]
    fast = Cycle(
        period=Nanoseconds(NS_PER_S // 100), bit_rate=10**9, mtu=1500, guard=Nanoseconds(1)
    )
    world = World()
    world.add(make_node("a", level=20, stations=make_stations(*names)))
    world.declare(*(replace(make_tdma(one), tdma=Tdma(cycle=fast, master="a")) for one in names))
    rare = {"length": "610us", "period": "40s"}  # 50 packets
    pod = make_pod("p", networks=[{"network": name, "slot": rare} for name in names * 4])
    world.filter(pod, ["a"])

    assert world.bind(pod, "a").startswith("network.full")
    assert all(world.networks.reservations(name) == () for name in names)
    assert not world.stations.held


def test_many_networks_and_a_slow_api_server_do_not_hold_a_bind_up(world: World) -> None:
    names = [f"lan-{n:02}" for n in range(16)]
    world.declare(*(make_lan(name) for name in names))
    pod = make_pod("s", networks=[path("b", name) for name in names])
    world.filter(pod, ["a"])
    begin = world.clock.now

    def be_slow(call: str) -> None:
        if call == "update":
            world.clock.advance(0.09)

    world.networks.on_call = be_slow
    error = world.bind(pod, "a")

    assert error.startswith("network.conflicts")
    assert world.clock.now - begin < world.network_timeout + UNDO + NS_PER_S // 5


def test_many_removals_end_together(world: World, caplog: pytest.LogCaptureFixture) -> None:
    names = [f"lan-{n:02}" for n in range(16)]
    world.declare(*(make_lan(name) for name in names))
    pod = make_pod("s", networks=[path("b", name) for name in names])
    world.filter(pod, ["a"])

    def hang(call: str) -> None:
        if call == "update":
            world.clock.advance(0.2)
            raise UnavailableError("timeout")

    def cut_off() -> None:
        world.networks.on_call = hang

    world.pods.on_bind, world.pods.fault = cut_off, NotFoundError("404")
    begin = world.clock.now

    assert world.bind(pod, "a").startswith("pod.unknown")
    assert world.clock.now - begin < UNDO + NS_PER_S // 5
    assert caplog.messages.count("network reservation not removed; it will expire") == len(names)

"""Filter, prioritize and dry run of pods that require networks."""

import pytest

from k40s.annotations import BackEnd
from k40s.kube.records import NodeRecord
from k40s.reasons import Reason
from k40s.units import NS_PER_MS, Nanoseconds
from tests.fakes.extender.networks import make_lan, make_stations, make_tdma, path, slot
from tests.fakes.extender.world import World, make_node, make_pod, make_pod_record, record_of

NODES = ["a", "b", "c"]
SLOT = make_pod("p", networks=[slot()])


def station_node(name: str, **changes: object) -> NodeRecord:
    return make_node(name, level=20, stations=make_stations("plant", **changes))


@pytest.fixture
def world() -> World:
    world = World()
    world.add(station_node("a"), station_node("b"), make_node("c", level=20))
    world.declare(make_tdma(nodes=["a", "b"]), make_lan(nodes=NODES))
    return world


def reasons(answer: dict[str, object]) -> dict[str, str]:
    refused = answer["FailedAndUnresolvableNodes"]
    assert isinstance(refused, dict)
    return {name: text.partition(":")[0] for name, text in refused.items()}


def test_only_members_may_take_a_pod_with_a_slot(world: World) -> None:
    answer = world.filter(SLOT, NODES)

    assert answer["NodeNames"] == ["a", "b"]
    assert reasons(answer) == {"c": "network.not-member"}


def test_a_dry_run_answers_the_same_without_a_trace(world: World) -> None:
    asked = world.dry_run(SLOT, NODES)

    assert asked == world.filter(SLOT, NODES)
    name = "k40s_extender_judged_stations_total"
    counted = {
        how: world.registry.get_sample_value(name, {"how": how})
        for how in ("searched", "remembered", "unsearched")
    }
    assert counted == {"searched": 1, "remembered": 1, "unsearched": 0}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"back_end": BackEnd.NONE, "channels": 0}, Reason.NETWORK_NO_MECHANISM),
        ({"health": "no-sync"}, Reason.NETWORK_UNHEALTHY),
        ({"channels": 0}, Reason.NETWORK_NO_CHANNEL),
    ],
)
def test_a_station_that_cannot_keep_slots_takes_none(
    world: World, changes: dict[str, object], reason: Reason
) -> None:
    world.add(station_node("a", **changes))

    assert reasons(world.filter(SLOT, ["a", "b"])) == {"a": reason.value}


def test_a_station_that_only_writes_slots_down_takes_them(world: World) -> None:
    world.add(station_node("a", back_end=BackEnd.NONE))

    assert world.filter(SLOT, ["a"])["NodeNames"] == ["a"]


def test_a_station_of_another_network_has_no_mechanism_for_this_one(world: World) -> None:
    world.add(make_node("a", level=20, stations=make_stations("other")))

    assert reasons(world.filter(SLOT, ["a"])) == {"a": "network.no-mechanism"}


def test_a_node_without_a_daemon_takes_no_slot_but_a_path(world: World) -> None:
    world.add(make_node("a", level=20), make_node("b", level=20))
    reaching = make_pod("r", networks=[path("b")])

    assert reasons(world.filter(SLOT, ["a"])) == {"a": "network.no-daemon"}
    assert world.filter(reaching, NODES)["NodeNames"] == NODES


def test_an_unreadable_state_takes_no_slot(world: World) -> None:
    world.add(make_node("a", level=20, stations="{"))

    assert reasons(world.filter(SLOT, ["a"])) == {"a": "network.state-invalid"}


def test_a_silent_daemon_takes_no_slot_until_it_renews_its_lease(world: World) -> None:
    world.clock.advance(31)
    world.beat("a", "malacoda")
    silent = reasons(world.filter(SLOT, ["a"]))
    world.beat("a", "scarmiglione")

    assert silent == {"a": "network.state-stale"}
    assert world.filter(SLOT, ["a"])["NodeNames"] == ["a"]


def test_a_daemon_that_never_held_a_lease_takes_no_slot() -> None:
    world = World()
    world.add(station_node("a"), alive=False)
    world.declare(make_tdma(nodes=["a"]))

    first = reasons(world.filter(SLOT, ["a"]))
    world.beat("a", "scarmiglione")

    assert first == {"a": "network.no-daemon"}
    assert world.filter(SLOT, ["a"])["NodeNames"] == ["a"]


def test_a_network_that_does_not_exist_is_unknown_on_every_node(world: World) -> None:
    pod = make_pod(networks=[slot("moon")])

    assert reasons(world.filter(pod, NODES)) == dict.fromkeys(NODES, "network.unknown")


def test_a_network_that_is_declared_wrongly_takes_nobody(world: World) -> None:
    record = world.networks.declare(make_tdma(), fault="spec.tdma.cycle: found '0s'")
    world.network_table.feed.upsert(record)

    assert reasons(world.filter(SLOT, ["a"])) == {"a": "network.invalid"}


def test_invalid_requirements_are_refused_everywhere_with_their_fault(world: World) -> None:
    answer = world.filter(make_pod(networks=[{"network": "plant"}]), ["a"])

    refused = answer["FailedAndUnresolvableNodes"]
    assert isinstance(refused, dict)
    assert refused["a"].startswith("pod.invalid-annotation: k40s.io/network")


def test_a_slot_that_no_cycle_can_express_is_refused(world: World) -> None:
    pod = make_pod(networks=[{"network": "plant", "slot": {"length": "1ms", "period": "1ms"}}])

    assert reasons(world.filter(pod, ["a"])) == {"a": "network.inexpressible"}


def test_a_full_cycle_takes_no_more(world: World) -> None:
    big = [make_pod(f"big{n}", networks=[slot(payload="1500B")]) for n in range(8)]
    errors = []
    for pod in big:
        world.filter(pod, ["a"])
        errors.append(world.bind(pod, "a"))

    assert errors[:6] == [""] * 6
    assert errors[-1].startswith("network.no-slot")
    assert reasons(world.filter(big[-1], ["a", "b"])) == dict.fromkeys("ab", "network.no-slot")


def test_a_pod_is_not_refused_for_the_slot_that_it_holds_itself(world: World) -> None:
    half = [make_pod(f"h{n}", networks=[slot(payload="1500B")] * 3) for n in range(3)]
    for pod in half[:2]:
        world.filter(pod, ["a"])
    assert [world.bind(pod, "a") for pod in half[:2]] == ["", ""]

    assert world.filter(half[0], ["a", "b"])["NodeNames"] == ["a"]
    assert world.filter(half[2], ["a", "b"])["NodeNames"] == []


def test_the_slot_of_a_pod_that_is_gone_is_free_at_once(world: World) -> None:
    pods = [make_pod(f"h{n}", networks=[slot(payload="1500B")] * 3) for n in range(3)]
    for pod in pods[:2]:
        world.filter(pod, ["a"])
        assert world.bind(pod, "a") == ""
    full = world.filter(pods[2], ["a"])["NodeNames"]

    world.places.feed.delete("uid-h0")

    assert full == []
    assert world.filter(pods[2], ["a"])["NodeNames"] == ["a"]
    assert world.bind(pods[2], "a") == ""
    assert [one.owner.uid for one in world.networks.reservations()] == ["uid-h1", "uid-h2"]


def test_a_peer_is_found_where_it_runs(world: World) -> None:
    reaching = make_pod("r", networks=[path("default/db", delay="1ms")])
    unplaced = reasons(world.filter(reaching, ["a"]))
    world.watch_pod(make_pod_record("uid-db", name="db", node="b"))

    near = world.filter(reaching, ["a", "b"])

    assert unplaced == {"a": "network.peer-unplaced"}
    assert near["NodeNames"] == ["b"]
    assert reasons(near) == {"a": "network.delay"}


def test_a_pod_that_was_just_bound_is_a_peer_before_the_watch_reports_it(world: World) -> None:
    database = make_pod("db")
    world.watch_pod(record_of(database))
    world.filter(database, ["b"])
    world.bind(database, "b")

    reaching = make_pod("r", networks=[path("default/db")])
    assert world.filter(reaching, NODES)["NodeNames"] == NODES


def test_requirements_on_several_networks_hold_together_or_not_at_all(world: World) -> None:
    both = make_pod("both", networks=[slot(), path("c", delay="1ms")])

    answer = world.filter(both, NODES)

    assert reasons(answer) == {
        "a": "network.delay",
        "b": "network.delay",
        "c": "network.not-member",
    }


def test_the_station_with_less_jitter_is_preferred() -> None:
    world = World()
    world.add(station_node("a"), station_node("b"))
    world.declare(make_tdma(nodes=["a", "b"], jitters={"a": 200}))

    scores = world.prioritize(SLOT, ["a", "b"])

    assert scores["b"] > scores["a"]


def test_the_node_next_to_its_peer_is_preferred(world: World) -> None:
    scores = world.prioritize(make_pod("r", networks=[path("b")]), NODES)

    assert scores["b"] > scores["a"] == scores["c"]


def test_a_node_without_room_scores_nothing(world: World) -> None:
    assert world.prioritize(SLOT, NODES)["c"] == 0


def test_members_with_equal_jitter_share_one_search() -> None:
    names = [f"n{number}" for number in range(50)]
    world = World()
    world.add(*(station_node(name) for name in names))
    world.declare(make_tdma(nodes=names, jitters={"n7": 3}))

    for number in range(3):
        world.filter(make_pod(f"p{number}", networks=[slot()]), names)

    name = "k40s_extender_judged_stations_total"
    counted = {
        how: world.registry.get_sample_value(name, {"how": how})
        for how in ("searched", "remembered", "unsearched")
    }
    assert counted == {"searched": 2, "remembered": 148, "unsearched": 0}


def test_when_the_call_is_late_bind_decides() -> None:
    ticks = iter(range(0, 10**12, 600 * NS_PER_MS))
    world = World(patience=Nanoseconds(500 * NS_PER_MS), on_clock=lambda: next(ticks))
    world.add(make_node("a"), make_node("b"))
    world.declare(make_lan(nodes=["a", "b"]))

    answer = world.filter(make_pod(networks=[path("b", bandwidth="1Gbit")]), ["a", "b"])

    assert answer["NodeNames"] == ["a", "b"]


def test_before_networks_are_listed_filter_reports_a_fault_instead_of_refusals() -> None:
    world = World()
    world.add(make_node("a"))

    assert str(world.filter(SLOT, ["a"])["Error"]).startswith("api.silent")
    assert world.filter(make_pod("plain"), ["a"])["NodeNames"] == ["a"]


def test_a_change_of_a_network_ends_the_wait_of_a_refused_pod(world: World) -> None:
    seen = world.cache.snapshot()

    world.declare(make_lan(nodes=["a"]))

    newer = world.cache.wait_for_newer(seen, timeout=0, beside=True)
    assert newer.beside > seen.beside
    assert newer.nodes is seen.nodes

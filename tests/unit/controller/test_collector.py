"""The collector's looks at one Network: what it writes, when, and when it keeps its hands off."""

from dataclasses import replace
from datetime import timedelta

import pytest

from controller.collection.collector import QUIET
from k40s.ledger.collection import PodFact
from k40s.ledger.conditions import Truth
from k40s.network.held import NOTHING, digests_of
from k40s.network.model import Member, NetworkReservation
from k40s.units import NS_PER_S
from tests.fakes.controller.networks import NETWORK, NODES, FakePlant, Process, entry


def plant_with(*uids: str, node: str = "edge-1") -> FakePlant:
    """Bound pods with a place each, and a status that says so."""
    plant = FakePlant()
    plant.pods = {uid: PodFact(node=node) for uid in uids}
    plant.put([entry(uid, node, number) for number, uid in enumerate(uids)])
    Process(plant).run(5)
    plant.writes = 0
    return plant


def test_a_settled_network_gets_no_write_and_its_pods_no_question() -> None:
    plant = plant_with("a", "b")

    Process(plant).run(30)

    assert plant.writes == 0
    assert plant.asked == []


def test_a_deleted_pods_reservation_goes_with_one_write_that_says_all() -> None:
    plant = plant_with("a", "b")
    process = Process(plant)
    process.run(5)
    del plant.pods["a"]

    process.run(5)

    assert [one.owner.uid for one in plant.reservations or ()] == ["b"]
    assert plant.writes == 1
    assert plant.asked == ["a"]
    assert plant.summary.slots == 1
    assert all("default/a" not in line for line in plant.summary.slot_table)
    assert process.metric("reservations_collected_total", cause="gone") == 1


def test_a_reservation_is_confirmed_once_its_pod_is_bound() -> None:
    plant = plant_with("a")
    until = plant.wall() + timedelta(seconds=30)
    plant.put([entry("a", "edge-1", 0, attempt="1", until=until)])

    Process(plant).run(3)

    assert [one.until for one in plant.reservations or ()] == [None]
    assert plant.asked == []


def test_a_pod_bound_to_another_node_keeps_only_the_entry_of_that_node() -> None:
    plant = plant_with("a")
    until = plant.wall() + timedelta(seconds=30)
    plant.put([*(plant.reservations or ()), entry("a", "edge-2", 1, attempt="2", until=until)])

    Process(plant).run(3)

    assert [one.node for one in plant.reservations or ()] == ["edge-1"]


def test_an_unbound_pods_reservation_goes_after_its_time_and_not_before() -> None:
    plant = plant_with()
    plant.pods["a"] = PodFact(node="")
    plant.put([entry("a", "edge-1", 0, until=plant.wall() + timedelta(seconds=30))])
    process = Process(plant)

    process.run(29)
    before = len(plant.reservations or ())
    process.run(5)

    assert before == 1
    assert plant.reservations == ()
    assert process.metric("reservations_collected_total", cause="expired") == 1


def test_a_clock_that_is_ahead_collects_nothing_that_was_reserved_just_now() -> None:
    plant = plant_with()
    plant.pods["a"] = PodFact(node="")
    plant.put([entry("a", "edge-1", 0, until=plant.wall() + timedelta(seconds=30))])

    Process(plant, skew=timedelta(hours=1)).run(10)

    assert len(plant.reservations or ()) == 1


def test_a_pod_that_the_cache_has_yet_to_see_keeps_its_reservation() -> None:
    plant = plant_with()
    process = Process(plant)
    plant.pods["a"] = PodFact(node="edge-1")
    plant.put([entry("a", "edge-1", 0)])
    process.see_network()

    process.tick()

    assert plant.asked == ["a"]
    assert [one.owner.uid for one in plant.reservations or ()] == ["a"]


@pytest.mark.parametrize("trouble", ["unavailable", "unreadable"])
def test_without_an_answer_about_the_pod_nothing_is_removed(trouble: str) -> None:
    plant = plant_with("a")
    process = Process(plant)
    process.run(1)
    process.plant.pods.clear()
    plant.unavailable = trouble == "unavailable"
    plant.unreadable = {"a"}

    process.run(20)

    assert len(plant.reservations or ()) == 1
    assert 1 <= len(plant.asked) <= 4


def test_who_does_not_lead_changes_nothing() -> None:
    plant = plant_with("a")
    plant.pods.clear()
    process = Process(plant)
    process.leading = False

    process.run(30)

    assert plant.writes == 0
    assert plant.asked == []


def test_what_is_only_for_people_waits_until_the_network_is_quiet() -> None:
    plant = plant_with()
    process = Process(plant)
    process.run(5)
    writes = []
    for number in range(8):  # a pod is bound every second
        plant.pods[f"p{number}"] = PodFact(node="edge-1")
        plant.put([*(plant.reservations or ()), entry(f"p{number}", "edge-1", number)])
        process.run(1)
        writes.append(plant.writes)
    busy = plant.writes

    process.run(QUIET / NS_PER_S + 2)

    assert busy <= 1
    assert plant.writes == busy + 1
    assert plant.summary.slots == 8


def test_a_conflict_is_tried_again_at_the_next_version() -> None:
    plant = plant_with("a", "b")
    process = Process(plant)
    process.run(1)
    del plant.pods["a"]
    process.see_pods()
    plant.version += 1  # the watch has yet to show it

    process.tick()
    conflicts = process.metric("network_writes_total", outcome="conflict")
    process.run(4)

    assert conflicts == 1
    assert [one.owner.uid for one in plant.reservations or ()] == ["b"]


def test_reservations_that_cannot_be_read_are_left_as_they_are() -> None:
    plant = plant_with()
    plant.reservations, plant.fault = None, "status.reservations[0].node: found 3, expected a name"
    plant.version += 1

    Process(plant).run(5)

    assert plant.reservations is None
    assert plant.summary.conditions["Valid"].status is Truth.FALSE
    assert "status.reservations[0].node" in plant.summary.conditions["Valid"].message


def test_a_wrong_declaration_keeps_no_reservation_of_a_pod_that_is_gone() -> None:
    plant = plant_with("a")
    plant.fault = "status.reservations: found one of pod default/a beyond it"
    plant.pods.clear()

    Process(plant).run(5)

    assert plant.reservations == ()


def test_conditions_follow_nodes_and_stations_and_keep_the_time_of_their_change() -> None:
    plant = plant_with()
    since = plant.summary.conditions["Healthy"].since
    process = Process(plant)
    process.run(10)
    plant.codes["edge-2"] = "no-sync"
    process.run(3)
    broken = plant.summary.conditions["Healthy"]
    plant.codes["edge-2"] = "drift"
    process.run(5)

    assert (broken.status, broken.message) == (Truth.FALSE, "not healthy: edge-2 (no-sync)")
    assert broken.since is not None
    assert since is not None
    assert broken.since > since
    assert plant.summary.conditions["Healthy"].since == broken.since
    assert "drift" in plant.summary.conditions["Healthy"].message
    assert plant.writes == 2


def test_a_member_that_is_no_node_is_named() -> None:
    plant = plant_with("a")
    process = Process(plant)
    process.run(2)
    plant.network = replace(NETWORK, members=(*NETWORK.members, Member(node="x", interface="e")))
    plant.version += 1

    process.run(5)

    assert plant.summary.conditions["Valid"].message == "spec.members: there is no node x"


def said_of(*entries: NetworkReservation) -> dict[str, str]:
    """What stations publish that hold these."""
    return dict.fromkeys(NODES, NOTHING) | dict(digests_of(entries))


def test_a_station_that_holds_something_else_than_the_status_is_named_within_seconds() -> None:
    plant = plant_with("a")
    plant.held = said_of(entry("a", "edge-1", 0))
    process = Process(plant)
    process.run(10)
    before = plant.summary.conditions["Healthy"].status

    plant.held = said_of(entry("a", "edge-1", 1))
    process.run(9)
    broken = plant.summary.conditions["Healthy"]
    plant.held = said_of(entry("a", "edge-1", 0))
    process.run(5)

    assert before is Truth.TRUE
    assert broken.message == "not healthy: edge-1 (table-differs)"
    assert plant.summary.conditions["Healthy"].status is Truth.TRUE


def test_a_slot_that_is_on_its_way_to_a_station_is_no_difference() -> None:
    plant = plant_with("a")
    plant.held = said_of(entry("a", "edge-1", 0))
    process = Process(plant)
    process.run(10)

    for number in range(1, 8):
        new = entry(f"new-{number}", "edge-1", number)
        plant.pods[f"new-{number}"] = PodFact(node="edge-1")
        plant.put([*(plant.reservations or ()), new])
        process.run(3)
        plant.held = said_of(*(plant.reservations or ()))

    assert plant.summary.conditions["Healthy"].status is Truth.TRUE


def test_a_changed_declaration_is_announced_once_to_pods_that_wait() -> None:
    plant = plant_with()
    process = Process(plant)
    process.run(10)
    plant.announced.clear()

    plant.network = replace(NETWORK, generation=2)
    plant.version += 1
    process.run(10)

    assert [node for _, node in plant.announced] == ["edge-1"]


def test_an_expired_entry_is_announced_and_the_end_of_a_pod_is_not() -> None:
    plant = plant_with("a")
    plant.pods["b"] = PodFact(node="")
    until = plant.wall() + timedelta(seconds=20)
    plant.put([*(plant.reservations or ()), entry("b", "edge-2", 1, until=until)])
    process = Process(plant)
    process.run(10)
    plant.announced.clear()
    del plant.pods["a"]
    process.run(5)
    ended = list(plant.announced)

    process.run(20)

    assert ended == []
    assert plant.reservations == ()
    assert len(plant.announced) == 1


def test_many_changes_are_announced_no_more_than_every_two_seconds() -> None:
    plant = plant_with()
    process = Process(plant)

    for generation in range(2, 42):
        plant.network = replace(NETWORK, generation=generation)
        plant.version += 1
        process.run(0.5, step=0.5)

    assert len(plant.announced) <= 11


def test_an_announcement_that_fails_is_made_later() -> None:
    plant = plant_with()
    process = Process(plant)
    process.run(5)
    plant.announced.clear()
    plant.network = replace(NETWORK, generation=2)
    plant.version += 1
    plant.unavailable = True
    process.run(10)

    plant.unavailable = False
    process.run(10)

    assert len(plant.announced) == 1

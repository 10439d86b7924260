import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import pytest

from k40s.ledger.entry import Owner
from k40s.ledger.entry_json import MOST_ENTRIES
from k40s.network.fit import NetworkFit, NetworksFit, find_reservation, find_reservations
from k40s.network.model import (
    NetworkReservation,
    NetworkState,
    Path,
    PathRequirement,
    Requirement,
    SlotRequirement,
)
from k40s.network.objects import parse_network
from k40s.network.reservations import format_reservations
from k40s.network.room import LARGEST, MOST_WINDOWS_OF_ALL, Room
from k40s.network.usage import utilization
from k40s.reasons import Reason
from k40s.tdma.model import SlotRequest
from k40s.units import NS_PER_MS, NS_PER_US, Nanoseconds
from tests.fakes.kube.networks import LAN, TDMA, network_object

ME = Owner(uid="me", namespace="default", name="me")
OTHER = Owner(uid="other", namespace="default", name="other")
PLACES = {"default/db-0": "n2", "n1": "n1", "n2": "n2", "n3": "n3"}


def state(name: str, spec: object, *held: NetworkReservation) -> NetworkState:
    return replace(parse_network(network_object(name, spec)), reservations=held)


PLANT = state("plant", TDMA)
OFFICE = state("office", LAN)


def slot(payload: int = 256, period: int = 4, network: str = "plant") -> SlotRequirement:
    request = SlotRequest(period=Nanoseconds(period * NS_PER_MS), payload=payload)
    return SlotRequirement(network=network, request=request)


def path(
    peer: str = "n2", *, delay: int | None = None, bandwidth: int | None = None
) -> PathRequirement:
    return PathRequirement(
        network="office",
        peer=peer,
        delay=None if delay is None else Nanoseconds(delay * NS_PER_US),
        bandwidth=bandwidth,
    )


def find(
    network: NetworkState, node: str, *needs: Requirement, owner: Owner = ME
) -> NetworkReservation | Reason:
    return find_reservation(network, node, owner, needs, places=PLACES.get)


def granted(
    network: NetworkState, node: str, *needs: Requirement, owner: Owner = ME
) -> NetworkReservation:
    found = find(network, node, *needs, owner=owner)
    assert isinstance(found, NetworkReservation)
    return found


def with_held(network: NetworkState, *held: NetworkReservation) -> NetworkState:
    return replace(network, reservations=(*network.reservations, *held))


def test_a_slot_is_found_on_a_member() -> None:
    found = granted(PLANT, "n2", slot())

    (grant,) = found.slots
    (window,) = grant.windows
    assert (found.owner, found.node) == (ME, "n2")
    assert (window.every, window.payload) == (4, 256)


def test_the_jitter_of_a_member_is_kept_free() -> None:
    calm, late = (granted(PLANT, node, slot()).slots[0].windows[0] for node in ("n2", "n3"))

    assert late.length - calm.length == 20 * NS_PER_US


def test_two_slots_of_one_pod_do_not_meet() -> None:
    found = granted(PLANT, "n2", slot(period=1), slot(period=1))

    first, second = (grant.windows[0] for grant in found.slots)
    assert first.end <= second.offset or second.end <= first.offset


def test_what_others_hold_is_not_given_again() -> None:
    held: list[NetworkReservation] = []
    for number in range(99):
        owner = Owner(uid=f"u{number}", namespace="default", name=f"p{number}")
        found = find(with_held(PLANT, *held), "n2", slot(1500, 1), owner=owner)
        if isinstance(found, Reason):
            assert found is Reason.NETWORK_NO_SLOT
            break
        held.append(found)

    assert len(held) == 7  # 133 us each, and Sync
    assert utilization(with_held(PLANT, *held)) > Fraction(9, 10)


@pytest.mark.parametrize(
    ("network", "node", "need", "reason"),
    [
        (PLANT, "n9", slot(), Reason.NETWORK_NOT_MEMBER),
        (replace(PLANT, fault="spec: x"), "n2", slot(), Reason.NETWORK_INVALID),
        (PLANT, "n2", slot(2000), Reason.NETWORK_INEXPRESSIBLE),
        (OFFICE, "n2", slot(), Reason.NETWORK_INEXPRESSIBLE),
        (PLANT, "n2", path("n1"), Reason.NETWORK_NO_PATH),
        (OFFICE, "n1", path("default/gone"), Reason.NETWORK_PEER_UNPLACED),
        (OFFICE, "n1", path("n3", delay=5_000), Reason.NETWORK_DELAY),
        (OFFICE, "n1", path("n2", bandwidth=100_000_001), Reason.NETWORK_CAPACITY),
    ],
)
def test_a_refusal_says_what_is_missing(
    network: NetworkState, node: str, need: Requirement, reason: Reason
) -> None:
    assert find(network, node, need) is reason


def test_a_peer_that_runs_outside_the_network_is_not_reached() -> None:
    found = find_reservation(OFFICE, "n1", ME, [path("far")], places=lambda _peer: "n9")

    assert found is Reason.NETWORK_NO_PATH


def test_a_path_names_its_vertices_and_holds_its_bandwidth() -> None:
    found = granted(OFFICE, "n1", path("default/db-0", delay=200, bandwidth=60_000_000))

    assert found.paths == (
        Path(peer="default/db-0", nodes=("n1", "switch", "n2"), bandwidth=60_000_000),
    )
    full = with_held(OFFICE, found)
    need = path(bandwidth=50_000_000)
    assert find(full, "n3", need, owner=OTHER) is Reason.NETWORK_CAPACITY
    assert utilization(full) == Fraction(6, 10)


def test_a_pod_shares_a_link_with_itself() -> None:
    first, second = path("default/db-0", bandwidth=60_000_000), path("n2", bandwidth=60_000_000)

    assert find(OFFICE, "n1", first, second) is Reason.NETWORK_CAPACITY
    assert len(granted(OFFICE, "n1", first, path("n3", bandwidth=60_000_000)).paths) == 2


def test_a_peer_on_the_same_node_takes_no_link() -> None:
    found = granted(OFFICE, "n2", path("n2", delay=1, bandwidth=10**12))

    assert found.paths[0].nodes == ("n2",)
    assert utilization(with_held(OFFICE, found)) == 0


def test_a_detour_is_taken_where_the_short_way_is_full() -> None:
    links = [
        *LAN["links"],
        {"from": "n1", "to": "n2", "delay": "10us", "capacity": "10Mbit"},
    ]
    network = state("office", {**LAN, "links": links})
    first = granted(network, "n1", path(bandwidth=8_000_000), owner=OTHER)

    second = granted(with_held(network, first), "n1", path(bandwidth=8_000_000))

    assert first.paths[0].nodes == ("n1", "n2")
    assert second.paths[0].nodes == ("n1", "switch", "n2")
    short = path(bandwidth=8_000_000, delay=100)
    assert find(with_held(network, first), "n1", short) is Reason.NETWORK_CAPACITY
    two = [path(bandwidth=8_000_000), path("default/db-0", bandwidth=8_000_000)]
    assert [p.nodes for p in granted(network, "n1", *two).paths] == [
        ("n1", "n2"),
        ("n1", "switch", "n2"),
    ]


def matrix(there: str, back: str) -> dict[str, Any]:
    return {
        "members": LAN["members"][:2],
        "delays": [
            {"from": "n1", "to": "n2", "delay": there},
            {"from": "n2", "to": "n1", "delay": back},
        ],
    }


def test_a_matrix_is_judged_by_its_worse_direction() -> None:
    network = state("office", matrix("1ms", "3ms"))

    assert find(network, "n1", path(delay=2_000)) is Reason.NETWORK_DELAY
    assert granted(network, "n1", path(delay=3_000)).paths[0].nodes == ("n1", "n2")
    assert find(network, "n1", path(bandwidth=1)) is Reason.NETWORK_CAPACITY


def test_a_matrix_replaces_what_links_say_and_a_measurement_both() -> None:
    entries = [
        {"from": "n1", "to": "n2", "delay": "1ms"},
        {"from": "n2", "to": "n1", "delay": "1ms"},
    ]
    network = state("office", {**LAN, "delays": entries})
    measured = {
        ("n1", "n2"): Nanoseconds(50 * NS_PER_US),
        ("n2", "n1"): Nanoseconds(50 * NS_PER_US),
    }

    assert find(network, "n1", path(delay=200)) is Reason.NETWORK_DELAY
    granted(replace(network, measured=measured), "n1", path(delay=50))


NEEDS: Sequence[Sequence[Requirement]] = [
    [slot()],
    [slot(), slot(60, 1)],
    [path(delay=200, bandwidth=60_000_000)],
    [path(delay=200), path("n3", bandwidth=1)],
]


@pytest.mark.parametrize("needs", NEEDS)
def test_what_the_same_pod_holds_already_is_kept(needs: Sequence[Requirement]) -> None:
    network = PLANT if isinstance(needs[0], SlotRequirement) else OFFICE
    held = replace(granted(network, "n1", *needs), attempt="earlier")

    assert granted(with_held(network, held), "n1", *needs) == held


def test_what_a_pod_holds_of_a_matrix_is_kept() -> None:
    network = state("office", matrix("1ms", "1ms"))
    held = replace(granted(network, "n1", path(delay=1_000)), attempt="earlier")

    assert granted(with_held(network, held), "n1", path(delay=1_000)) == held


def test_a_path_over_links_that_are_gone_is_searched_anew() -> None:
    held = replace(granted(OFFICE, "n1", path(delay=1_000)), attempt="earlier")
    moved = state("office", matrix("1ms", "1ms"))
    rewired = state(
        "office",
        {
            "members": LAN["members"],
            "links": [
                {"from": "n1", "to": "n2", "delay": "1us"},
                {"from": "n2", "to": "n3", "delay": "1us"},
            ],
        },
    )

    for network in (moved, rewired):
        found = granted(with_held(network, held), "n1", path(delay=1_000))
        assert (found.attempt, found.paths[0].nodes) == ("", ("n1", "n2"))


def test_slots_on_a_network_that_has_no_cycle_any_more_are_refused() -> None:
    held = granted(PLANT, "n1", slot())

    found = find(with_held(OFFICE, held), "n1", slot())

    assert found is Reason.NETWORK_INEXPRESSIBLE


@pytest.mark.parametrize(
    ("held", "asked"),
    [
        ([slot(256)], [slot(128)]),
        ([slot(256, 4)], [slot(256, 8)]),
        ([slot()], [slot(), slot()]),
    ],
)
def test_other_slots_than_those_held_are_searched_anew(
    held: list[Requirement], asked: list[Requirement]
) -> None:
    network = with_held(PLANT, replace(granted(PLANT, "n2", *held), attempt="earlier"))

    found = granted(network, "n2", *asked)

    assert found.attempt == ""
    assert found == granted(PLANT, "n2", *asked)  # what it holds is free for itself


@pytest.mark.parametrize(
    "asked", [path("n3"), path(bandwidth=2), path(delay=1), path("default/db-0", bandwidth=1)]
)
def test_other_paths_than_those_held_are_searched_anew(asked: PathRequirement) -> None:
    held = replace(granted(OFFICE, "n1", path(bandwidth=1)), attempt="earlier")

    found = find(with_held(OFFICE, held), "n1", asked)

    assert isinstance(found, Reason) or found.attempt == ""


def test_a_path_that_a_peer_has_left_is_searched_anew() -> None:
    need = path("default/db-0", bandwidth=1)
    held = replace(granted(OFFICE, "n1", need), attempt="earlier")

    found = find_reservation(with_held(OFFICE, held), "n1", ME, [need], places=lambda _peer: "n3")

    assert isinstance(found, NetworkReservation)
    assert found.paths[0].nodes == ("n1", "switch", "n3")


def test_what_is_held_on_another_node_does_not_stand_in_the_way() -> None:
    big = path(bandwidth=90_000_000)
    held = granted(OFFICE, "n1", big)

    assert granted(with_held(OFFICE, held), "n3", big).node == "n3"


BOTH: Mapping[str, NetworkState] = {"plant": PLANT, "office": OFFICE}


def test_all_networks_grant_or_none_does() -> None:
    found = find_reservations(BOTH, "n1", ME, [slot(), path()], places=PLACES.get)

    assert not isinstance(found, Reason)
    assert set(found) == {"plant", "office"}
    needs: list[Requirement] = [slot(), path(bandwidth=10**12)]
    refused = find_reservations(BOTH, "n1", ME, needs, places=PLACES.get)
    assert refused is Reason.NETWORK_CAPACITY


def test_a_network_that_does_not_exist_is_unknown() -> None:
    found = find_reservations({"plant": PLANT}, "n1", ME, [slot(), path()], places=PLACES.get)

    assert found is Reason.NETWORK_UNKNOWN


def test_a_score_is_less_where_more_is_taken_from_later_requests() -> None:
    fit = NetworksFit(BOTH, ME, [slot(), path("n3", bandwidth=50_000_000)], places=PLACES.get)

    scores = {}
    for node in ("n1", "n2", "n3"):
        found = fit.at(node)
        assert not isinstance(found, Reason)
        scores[node] = fit.score(found)

    assert 0 <= scores["n2"] < scores["n1"] < 100
    assert scores["n3"] > scores["n2"]  # the peer's own node takes no link


def test_nothing_taken_scores_the_highest() -> None:
    fit = NetworksFit({"office": OFFICE}, ME, [path("n3", delay=10_000)], places=PLACES.get)
    found = fit.at("n1")

    assert not isinstance(found, Reason)
    assert fit.score(found) == 100


FAST = {"cycle": "10ms", "bitRate": "1Gbit", "guard": "1us"}
WIDE = state("wide", TDMA | {"tdma": TDMA["tdma"] | FAST})


def many(uid: str, requests: int) -> tuple[Owner, list[SlotRequirement]]:
    """50 joint slots for each request, in one of 4,000 cycles."""
    request = SlotRequest(period=Nanoseconds(40_000 * NS_PER_MS), length=Nanoseconds(610_000))
    needs = [SlotRequirement(network="wide", request=request)] * requests
    return Owner(uid=uid, namespace="default", name=uid), needs


def test_no_pod_takes_more_than_its_part_of_the_networks_object() -> None:
    owner, needs = many("greedy", 6)

    assert find(WIDE, "n1", *needs, owner=owner) is Reason.NETWORK_FULL
    assert isinstance(find(WIDE, "n1", *needs[:5], owner=owner), NetworkReservation)


def crowd(one: NetworkReservation, number: int) -> list[NetworkReservation]:
    return [replace(one, owner=replace(OTHER, uid=f"other-{n}")) for n in range(number)]


def test_a_network_holds_so_many_slots_that_a_search_stays_short() -> None:
    owner, needs = many("greedy", 5)
    held = crowd(granted(WIDE, "n1", *needs), MOST_WINDOWS_OF_ALL // 250)

    assert find(with_held(WIDE, *held), "n1", *needs, owner=owner) is Reason.NETWORK_FULL
    kept = find(with_held(WIDE, *held), "n1", *needs, owner=held[0].owner)
    assert isinstance(kept, NetworkReservation)


def test_reservations_end_before_the_networks_object_is_too_large_to_be_written() -> None:
    wide = granted(OFFICE, "n1", path())
    far = replace(wide.paths[0], nodes=("n1", *(f"{n:0250}" for n in range(330)), "n2"))
    held = crowd(replace(wide, paths=(far,) * 3), 4)

    assert len(json.dumps(format_reservations(held[1:]))) < LARGEST
    assert find(with_held(OFFICE, *held), "n1", path(bandwidth=1)) is Reason.NETWORK_FULL
    assert isinstance(find(with_held(OFFICE, *held[1:]), "n1", path()), NetworkReservation)


def test_a_network_has_a_bound_of_pods() -> None:
    held = crowd(granted(OFFICE, "n1", path(bandwidth=1)), MOST_ENTRIES)
    bare = [replace(one, paths=()) for one in held]

    assert find(with_held(OFFICE, *bare), "n1", path(delay=1_000)) is Reason.NETWORK_FULL
    assert isinstance(find(with_held(OFFICE, *bare[1:]), "n1", path()), NetworkReservation)


def test_what_is_estimated_of_an_entry_is_not_less_than_it_takes() -> None:
    owner, needs = many("a-pod", 5)
    for one in (
        granted(WIDE, "n1", *needs, owner=owner),
        granted(OFFICE, "n1", path(bandwidth=10**8 - 1)),
    ):
        entry = replace(one, attempt="0" * 16, until=datetime(2026, 1, 1, 1, 1, 1, 1, tzinfo=UTC))
        written = len(json.dumps(format_reservations([entry])))

        assert written <= Room.of([entry]).size <= 1.3 * written


def test_a_search_that_was_given_up_goes_on_where_it_ended() -> None:
    asked = 0

    def patience(most: int) -> Callable[[], bool]:
        left = most

        def late() -> bool:
            nonlocal left, asked
            left, asked = left - 1, asked + 1
            if left < 0:
                raise TimeoutError
            return False

        return late

    needs = [slot(), slot(512), slot(128, period=8)]
    fit = NetworkFit(PLANT, ME, needs, places=PLACES.get)
    whole = NetworkFit(PLANT, ME, needs, places=PLACES.get).at("n1", late=patience(10**6))
    needed, asked = asked, 0

    rounds = 0
    found: NetworkReservation | Reason | None = None
    while found is None:
        rounds += 1
        try:
            found = fit.at("n1", late=patience(needed // 2))
        except TimeoutError:
            continue

    assert found == whole
    assert rounds > 1

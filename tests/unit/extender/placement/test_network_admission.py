"""What is remembered of searches is bounded, and only of the newest version of a Network."""

import itertools
from dataclasses import replace

from extender.cache.networks import NetworkTable
from extender.cache.pod_places import PodPlaces
from extender.cache.snapshot import NodeView, Snapshot
from extender.placement.network_admission import NetworkAdmission
from extender.placement.networks import NetworkVerdict
from k40s.kube.records import NetworkRecord
from k40s.network.model import NetworkState, PathRequirement, SlotRequirement
from k40s.tdma.model import SlotRequest
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds
from tests.fakes.extender.networks import make_lan, make_stations, make_tdma

NOTHING = Snapshot(nodes={}, real_time={}, refused={}, scores={}, loads={})


def make_admission(nodes: int) -> tuple[NetworkAdmission, NetworkTable, NetworkState]:
    lan = make_lan(nodes=[f"n{number}" for number in range(nodes)])
    table = NetworkTable(on_change=lambda: None)
    state = NetworkState(network=lan, resource_version="1")
    table.upsert(NetworkRecord(name="lan", uid="u", state=state))
    admission = NetworkAdmission(
        networks=table,
        places=PodPlaces(on_gone=lambda _: None, on_placed=lambda: None),
        counters=None,
        clock=lambda: 0,
        patience=Nanoseconds(NS_PER_S),
    )
    return admission, table, state


def ask(admission: NetworkAdmission, bandwidth: int, peers: int = 1) -> None:
    needs = [
        PathRequirement(network="lan", peer=f"n{number}", bandwidth=bandwidth)
        for number in range(peers)
    ]
    assert admission.verdicts(NOTHING, ["n0"], "uid", needs)["n0"].reason is None


def test_results_of_former_versions_of_a_network_are_dropped() -> None:
    admission, table, state = make_admission(3)
    for bandwidth in range(1, 6):
        ask(admission, bandwidth)

    before = admission.remembered
    newer = replace(state, resource_version="2")
    table.upsert(NetworkRecord(name="lan", uid="u", state=newer))
    ask(admission, 1)

    assert (before, admission.remembered) == (5, 1)


def test_fewer_wishes_are_remembered_of_large_networks() -> None:
    small, *_ = make_admission(3)
    large, *_ = make_admission(8_000)
    for bandwidth in range(1, 12):
        ask(small, bandwidth, peers=3)
        ask(large, bandwidth, peers=16)

    assert small.remembered == 11
    assert large.remembered < 6


def test_a_slot_search_ends_with_the_calls_time_and_a_later_call_goes_on() -> None:
    table = NetworkTable(on_change=lambda: None)
    state = NetworkState(network=make_tdma(), resource_version="1")
    table.upsert(NetworkRecord(name="plant", uid="u", state=state))
    now = itertools.count()
    admission = NetworkAdmission(
        networks=table,
        places=PodPlaces(on_gone=lambda _: None, on_placed=lambda: None),
        counters=None,
        clock=lambda: next(now),
        patience=Nanoseconds(100),
    )
    request = SlotRequest(period=Nanoseconds(4 * NS_PER_MS), payload=256)
    needs = [SlotRequirement(network="plant", request=request) for _ in range(3)]
    view = NodeView(
        name="a",
        real_time=False,
        level=0,
        reduced=0,
        hazards=(),
        assurance=None,
        cpu=None,
        cpu_refusal=None,
        holders=None,
        stations=make_stations(),
        station_refusal=None,
    )
    snapshot = replace(NOTHING, nodes={"a": view})

    verdicts = [admission.verdicts(snapshot, ["a"], "uid", needs)["a"] for _ in range(200)]

    assert verdicts[0] == NetworkVerdict(reason=None, exact=False)
    assert verdicts[-1].exact

"""What is remembered of searches is bounded, and only of the newest version of a Network."""

from dataclasses import replace

from extender.cache.networks import NetworkTable
from extender.cache.pod_places import PodPlaces
from extender.cache.snapshot import Snapshot
from extender.placement.network_admission import NetworkAdmission
from k40s.kube.records import NetworkRecord
from k40s.network.model import NetworkState, PathRequirement
from k40s.units import NS_PER_S, Nanoseconds
from tests.fakes.extender.networks import make_lan

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

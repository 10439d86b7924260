"""The parts together, fed by real informers from a fake API server."""

import threading
from collections.abc import Iterator
from typing import Generic, TypeVar

from extender.service import Extender
from extender.settings import ExtenderSettings
from k40s.kube.list_watch import Keyed, Listing, WatchEvent
from k40s.kube.objects.pod_templates import POD_OWNERS
from k40s.kube.records import (
    LeaseRecord,
    NetworkRecord,
    NodeRecord,
    PodOwnerRecord,
    PodRecord,
)
from tests.fakes.extender.networks import FakeNetworks, FakeStations, make_lan, make_tdma, path
from tests.fakes.extender.world import (
    FakeBindings,
    FakeNodes,
    FakeRubicante,
    make_args,
    make_cpu_node,
    make_node,
    make_pod,
)

R = TypeVar("R", bound=Keyed)


class FakeSource(Generic[R]):
    """Lists when it is let, and then has no news."""

    def __init__(self, *records: R) -> None:
        self.records = records
        self.let = threading.Event()

    def list(self) -> Listing[R]:
        self.let.wait(120)
        return Listing(records=self.records, resource_version="1")

    def watch(self, resource_version: str) -> Iterator[WatchEvent[R]]:
        assert resource_version == "1"
        return iter(())


class FakeCluster(FakeNodes, FakeBindings, FakeNetworks):
    """Sources, bindings and Networks."""

    def __init__(self) -> None:
        FakeBindings.__init__(self)
        FakeNodes.__init__(self)
        FakeNetworks.__init__(self, self.journal)
        self.network_source = FakeSource(self.declare(make_tdma(nodes=["a"])))
        self.node_source = FakeSource(make_node("a", level=20))
        self.pod_source = FakeSource[PodRecord]()
        self.lease_source = FakeSource[LeaseRecord]()

    def nodes(self) -> FakeSource[NodeRecord]:
        return self.node_source

    def pods(self) -> FakeSource[PodRecord]:
        return self.pod_source

    def networks(self) -> FakeSource[NetworkRecord]:
        return self.network_source

    def pod_owners(self, kind: str) -> FakeSource[PodOwnerRecord]:
        assert kind in POD_OWNERS
        source = FakeSource[PodOwnerRecord]()
        source.let.set()
        return source

    def leases(self, *, namespace: str) -> FakeSource[LeaseRecord]:
        assert namespace == "k40s-system"
        return self.lease_source


def make_extender(cluster: FakeCluster) -> Extender:
    return Extender(
        ExtenderSettings(),
        cluster=cluster,
        cpu=FakeRubicante(make_cpu_node()),
        stations=FakeStations(),
    )


def wait_until_ready(extender: Extender) -> None:
    """Bounded by the informers' own pauses; the test's timeout is the net."""
    for informer in extender.informers:
        assert informer.synchronized.wait(120)


def test_the_extender_is_ready_once_every_watch_has_listed() -> None:
    cluster = FakeCluster()
    extender = make_extender(cluster)
    client = extender.start().test_client()
    args = make_args(make_pod(), ["a"])
    try:
        early = client.post("/scheduler/filter", data=args).get_json()
        for source in (cluster.node_source, cluster.pod_source, cluster.lease_source):
            source.let.set()
        wait_until_ready(extender)
        later = client.post("/scheduler/filter", data=args).get_json()
    finally:
        extender.stop()

    assert early["Error"] == "not synchronized: nodes, leases, pods"
    assert later["NodeNames"] == ["a"]
    assert extender.trouble() is None
    assert extender.registry.get_sample_value("k40s_extender_nodes") == 1


def test_a_pod_that_requires_networks_waits_until_they_are_listed_and_no_other_does() -> None:
    cluster = FakeCluster()
    cluster.network_source = FakeSource(cluster.declare(make_lan(nodes=["a"])))
    extender = make_extender(cluster)
    client = extender.start().test_client()
    needy = make_args(make_pod(networks=[path("a")]), ["a"])
    try:
        for source in (cluster.node_source, cluster.pod_source, cluster.lease_source):
            source.let.set()
        wait_until_ready(extender)
        early = client.post("/scheduler/filter", data=needy).get_json()
        other = client.post("/scheduler/filter", data=make_args(make_pod(), ["a"])).get_json()
        cluster.network_source.let.set()
        assert extender.network_informer.synchronized.wait(120)
        later = client.post("/scheduler/filter", data=needy).get_json()
    finally:
        extender.stop()

    assert early["Error"].startswith("api.silent")
    assert other["NodeNames"] == ["a"]
    assert later["NodeNames"] == ["a"]

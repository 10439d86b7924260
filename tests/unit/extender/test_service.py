"""The parts together, fed by real informers from a fake API server."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Generic, TypeVar

from extender.protocol import refusal_text
from extender.service import Extender
from extender.settings import ExtenderSettings
from k40s.annotations import PREEMPTION_KEY
from k40s.annotations.preemption import Claim, format_claim
from k40s.kube.list_watch import Keyed, Listing, WatchEvent
from k40s.kube.objects.pod_templates import POD_OWNERS
from k40s.kube.objects.runtimes import NodeRuntimes, RuntimeClassRecord
from k40s.kube.records import (
    LeaseRecord,
    NetworkRecord,
    NodeRecord,
    PodOwnerRecord,
    PodRecord,
)
from k40s.reasons import Reason
from tests.fakes.extender.full_nodes import with_pod
from tests.fakes.extender.networks import FakeNetworks, FakeStations, make_lan, make_tdma, path
from tests.fakes.extender.tenants import FakeTenants
from tests.fakes.extender.world import (
    LEASE,
    FakeBindings,
    FakeNodes,
    FakeRubicante,
    World,
    make_args,
    make_cpu_node,
    make_cpu_state,
    make_node,
    make_pod,
    make_task,
    record_of,
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
        self.runtime_source = FakeSource(
            NodeRuntimes(name="a", handlers=frozenset({"kata"})),
        )
        self.class_source = FakeSource(RuntimeClassRecord(name="vm", handler="kata"))
        self.lease_source = FakeSource[LeaseRecord]()

    def nodes(self) -> FakeSource[NodeRecord]:
        return self.node_source

    def pods(self) -> FakeSource[PodRecord]:
        return self.pod_source

    def node_runtimes(self) -> FakeSource[NodeRuntimes]:
        return self.runtime_source

    def runtime_classes(self) -> FakeSource[RuntimeClassRecord]:
        return self.class_source

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


def make_extender(cluster: FakeCluster, settings: ExtenderSettings | None = None) -> Extender:
    return Extender(
        settings or ExtenderSettings(),
        cluster=cluster,
        cpu=FakeRubicante(make_cpu_node()),
        stations=FakeStations(),
        tenants=FakeTenants(),
    )


def wait_until_ready(extender: Extender) -> None:
    """Bounded by the informers' own pauses; the test's timeout is the net."""
    for informer in extender.watches.required:
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

    assert str(early["Error"]).startswith("not synchronized: nodes, leases, pods")
    assert later["NodeNames"] == ["a"]
    assert extender.trouble() is None
    assert extender.registry.get_sample_value("k40s_extender_nodes") == 1


def test_runtimes_are_watched_and_waited_for_where_a_criticality_needs_a_runtime_class() -> None:
    cluster = FakeCluster()
    extender = make_extender(cluster, ExtenderSettings(runtime_classes=("NO=vm",)))
    client = extender.start().test_client()
    bare, isolated = (make_args(make_pod(runtime_class=name), ["a"]) for name in (None, "vm"))
    try:
        for source in (cluster.node_source, cluster.pod_source, cluster.lease_source):
            source.let.set()
        trouble = extender.trouble() or ""
        cluster.runtime_source.let.set()
        cluster.class_source.let.set()
        wait_until_ready(extender)
        refused = client.post("/scheduler/filter", data=bare).get_json()
        fitting = client.post("/scheduler/filter", data=isolated).get_json()
    finally:
        extender.stop()

    assert trouble.endswith("runtime-classes, node-runtimes")
    assert refused["FailedAndUnresolvableNodes"] == {"a": refusal_text(Reason.ISOLATION_CLASS)}
    assert fitting["NodeNames"] == ["a"]


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
        assert extender.watches.networks.synchronized.wait(120)
        later = client.post("/scheduler/filter", data=needy).get_json()
    finally:
        extender.stop()

    assert early["Error"].startswith("api.silent")
    assert other["NodeNames"] == ["a"]
    assert later["NodeNames"] == ["a"]


def test_plans_and_claims_follow_the_watched_pods() -> None:
    cluster = FakeCluster()
    low, high = (
        make_pod(uid, uid=uid, criticality=word, tasks=[make_task("50ms", "100ms")])
        for uid, word in (("low", "LOW"), ("high", "HI"))
    )
    now = datetime.now(UTC)
    claim = Claim(node="b", at=0, until=2**61)
    claimant = make_pod("first", uid="first", criticality="HI", tasks=[make_task("60ms", "100ms")])
    cluster.node_source = FakeSource(
        make_node("a", level=20, cpu=make_cpu_state(with_pod(World(), make_cpu_node(), low))),
        make_node("b", level=20, cpu=make_cpu_state(make_cpu_node())),
    )
    cluster.lease_source = FakeSource(
        *(
            LeaseRecord(name=f"{daemon}-{node}", holder=node, renewed=now, duration=LEASE)
            for daemon in ("malacoda", "rubicante")
            for node in "ab"
        )
    )
    cluster.pod_source = FakeSource(
        record_of(low, node="a"),
        record_of(
            claimant,
            annotations={
                **record_of(claimant).annotations,
                PREEMPTION_KEY: format_claim(claim),
            },
        ),
    )
    extender = make_extender(cluster)
    client = extender.start().test_client()
    question = {"PodUID": "high", "PodNamespace": "default", "PodName": "high"}
    try:
        for source in (cluster.node_source, cluster.pod_source, cluster.lease_source):
            source.let.set()
        wait_until_ready(extender)
        answer = client.post("/scheduler/filter", data=make_args(high, ["a", "b"])).get_json()
        plan = client.post("/scheduler/preemption-plan", json=question).get_json()
    finally:
        extender.stop()

    refused = answer["FailedAndUnresolvableNodes"]
    assert refused["b"].startswith("claim.held")
    assert (plan["Outcome"], plan["Node"], plan["Victims"][0]["Name"]) == ("plan", "a", "low")

"""Objects that cannot be read: the extender gets ready beside them, and counts the worse."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from extender.cache.loads import Loads
from extender.service import Extender
from extender.settings import ExtenderSettings
from k40s.criticality import Criticality
from k40s.http.client import HttpClient
from k40s.kube.gateway import KubeGateway
from k40s.kube.heartbeats import Heartbeats
from k40s.kube.objects.read import lease_record, node_record, pod_record
from k40s.kube.transport import ApiTransport
from k40s.units import NS_PER_S, Nanoseconds
from tests.fakes.extender.networks import FakeStations
from tests.fakes.extender.tenants import FakeTenants
from tests.fakes.extender.world import (
    LEASE,
    START,
    FakeClock,
    FakeRubicante,
    World,
    make_cpu_node,
    make_node,
    make_pod_record,
)
from tests.fakes.kube.api_server import Answer, FakeApiServer, serving

LEASES = "/apis/coordination.k8s.io/v1/namespaces/k40s-system/leases"


def pod(uid: str, cpu: object, **more: object) -> dict[str, Any]:
    return {
        "metadata": {"uid": uid, "namespace": "default", "name": uid},
        "spec": {
            "nodeName": "edge-1",
            "containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}],
            **more,
        },
        "status": {"phase": "Running"},
    }


def page(*items: object) -> Answer:
    return Answer(body={"metadata": {"resourceVersion": "7"}, "items": [*items]})


@pytest.fixture
def api() -> Iterator[FakeApiServer]:
    with serving() as server:
        yield server


def test_a_restarted_extender_is_ready_whatever_objects_there_are(api: FakeApiServer) -> None:
    api.answer(
        "GET",
        "/api/v1/pods",
        page(pod("a", "128Mi"), pod("b", "1Ki"), pod("c", "10Gi"), pod("d", "lots"), None, {}),
    )
    named = {"metadata": {"name": "edge-1", "labels": 5, "annotations": {"a": 5}}}
    api.answer("GET", "/api/v1/nodes", page(None, named))
    spec = {"renewTime": "never", "leaseDurationSeconds": -5}
    api.answer("GET", LEASES, page({"metadata": {"name": "l"}, "spec": spec}, 5))
    with closing(
        HttpClient(base_url=f"http://127.0.0.1:{api.port}", timeout=Nanoseconds(20 * NS_PER_S))
    ) as client:
        transport = ApiTransport(client)
        extender = Extender(
            ExtenderSettings(),
            cluster=KubeGateway(transport),
            cpu=FakeRubicante(make_cpu_node()),
            stations=FakeStations(),
            tenants=FakeTenants(),
        )
        extender.start()
        try:
            for informer in extender.watches.required:
                assert informer.synchronized.wait(120)
        finally:
            extender.stop()

    assert extender.trouble() is None
    assert [counted(extender, kind) for kind in ("nodes", "leases", "pods")] == [2, 2, 3]


def counted(extender: Extender, kind: str) -> float | None:
    name = "k40s_extender_unreadable_objects_total"
    return extender.registry.get_sample_value(name, {"kind": kind})


def test_a_pod_of_unknown_request_counts_a_cpu_on_its_node() -> None:
    loads = Loads()

    loads.upsert(pod_record(pod("a", "lots")))
    loads.upsert(pod_record(pod("b", "250m")))

    assert loads.by_node == {"edge-1": 1250}


@pytest.mark.parametrize("listed", [True, False])
def test_a_pod_whose_node_became_unreadable_still_counts_there(listed: bool) -> None:
    loads = Loads()
    loads.replace([pod_record(pod("a", "500m"))])
    odd = pod_record(pod("a", "500m", nodeName=5))

    if listed:
        loads.replace([odd])
    else:
        loads.upsert(odd)

    assert loads.by_node == {"edge-1": 500}


def test_a_node_that_became_unreadable_is_there_and_not_fit() -> None:
    world = World()
    world.add(make_node("a", level=20))
    assert "a" in world.cache.snapshot().scores[Criticality.HI]

    world.cache.nodes.upsert(node_record({"metadata": {"name": "a", "annotations": 5}}))

    snapshot = world.cache.snapshot()
    assert "a" in snapshot.nodes
    assert "a" in snapshot.refused[Criticality.HI]


def test_incomplete_lists_take_nothing_away() -> None:
    world = World()
    world.add(make_node("a", level=20))
    world.cache.pods.upsert(make_pod_record("p", node="a", millis=500))
    before = world.cache.snapshot()

    world.cache.nodes.merge([make_node("b", level=20)])
    world.cache.pods.merge([make_pod_record("q", node="b", millis=300)])
    world.cache.leases.merge([])

    snapshot = world.cache.snapshot()
    assert set(snapshot.nodes) == {"a", "b"}
    assert snapshot.nodes["a"] == before.nodes["a"]
    assert snapshot.loads == {"a": 500, "b": 300}


def test_a_lease_that_became_unreadable_ages_from_its_last_renewal() -> None:
    clock = FakeClock()
    beats = Heartbeats(clock=clock.monotonic, wall=clock.wall)
    good = {"metadata": {"name": "l"}, "spec": {"renewTime": START.isoformat()}}
    beats.upsert(lease_record(good))
    seen = beats.expiry("l", LEASE)
    clock.advance(10)
    odd = lease_record({"metadata": {"name": "l"}, "spec": {"renewTime": "soon"}})

    beats.upsert(odd)
    beats.replace([odd])

    assert beats.expiry("l", LEASE) == seen


def test_a_lease_in_an_incomplete_list_is_as_old_as_it_says() -> None:
    clock = FakeClock()
    beats = Heartbeats(clock=clock.monotonic, wall=clock.wall)
    clock.advance(10)
    old = {"metadata": {"name": "l"}, "spec": {"renewTime": START.isoformat()}}

    beats.replace([lease_record(old)], complete=False)

    assert beats.expiry("l", LEASE) == clock.monotonic() - 10 * NS_PER_S + LEASE


@pytest.mark.parametrize(
    "text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00Z"]
)
def test_renewals_at_the_ends_of_time_are_read(text: str) -> None:
    clock = FakeClock()
    beats = Heartbeats(clock=clock.monotonic, wall=clock.wall)

    beats.replace([lease_record({"metadata": {"name": "l"}, "spec": {"renewTime": text}})])

    assert (beats.expiry("l", LEASE) or 0) <= clock.monotonic() + LEASE

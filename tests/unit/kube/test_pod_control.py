"""Evictions, owners, Services and Nodes as moving a pod needs them, over loopback."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from k40s.assurance.migration.placement import Taint
from k40s.errors import UnavailableError, UnreadableError
from k40s.http.client import HttpClient
from k40s.kube.objects.managed_pods import managed_pod_record
from k40s.kube.transport import ApiTransport, ConflictError, NotFoundError, TooManyRequestsError
from k40s.kube.writing.evictions import Evictions
from k40s.kube.writing.pod_control import PodControl
from k40s.units import NS_PER_S, Nanoseconds
from tests.fakes.kube.api_server import Answer, FakeApiServer, serving

POD = "/api/v1/namespaces/default/pods/p"
REPLICA_SET = "/apis/apps/v1/namespaces/default/replicasets/web-1"
DEPLOYMENT = "/apis/apps/v1/namespaces/default/deployments/web"
SERVICES = "/api/v1/namespaces/default/services"


@pytest.fixture
def api() -> Iterator[FakeApiServer]:
    with serving() as server:
        yield server


@pytest.fixture
def transport(api: FakeApiServer) -> Iterator[ApiTransport]:
    client = HttpClient(base_url=f"http://127.0.0.1:{api.port}", timeout=Nanoseconds(20 * NS_PER_S))
    with closing(client):
        yield ApiTransport(client)


def test_an_eviction_is_of_one_uid(api: FakeApiServer, transport: ApiTransport) -> None:
    api.answer("POST", f"{POD}/eviction", Answer(201), Answer(201))

    Evictions(transport).evict("default", "p", uid="u")
    Evictions(transport).evict("default", "p", uid="u", dry_run=True)

    real, dry = (received.body for received in api.received)
    assert (real["apiVersion"], real["kind"]) == ("policy/v1", "Eviction")
    assert real["deleteOptions"] == {"preconditions": {"uid": "u"}}
    assert dry["deleteOptions"] == {"preconditions": {"uid": "u"}, "dryRun": ["All"]}


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (429, TooManyRequestsError),
        (404, NotFoundError),
        (409, ConflictError),
        (500, UnavailableError),
    ],
)
def test_an_eviction_fails_by_its_cause(
    api: FakeApiServer, transport: ApiTransport, status: int, error: type[Exception]
) -> None:
    api.answer("POST", f"{POD}/eviction", Answer(status, {"message": "disruption budget"}))

    with pytest.raises(error, match="disruption budget"):
        Evictions(transport).evict("default", "p", uid="u")


def test_a_mark_is_for_one_version_of_one_pod(api: FakeApiServer, transport: ApiTransport) -> None:
    api.answer("PATCH", POD, Answer(200))

    PodControl(transport).mark(
        "default", "p", uid="u", resource_version="7", template_hash="h-migrating", migration="{}"
    )

    assert api.received[0].body == {
        "metadata": {
            "uid": "u",
            "resourceVersion": "7",
            "labels": {"pod-template-hash": "h-migrating"},
            "annotations": {"status.k40s.io/migration": "{}"},
        }
    }


def replica_set(**spec: object) -> dict[str, object]:
    reference = {"kind": "Deployment", "name": "web", "uid": "d", "apiVersion": "apps/v1"}
    owners = [{"kind": "Other", "name": "x", "uid": "y"}, {**reference, "controller": True}]
    return {
        "metadata": {"name": "web-1", "uid": "rs", "ownerReferences": owners},
        "spec": spec,
    }


def test_a_replica_set_is_read_with_its_deployment(
    api: FakeApiServer, transport: ApiTransport
) -> None:
    api.answer(
        "GET",
        REPLICA_SET,
        Answer(200, replica_set(replicas=3, minReadySeconds=2)),
        Answer(200, replica_set()),
    )
    control = PodControl(transport)

    three, default = (control.replica_set("default", "web-1") for _ in range(2))

    assert three is not None
    assert default is not None
    assert (three.uid, three.replicas, default.replicas) == ("rs", 3, 1)
    assert (three.min_ready, default.min_ready) == (2 * NS_PER_S, 0)
    assert three.controller is not None
    assert (three.controller.kind, three.controller.uid) == ("Deployment", "d")
    assert control.replica_set("default", "gone") is None


@pytest.mark.parametrize("replicas", ["3", -1, True, 1.5])
def test_a_replica_set_that_cannot_be_read_is_no_basis(
    api: FakeApiServer, transport: ApiTransport, replicas: object
) -> None:
    api.answer("GET", REPLICA_SET, Answer(200, replica_set(replicas=replicas)))

    with pytest.raises(UnreadableError, match=r"spec\.replicas"):
        PodControl(transport).replica_set("default", "web-1")


@pytest.mark.parametrize(
    ("strategy", "surges"),
    [
        ({"type": "RollingUpdate"}, True),
        ({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%"}}, True),
        ({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0}}, False),
        ({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "0%"}}, False),
        ({"type": "Recreate"}, False),
        ({}, False),
    ],
)
def test_a_deployment_surges_where_its_strategy_allows_it(
    api: FakeApiServer, transport: ApiTransport, strategy: dict[str, object], *, surges: bool
) -> None:
    item = {"metadata": {"name": "web", "uid": "d"}, "spec": {"strategy": strategy}}
    api.answer("GET", DEPLOYMENT, Answer(200, item))

    found = PodControl(transport).deployment("default", "web")

    assert found is not None
    assert found.surges is surges


def test_services_are_those_with_a_selector(api: FakeApiServer, transport: ApiTransport) -> None:
    items = [
        {"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}}},
        {"metadata": {"name": "external"}, "spec": {}},
    ]
    api.answer("GET", SERVICES, Answer(200, {"items": items}))

    assert PodControl(transport).service_selectors("default") == [("web", {"app": "web"})]


def test_services_that_cannot_be_read_are_no_basis(
    api: FakeApiServer, transport: ApiTransport
) -> None:
    items = [{"metadata": {"name": "web"}, "spec": {"selector": {"app": 5}}}]
    api.answer("GET", SERVICES, Answer(200, {"items": items}))

    with pytest.raises(UnreadableError, match="selector"):
        PodControl(transport).service_selectors("default")


def test_nodes_are_read_as_in_tree_filters_see_them(
    api: FakeApiServer, transport: ApiTransport
) -> None:
    items = [
        {
            "metadata": {"name": "a", "labels": {"zone": "x"}},
            "spec": {"taints": [{"key": "k", "value": "v", "effect": "NoSchedule"}]},
            "status": {"allocatable": {"cpu": "1500m"}},
        },
        {"metadata": {"name": "b"}, "status": {"allocatable": {"cpu": "?"}}},
        {"metadata": {}},
        "no node",
    ]
    api.answer("GET", "/api/v1/nodes", Answer(200, {"items": items}), Answer(200, {}))
    control = PodControl(transport)

    first, second = control.nodes()

    assert (first.name, first.labels, first.cpu_millis) == ("a", {"zone": "x"}, 1500)
    assert first.taints == (Taint(key="k", value="v", effect="NoSchedule"),)
    assert (second.name, second.cpu_millis) == ("b", 0)
    with pytest.raises(UnavailableError, match="without items"):
        control.nodes()


def pod(**changes: object) -> dict[str, object]:
    return {
        "metadata": {
            "name": "p",
            "namespace": "default",
            "uid": "u",
            "creationTimestamp": "2026-01-02T03:04:05Z",
            "ownerReferences": [
                {
                    "kind": "ReplicaSet",
                    "name": "web-1",
                    "uid": "rs",
                    "apiVersion": "apps/v1",
                    "controller": True,
                }
            ],
            **changes,
        },
        "spec": {"containers": [{"name": "c"}]},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }


def test_a_pod_is_read_with_its_controller_its_readiness_and_its_age() -> None:
    record = managed_pod_record(pod())

    assert record.controller is not None
    assert (record.controller.name, record.ready, record.faults) == ("web-1", True, ())
    assert record.created is not None
    assert record.created.isoformat() == "2026-01-02T03:04:05+00:00"


def owner(kind: str, name: str) -> dict[str, object]:
    return {"kind": kind, "name": name, "uid": "u", "apiVersion": "apps/v1", "controller": True}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"creationTimestamp": "yesterday"}, "created"),
        ({"creationTimestamp": 5}, "created"),
        ({"creationTimestamp": "2026-01-02T03:04:05"}, "created"),
        ({"ownerReferences": "none"}, "controller"),
        ({"ownerReferences": [{"kind": 5, "controller": True}]}, "controller"),
        *(
            ({"ownerReferences": [owner("ReplicaSet", "web-1") | change]}, "controller")
            for change in (
                {"kind": "A B"},
                {"kind": "K" * 64},
                {"name": "a b"},
                {"name": "a/b"},
                {"name": "x" * 254},
                {"uid": ""},
            )
        ),
    ],
)
def test_what_cannot_be_read_of_a_pod_is_a_fault(changes: dict[str, object], field: str) -> None:
    record = managed_pod_record(pod(**changes))

    assert field in {fault.field for fault in record.faults}

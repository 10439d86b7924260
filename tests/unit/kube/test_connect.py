import base64
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

import pytest
from kubernetes.config import kube_config

from k40s.errors import UnavailableError
from k40s.http.client import AnswerTooLongError, HttpClient
from k40s.kube.connect import connect
from k40s.kube.gateway import KubeGateway
from k40s.kube.list_watch import Change, GoneError, Listing, WatchEvent
from k40s.kube.records import LeaseRecord, NodeCondition, NodeRecord, ObjectRef, PodCondition
from k40s.kube.transport import (
    ApiTransport,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    RefusedError,
    TooManyRequestsError,
)
from k40s.pki.authority import Pair, make_authority
from k40s.units import NS_PER_S, Nanoseconds
from tests.fakes.kube.api_server import Answer, FakeApiServer, serving

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
POD = "/api/v1/namespaces/default/pods/p"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/k40s-system/leases"


def node(name: str = "edge-1", version: str = "7") -> dict[str, object]:
    return {"metadata": {"name": name, "resourceVersion": version, "labels": {"a": "b"}}}


def node_value(name: str = "edge-1", version: str = "7") -> NodeRecord:
    return NodeRecord(name=name, labels={"a": "b"}, annotations={}, resource_version=version)


def pod(uid: str, on: str) -> dict[str, object]:
    return {
        "metadata": {"name": "p", "namespace": "default", "uid": uid},
        "spec": {"nodeName": on, "containers": [{"name": "c"}]},
    }


def status(code: int, message: str = "the reason") -> Answer:
    return Answer(code, {"kind": "Status", "code": code, "message": message})


@pytest.fixture
def api() -> Iterator[FakeApiServer]:
    with serving() as server:
        yield server


@pytest.fixture
def gateway(api: FakeApiServer) -> Iterator[KubeGateway]:
    client = HttpClient(
        base_url=f"http://127.0.0.1:{api.port}",
        authorization=lambda: "bearer secret-token",
        timeout=Nanoseconds(20 * NS_PER_S),
    )
    yield KubeGateway(ApiTransport(client), now=lambda: NOW)
    client.close()


def test_reads_the_metadata_of_a_node_alone(api: FakeApiServer, gateway: KubeGateway) -> None:
    api.answer("GET", "/api/v1/nodes/edge-1", Answer(body=node()))

    assert gateway.get_node("edge-1") == node_value()
    assert "PartialObjectMetadata;" in api.received[0].headers["Accept"]
    assert api.received[0].headers["Authorization"] == "bearer secret-token"


def test_finds_none_where_there_is_none(api: FakeApiServer, gateway: KubeGateway) -> None:
    api.answer("GET", POD, status(404))

    assert gateway.get_node("nobody") is None
    assert gateway.get_pod("default", "p") is None


def test_patches_the_given_keys_alone(api: FakeApiServer, gateway: KubeGateway) -> None:
    api.answer("PATCH", "/api/v1/nodes/edge-1", Answer(body=node()))

    record = gateway.patch_node("edge-1", annotations={"k": "v", "gone": None})

    assert record == node_value()
    assert api.received[0].body == {"metadata": {"annotations": {"k": "v", "gone": None}}}
    assert api.received[0].headers["Content-Type"] == "application/merge-patch+json"


def test_writes_a_nodes_condition_and_keys_at_once(
    api: FakeApiServer, gateway: KubeGateway
) -> None:
    api.answer("PATCH", "/api/v1/nodes/edge-1/status", Answer(body=node()))
    condition = NodeCondition(
        kind="k40s.io/AssuranceReduced",
        status=True,
        reason="HazardAlarm",
        message="x" * 2000,
        since=NOW,
    )

    record = gateway.patch_node("edge-1", annotations={"k": "v"}, condition=condition)

    assert record == node_value()
    assert len(api.received) == 1
    assert api.received[0].headers["Content-Type"] == "application/strategic-merge-patch+json"
    assert api.received[0].body == {
        "metadata": {"annotations": {"k": "v"}},
        "status": {
            "conditions": [
                {
                    "type": "k40s.io/AssuranceReduced",
                    "status": "True",
                    "reason": "HazardAlarm",
                    "message": "x" * 1024,
                    "lastTransitionTime": f"{NOW:%Y-%m-%dT%H:%M:%SZ}",
                }
            ]
        },
    }


def test_says_that_the_node_to_patch_is_gone(gateway: KubeGateway) -> None:
    with pytest.raises(NotFoundError, match="no answer to PATCH"):
        gateway.patch_node("nobody", labels={"a": "b"})


def bind(gateway: KubeGateway, *, version: str = "7") -> None:
    gateway.create_binding(
        namespace="default",
        name="p",
        uid="u1",
        resource_version=version,
        node="edge-1",
        annotations={"k": "v"},
    )


def test_binds_the_pod_as_it_is_at_a_version_with_annotations(
    api: FakeApiServer, gateway: KubeGateway
) -> None:
    api.answer("POST", POD + "/binding", status(201))

    bind(gateway)

    assert api.received[0].body == {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {
            "name": "p",
            "namespace": "default",
            "uid": "u1",
            "resourceVersion": "7",
            "annotations": {"k": "v"},
        },
        "target": {"apiVersion": "v1", "kind": "Node", "name": "edge-1"},
    }


def test_binds_nothing_without_a_version(api: FakeApiServer, gateway: KubeGateway) -> None:
    with pytest.raises(ValueError, match="without preconditions"):
        bind(gateway, version="")

    assert api.received == []


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (409, ConflictError),
        (404, NotFoundError),
        (403, ForbiddenError),
        (422, RefusedError),
        (429, TooManyRequestsError),
        (500, UnavailableError),
        (504, UnavailableError),
    ],
)
def test_what_certainly_did_not_happen_is_told_from_what_may_have(
    api: FakeApiServer, gateway: KubeGateway, code: int, error: type[Exception]
) -> None:
    api.answer("POST", POD + "/binding", status(code, "because"))

    with pytest.raises(error, match=f"{code} because") as caught:
        bind(gateway)

    assert type(caught.value) is error
    assert len(api.received) == 1


def test_an_event_that_is_told_once_has_the_same_name_each_time(
    api: FakeApiServer, gateway: KubeGateway
) -> None:
    path = "/api/v1/namespaces/default/events"
    api.answer("POST", path, status(201), status(409), status(201))
    about = ObjectRef(kind="Pod", namespace="default", name="p" * 253, uid="u1")

    gateway.create_event(about, reason="R", message="m", component="c", once="u1.kind")
    with pytest.raises(ConflictError):
        gateway.create_event(about, reason="R", message="m", component="c", once="u1.kind")
    gateway.create_event(about, reason="R", message="m", component="c")

    names = [call.body["metadata"]["name"] for call in api.received]
    assert names[0] == names[1] == "p" * (253 - len(".u1.kind")) + ".u1.kind"
    assert names[2] != names[0]
    assert len(names[2]) <= 253


def test_renews_a_lease_or_creates_it(api: FakeApiServer, gateway: KubeGateway) -> None:
    api.answer("PATCH", f"{LEASES}/malacoda-edge-1", status(404), Answer())
    api.answer("POST", LEASES, status(201))

    for _ in range(2):
        gateway.renew_lease(
            "k40s-system",
            "malacoda-edge-1",
            holder="edge-1",
            duration=Nanoseconds(30 * NS_PER_S),
        )

    patch, create, again = (request.body for request in api.received)
    spec = {
        "holderIdentity": "edge-1",
        "leaseDurationSeconds": 30,
        "renewTime": "2026-01-02T03:04:05.678901Z",
    }
    assert patch == again == {"spec": spec}
    assert create["metadata"] == {"name": "malacoda-edge-1", "namespace": "k40s-system"}
    assert create["spec"] == spec | {"acquireTime": spec["renewTime"]}


@pytest.mark.parametrize("turned", [True, False])
def test_a_condition_of_a_pod_is_merged_into_those_of_others(
    api: FakeApiServer, gateway: KubeGateway, *, turned: bool
) -> None:
    api.answer("PATCH", POD + "/status", Answer(body=pod("u1", "edge-1")))

    gateway.set_pod_condition(
        ObjectRef(kind="Pod", namespace="default", name="p", uid="u1"),
        "k40s.io/enforced",
        PodCondition(status=False, reason="Waiting", message="x" * 2000),
        turned=turned,
    )

    (request,) = api.received
    (change,) = request.body["status"]["conditions"]
    assert request.headers["Content-Type"] == "application/strategic-merge-patch+json"
    assert request.body["metadata"] == {"uid": "u1"}
    assert change.pop("lastTransitionTime", None) == ("2026-01-02T03:04:05Z" if turned else None)
    assert change == {
        "type": "k40s.io/enforced",
        "status": "False",
        "reason": "Waiting",
        "message": "x" * 1024,
    }


@pytest.mark.parametrize("once", ["", f"{'0' * 36}.key-reaches-no-pod", f"{'0' * 36}.not-admitted"])
@pytest.mark.parametrize("name", ["w" * 253, "w" * 191 + ".w" * 31, "w"])
def test_the_name_of_an_event_is_within_the_api_servers_limit(
    api: FakeApiServer, gateway: KubeGateway, name: str, once: str
) -> None:
    api.answer("POST", "/api/v1/namespaces/default/events", status(201))
    about = ObjectRef(kind="Deployment", namespace="default", name=name, uid="u1")

    gateway.create_event(about, reason="R", message="m", component="c", once=once)

    sent = api.received[0].body["metadata"]["name"]
    assert len(sent) <= 253
    assert sent.startswith("w")
    assert sent.endswith(once)
    assert ".." not in sent


def test_creates_an_event_about_a_node(api: FakeApiServer, gateway: KubeGateway) -> None:
    api.answer("POST", "/api/v1/namespaces/default/events", status(201))

    gateway.create_event(
        ObjectRef(kind="Node", namespace="", name="edge-1", uid="u"),
        reason="Downgraded",
        message="x" * 2000,
        component="malacoda",
        warning=True,
    )

    body = api.received[0].body
    assert body["type"] == "Warning"
    assert len(body["message"]) == 1024
    assert body["firstTimestamp"] == "2026-01-02T03:04:05Z"
    assert body["metadata"]["name"].startswith("edge-1.")


def test_lists_in_pages(api: FakeApiServer, gateway: KubeGateway) -> None:
    api.answer(
        "GET",
        "/api/v1/nodes",
        Answer(body={"metadata": {"resourceVersion": "9", "continue": "c+1"}, "items": [node()]}),
        Answer(body={"metadata": {"resourceVersion": "9"}, "items": [node("edge-2")]}),
    )

    listing = gateway.nodes(labels="a=b").list()

    assert listing == Listing(records=(node_value(), node_value("edge-2")), resource_version="9")
    assert [request.path for request in api.received] == [
        "/api/v1/nodes?labelSelector=a%3Db&limit=500",
        "/api/v1/nodes?labelSelector=a%3Db&limit=500&continue=c%2B1",
    ]
    assert "PartialObjectMetadataList" in api.received[0].headers["Accept"]


def test_lists_leases_of_a_namespace(api: FakeApiServer, gateway: KubeGateway) -> None:
    items = [
        {
            "metadata": {"name": "l"},
            "spec": {"renewTime": "2026-01-02T03:04:05.678901Z", "leaseDurationSeconds": 30},
        },
        {"metadata": {"name": "empty"}},
    ]
    api.answer("GET", LEASES, Answer(body={"metadata": {"resourceVersion": "1"}, "items": items}))

    assert gateway.leases(namespace="k40s-system").list().records == (
        LeaseRecord(name="l", holder="", renewed=NOW, duration=Nanoseconds(30 * NS_PER_S)),
        LeaseRecord(name="empty", holder="", renewed=None, duration=Nanoseconds(0)),
    )


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        ({}, "/api/v1/pods?limit=500"),
        ({"namespace": "a"}, "/api/v1/namespaces/a/pods?limit=500"),
        ({"node": "edge-1"}, "/api/v1/pods?fieldSelector=spec.nodeName%3Dedge-1&limit=500"),
    ],
)
def test_asks_for_the_chosen_pods(
    api: FakeApiServer, gateway: KubeGateway, arguments: dict[str, str], path: str
) -> None:
    empty = Answer(body={"metadata": {"resourceVersion": "1"}, "items": None})
    api.answer("GET", path.partition("?")[0], empty)

    assert gateway.pods(**arguments).list().records == ()
    assert api.received[0].path == path


def line(kind: str, item: object) -> bytes:
    return json.dumps({"type": kind, "object": item}).encode() + b"\n"


def test_watches_until_the_server_ends_the_stream(api: FakeApiServer, gateway: KubeGateway) -> None:
    lines = [
        line("ADDED", node(version="8")),
        line("MODIFIED", node(version="9"))[:20],
        line("MODIFIED", node(version="9"))[20:] + line("DELETED", node(version="10")),
        line("BOOKMARK", {"metadata": {"resourceVersion": "11"}}),
    ]
    api.answer("GET", "/api/v1/nodes", Answer(lines=lines))

    events = list(gateway.nodes(name="edge-1").watch("7"))

    assert events == [
        WatchEvent(change=Change.UPSERT, record=node_value(version="8"), resource_version="8"),
        WatchEvent(change=Change.UPSERT, record=node_value(version="9"), resource_version="9"),
        WatchEvent(change=Change.DELETE, record=node_value(version="10"), resource_version="10"),
        WatchEvent(change=Change.BOOKMARK, record=None, resource_version="11"),
    ]
    assert api.received[0].path == (
        "/api/v1/nodes?fieldSelector=metadata.name%3Dedge-1&watch=1&allowWatchBookmarks=true"
        "&resourceVersion=7&timeoutSeconds=290"
    )


@pytest.mark.parametrize(
    "answer",
    [
        status(410),
        Answer(lines=[line("ERROR", {"code": 410, "reason": "Expired"})]),
        Answer(lines=[line("ERROR", None)]),
    ],
    ids=["status", "event", "event without its status"],
)
def test_only_a_list_helps_when_a_version_is_too_old(
    api: FakeApiServer, gateway: KubeGateway, answer: Answer
) -> None:
    api.answer("GET", "/api/v1/nodes", answer)

    with pytest.raises(GoneError):
        list(gateway.nodes().watch("7"))


@pytest.mark.parametrize(
    "answer",
    [
        status(500),
        status(403),
        Answer(lines=[b"not json\n"]),
        Answer(lines=[b"[]\n"]),
        Answer(lines=[line("ADDED", node())], broken=True),
    ],
    ids=["fault", "forbidden", "not JSON", "no object", "cut off"],
)
def test_a_watch_that_breaks_is_unavailable(
    api: FakeApiServer, gateway: KubeGateway, answer: Answer
) -> None:
    api.answer("GET", "/api/v1/nodes", answer)

    with pytest.raises(UnavailableError):
        list(gateway.nodes().watch("7"))


@pytest.mark.parametrize(
    "answer",
    [
        status(503),
        Answer(body=b"<html>"),
        Answer(body=b"[]"),
        Answer(body={"metadata": {}}),
        Answer(body=b"{}", broken=True),
    ],
    ids=["fault", "not JSON", "no object", "no name", "cut off"],
)
def test_an_answer_that_cannot_be_used_is_unavailable(
    api: FakeApiServer, gateway: KubeGateway, answer: Answer
) -> None:
    api.answer("GET", "/api/v1/nodes/edge-1", answer)

    with pytest.raises(UnavailableError):
        gateway.get_node("edge-1")


def test_a_list_that_cannot_be_used_is_unavailable(
    api: FakeApiServer, gateway: KubeGateway
) -> None:
    api.answer("GET", "/api/v1/nodes", Answer(body={"items": [node()]}))

    with pytest.raises(UnavailableError, match="unexpected list"):
        gateway.nodes().list()


@pytest.mark.parametrize("name", ["a b", "a\r\nX: y", "a\r\nb", "\u00e4"])
def test_a_name_that_is_none_reaches_no_server(
    api: FakeApiServer, gateway: KubeGateway, name: str
) -> None:
    with pytest.raises(UnavailableError):
        gateway.get_node(name)

    assert not api.received


def test_uses_a_connection_again_until_the_server_has_ended_it(
    api: FakeApiServer, gateway: KubeGateway
) -> None:
    broken = Answer(body=node(), broken=True)
    api.answer("GET", "/api/v1/nodes/edge-1", Answer(body=node()), Answer(body=node()), broken)
    api.answer("GET", "/api/v1/nodes/edge-2", Answer(body=node("edge-2")))

    assert gateway.get_node("edge-1") == gateway.get_node("edge-1")
    with pytest.raises(UnavailableError, match="IncompleteRead"):
        gateway.get_node("edge-1")
    assert gateway.get_node("edge-2") == node_value("edge-2")

    ports = [request.port for request in api.received]
    assert ports[0] == ports[1] == ports[2] != ports[3]


def test_an_answer_that_is_none_yet_is_not_followed_by_that_to_another_request(
    api: FakeApiServer, gateway: KubeGateway
) -> None:
    api.answer("GET", "/api/v1/nodes/edge-1", Answer(103, b""))
    api.answer("GET", "/api/v1/nodes/edge-2", Answer(body=node("edge-2")))

    with pytest.raises(UnavailableError, match="103"):
        gateway.get_node("edge-1")
    assert gateway.get_node("edge-2") == node_value("edge-2")

    ports = [request.port for request in api.received]
    assert ports[0] != ports[1]


@pytest.mark.parametrize(
    ("longest", "left", "error"),
    [(3, 20 * NS_PER_S, AnswerTooLongError), (4, 20 * NS_PER_S, None), (4, -1, UnavailableError)],
    ids=["too long", "short enough", "too late"],
)
def test_bounds_an_answer(
    api: FakeApiServer, longest: int, left: int, error: type[Exception] | None
) -> None:
    api.answer("GET", "/x", Answer(body=b"1234"))
    url = f"http://127.0.0.1:{api.port}/x"
    client = HttpClient(timeout=Nanoseconds(left), max_answer=longest)

    with closing(client), pytest.raises(error) if error else nullcontext():
        assert client.request("GET", url) == (200, b"1234")


def test_a_server_that_is_away_is_unavailable() -> None:
    client = HttpClient(base_url="http://127.0.0.1:1/prefix", timeout=Nanoseconds(NS_PER_S))
    transport = ApiTransport(client)

    with pytest.raises(UnavailableError, match="GET /x: "):
        transport.request("GET", "/x")


def test_shortens_what_a_server_says_and_tells_no_secret(
    api: FakeApiServer, gateway: KubeGateway
) -> None:
    api.answer("GET", "/api/v1/nodes/edge-1", Answer(500, b"x" * 100_000))

    with pytest.raises(UnavailableError) as caught:
        gateway.get_node("edge-1")

    assert len(str(caught.value)) < 300
    assert "secret-token" not in str(caught.value)


def write_kubeconfig(path: Path, *, cluster: dict[str, str], user: dict[str, str]) -> str:
    path.write_text(
        f"""
apiVersion: v1
kind: Config
current-context: c
contexts: [{{name: c, context: {{cluster: c, user: u}}}}]
clusters: [{{name: c, cluster: {json.dumps(cluster)}}}]
users: [{{name: u, user: {json.dumps(user)}}}]
"""
    )
    return str(path)


def test_connects_as_a_kubeconfig_says(api: FakeApiServer, tmp_path: Path) -> None:
    server = f"http://127.0.0.1:{api.port}/prefix"
    api.answer("GET", "/prefix/api/v1/nodes/edge-1", Answer(body=node()), Answer(body=node()))
    kubeconfig = write_kubeconfig(
        tmp_path / "config", cluster={"server": server}, user={"token": "abc"}
    )
    gateway = connect(kubeconfig=kubeconfig)

    assert gateway.get_node("edge-1") == gateway.get_node("edge-1") == node_value()
    assert {request.headers["Authorization"] for request in api.received} == {"Bearer abc"}


def embed(pair: Pair, path: Path) -> str:
    certificate, key = (base64.b64encode(one).decode() for one in (pair.certificate, pair.key))
    return write_kubeconfig(
        path,
        cluster={"server": "https://127.0.0.1:1", "certificate-authority-data": certificate},
        user={"client-certificate-data": certificate, "client-key-data": key},
    )


def test_threads_may_connect_at_once_with_a_certificate_in_the_kubeconfig(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = 4
    pair = make_authority(name="a", lifetime=timedelta(days=1), now=datetime.now(UTC))
    kubeconfig = embed(pair, tmp_path / "config")
    together = threading.Barrier(threads)

    def open_late(name: str, mode: str = "r") -> IO[bytes] | IO[str]:
        if mode == "wb":
            time.sleep(0.05)
        return open(name, mode)  # noqa: PTH123  # in the library's place

    def connect_with_others(_: int) -> None:
        together.wait(timeout=60)
        connect(kubeconfig=kubeconfig)

    monkeypatch.setattr(kube_config, "open", open_late, raising=False)
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(connect_with_others, range(threads)))


@pytest.mark.parametrize("kubeconfig", [None, "/nonexistent/kubeconfig"])
def test_says_that_there_is_no_way_to_the_server(kubeconfig: str | None) -> None:
    with pytest.raises(UnavailableError, match="no way to the API server"):
        connect(kubeconfig=kubeconfig)

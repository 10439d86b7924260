"""Insight beside a real API server and a real extender: who sees what, by tokens of accounts."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from k40s.annotations import CPU_STATE_KEY, format_cpu_state
from k40s.explanation.json import parse_explanation
from k40s.http.client import HttpClient
from k40s.http.tls import TlsFiles
from k40s.overview.json import parse_overview
from k40s.units import NS_PER_S, Nanoseconds
from localcluster.images.binaries import Binaries
from localcluster.plane.control_plane import ControlPlane
from tests.fakes.extender.process import ROOT, issue_certificates, start_extender
from tests.fakes.extender.world import make_cpu_node, make_cpu_state
from tests.fakes.insight.process import RunningInsight, read_event, start_insight
from tests.fakes.registered_nodes import (
    Api,
    assured,
    long_lived,
    make_spec,
    prepare,
    register_nodes,
    wait_until,
)

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

RBAC = "/apis/rbac.authorization.k8s.io/v1"
TASKS = '[{"name": "t", "wcet": {"edge": "20ms"}, "period": "100ms"}]'
HI = {"k40s.io/criticality": "HI", "k40s.io/tasks": TASKS}
READ_PODS = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}
READ_NODES = {"apiGroups": [""], "resources": ["nodes"], "verbs": ["list"]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Pods in ``mine`` and ``theirs``, and the tokens of who may see both, one, or nothing."""

    api: Api
    insight: RunningInsight
    extender: str
    certificates: dict[str, TlsFiles]
    admin: str
    reader: str
    nobody: str


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, binaries: Binaries) -> Iterator[Scene]:
    place = tmp_path_factory.mktemp("insight")
    certificates = issue_certificates(place / "certificates")
    with ControlPlane.on_loopback(directory=place / "plane", binaries=binaries) as plane:
        api = Api(plane)
        prepare(api)
        plane.kubectl("apply", "--filename", str(ROOT / "manifests" / "base" / "rbac.yaml"))
        for namespace in ("mine", "theirs"):
            api.request("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
        state = long_lived(format_cpu_state(make_cpu_state(make_cpu_node())))
        register_nodes(
            api,
            ["node-1"],
            annotations=lambda _: {CPU_STATE_KEY: state, **assured(18)},
            leases=("malacoda", "rubicante"),
        )
        create_pod(api, "mine", "loop")
        create_pod(api, "theirs", "secret-loop")
        extender = start_extender(plane, certificates)
        yield Scene(
            api=api,
            insight=start_insight(plane, certificates, extender),
            extender=extender.url,
            certificates=certificates,
            admin=make_account(api, "admin", [READ_PODS, READ_NODES]),
            reader=make_account(api, "reader", [READ_PODS], namespace="mine"),
            nobody=make_account(api, "nobody", []),
        )
        api.close()


def create_pod(api: Api, namespace: str, name: str) -> None:
    account = {"metadata": {"name": "default"}}
    accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    api.request("POST", accounts, account, accepted=(409,))
    spec = make_spec(name, scheduler="k40s-scheduler", annotations=HI)
    api.request("POST", f"/api/v1/namespaces/{namespace}/pods", spec)


def make_account(api: Api, name: str, rules: list[dict[str, Any]], *, namespace: str = "") -> str:
    """A ServiceAccount with these rights, in one namespace or everywhere; returns its token."""
    accounts = "/api/v1/namespaces/default/serviceaccounts"
    api.request("POST", accounts, {"metadata": {"name": name}})
    kind, role_name = "Role" if namespace else "ClusterRole", f"looks-{name}"
    place = f"{RBAC}/namespaces/{namespace}/" if namespace else f"{RBAC}/cluster"
    api.request("POST", f"{place}roles", {"metadata": {"name": role_name}, "rules": rules})
    subject = {"kind": "ServiceAccount", "name": name, "namespace": "default"}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role_name}
    body = {"metadata": {"name": role_name}, "roleRef": role, "subjects": [subject]}
    api.request("POST", f"{place}rolebindings", body)
    return make_token(api, name)


def make_token(api: Api, account: str, **spec: object) -> str:
    path = f"/api/v1/namespaces/default/serviceaccounts/{account}/token"
    token: str = api.request("POST", path, {"spec": spec})["status"]["token"]
    return token


def overview(scene: Scene, token: str) -> dict[str, Any]:
    status, told, _ = scene.insight.call("GET", "/v1/overview", token=token)
    assert status == 200, told
    found: dict[str, Any] = told
    return found


def pods_of(told: dict[str, Any]) -> set[str]:
    return {f"{one['namespace']}/{one['name']}" for one in told["pods"]}


def test_each_reader_sees_the_pods_of_the_own_namespaces(scene: Scene) -> None:
    wait_until(lambda: len(overview(scene, scene.admin)["nodes"][0]["cores"]) == 1)

    assert pods_of(overview(scene, scene.admin)) == {"mine/loop", "theirs/secret-loop"}
    assert pods_of(overview(scene, scene.reader)) == {"mine/loop"}
    assert pods_of(overview(scene, scene.nobody)) == set()
    assert "secret" not in str(overview(scene, scene.reader))
    assert "theirs" not in str(overview(scene, scene.reader))
    assert overview(scene, scene.reader)["nodes"] == []


def test_an_overview_is_what_the_strict_reader_reads(scene: Scene) -> None:
    told = parse_overview(json.dumps(overview(scene, scene.admin)))

    assert told.nodes[0].level == 18
    assert told.unreadable == ()


def test_a_stream_shows_each_reader_the_own_namespaces_and_what_changes_there(
    scene: Scene,
) -> None:
    with scene.insight.stream(token=scene.reader) as stream:
        assert pods_of(read_event(stream)) == {"mine/loop"}

        create_pod(scene.api, "theirs", "secret-2")
        create_pod(scene.api, "mine", "loop-2")
        told = read_event(stream)

        assert pods_of(told) == {"mine/loop", "mine/loop-2"}
        assert "secret" not in str(told)


def test_the_extenders_explanation_comes_to_who_may_get_the_pod(scene: Scene) -> None:
    path = "/v1/namespaces/mine/pods/loop/explanation"

    status, told, _ = scene.insight.call("GET", path, token=scene.reader)

    assert status == 200, told
    found = parse_explanation(json.dumps(told["explanation"]), source="insight")
    assert [one.name for one in found.nodes] == ["node-1"]
    assert (found.namespace, found.pod, found.criticality) == ("mine", "loop", "HI")


@pytest.mark.parametrize("name", ["secret-loop", "none"])
def test_without_get_pods_there_is_no_explanation_and_no_word_whether_it_exists(
    scene: Scene, name: str
) -> None:
    path = f"/v1/namespaces/theirs/pods/{name}/explanation"

    for token in (scene.reader, scene.nobody):
        status, told, _ = scene.insight.call("GET", path, token=token)

        assert (status, list(told)) == (403, ["error"])
        assert name not in told["error"]


def test_a_manifest_is_explained_before_it_is_applied(scene: Scene) -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", **make_spec("new", scheduler="", annotations=HI)}

    mine, told, _ = scene.insight.call(
        "POST", "/v1/namespaces/mine/explanations", token=scene.reader, body=pod
    )
    theirs, _, _ = scene.insight.call(
        "POST", "/v1/namespaces/theirs/explanations", token=scene.reader, body=pod
    )

    assert (mine, theirs) == (200, 403)
    assert told["explanation"]["nodes"][0]["reason"] is None


def test_bad_foreign_and_missing_tokens_are_refused(scene: Scene) -> None:
    other = make_token(scene.api, "reader", audiences=["somebody-else"])
    head, _, rest = scene.reader.partition(".")

    for token in ("", "x", f"{head}.{rest[::-1]}", other):
        status, told, headers = scene.insight.call("GET", "/v1/overview", token=token)

        assert (status, list(told)) == (401, ["error"])
        assert headers["WWW-Authenticate"].startswith("Bearer")


def test_a_session_stands_for_its_token_until_it_ends(scene: Scene) -> None:
    ours = f"https://localhost:{scene.insight.port}"
    _, _, headers = scene.insight.call("POST", "/v1/session", token=scene.reader, Origin=ours)
    cookie = headers["Set-Cookie"].partition(";")[0]

    status, told, _ = scene.insight.call("GET", "/v1/overview", Cookie=cookie)
    assert (status, "mine/loop" in pods_of(told)) == (200, True)
    foreign, _, _ = scene.insight.call(
        "DELETE", "/v1/session", Cookie=cookie, Origin="https://evil.example"
    )
    ended, _, _ = scene.insight.call("DELETE", "/v1/session", Cookie=cookie, Origin=ours)
    after, _, _ = scene.insight.call("GET", "/v1/overview", Cookie=cookie)

    assert (foreign, ended, after) == (403, 204, 401)


def test_a_revoked_token_ends_its_streams_and_its_session(scene: Scene) -> None:
    token = make_account(scene.api, "leaver", [READ_PODS], namespace="mine")
    ours = f"https://localhost:{scene.insight.port}"
    _, _, headers = scene.insight.call("POST", "/v1/session", token=token, Origin=ours)
    cookie = headers["Set-Cookie"].partition(";")[0]
    with (
        scene.insight.stream(token=token) as by_token,
        scene.insight.stream(Cookie=cookie) as by_cookie,
    ):
        assert read_event(by_token) is not None
        assert read_event(by_cookie) is not None

        scene.api.request("DELETE", "/api/v1/namespaces/default/serviceaccounts/leaver")
        for stream in (by_token, by_cookie):
            while read_event(stream) is not None:
                pass

    status, _, _ = scene.insight.call("GET", "/v1/overview", Cookie=cookie)
    assert status == 401
    assert scene.insight.call("GET", "/v1/overview", token=token)[0] == 401


def test_insights_certificate_opens_the_extenders_explanations_and_no_bind(scene: Scene) -> None:
    client = HttpClient(
        base_url=scene.extender,
        tls=scene.certificates["k40s-insight-client-tls"],
        server_name="k40s-extender",
        timeout=Nanoseconds(10 * NS_PER_S),
    )

    statuses = [client.request("POST", f"/{verb}", b"{}")[0] for verb in ("bind", "filter")]

    assert statuses == [403, 403]


def test_insights_own_account_may_not_write(scene: Scene) -> None:
    as_insight = {"Impersonate-User": "system:serviceaccount:k40s-system:k40s-insight"}

    for method, path in (
        ("DELETE", "/api/v1/namespaces/mine/pods/loop"),
        ("PATCH", "/api/v1/nodes/node-1"),
        ("POST", "/api/v1/namespaces/mine/events"),
        ("GET", "/api/v1/namespaces/mine/secrets"),
    ):
        answer = scene.api.request(
            method,
            path,
            {} if method != "GET" else None,
            kind="application/merge-patch+json" if method == "PATCH" else "application/json",
            accepted=(403,),
            headers=as_insight,
        )

        assert answer["code"] == 403

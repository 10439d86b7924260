"""``k40s top`` and ``k40s status`` as commands: options, output, rights, exit status."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from cli.main import main
from k40s.overview.happenings import REPORTERS
from k40s.pki.validity import format_validity
from tests.fakes.kube.api_server import Answer, FakeApiServer, serving
from tests.fakes.observed_cluster import ObservedCluster, crowded, lease_item, pod_item, reservation
from workbench.cluster_health.expected import DAEMON_SETS, DEPLOYMENTS

LEASES = "/apis/coordination.k8s.io/v1/namespaces/k40s-system/leases"
NETWORKS = "/apis/k40s.io/v1alpha1/networks"
FORBIDDEN = Answer(403, {"message": "forbidden"})


def listed(items: list[dict[str, Any]]) -> Answer:
    return Answer(body={"metadata": {"resourceVersion": "1"}, "items": items})


@pytest.fixture
def api() -> Iterator[FakeApiServer]:
    with serving() as server:
        yield server


def answer(api: FakeApiServer, cluster: ObservedCluster, *, namespace: str = "") -> None:
    """One answer to each list, of pods and Events in one namespace or all."""
    inside = f"/namespaces/{namespace}" if namespace else ""
    api.answer("GET", "/api/v1/nodes", listed(cluster.nodes))
    api.answer("GET", f"/api/v1{inside}/pods", listed(cluster.pods))
    api.answer("GET", LEASES, listed(cluster.leases))
    api.answer("GET", NETWORKS, listed(cluster.networks))
    api.answer("GET", f"/api/v1{inside}/events", *(listed(cluster.events) for _ in REPORTERS))


def kubeconfig(api: FakeApiServer, path: Path, *, namespace: str = "") -> str:
    """A file with the contexts here and gone, of which gone is the current one."""
    contexts = [
        {"name": name, "context": {"cluster": name, "user": "me", "namespace": namespace}}
        for name in ("here", "gone")
    ]
    ports = {"here": api.port, "gone": 1}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "gone",
        "contexts": contexts,
        "clusters": [
            {"name": name, "cluster": {"server": f"http://127.0.0.1:{port}"}}
            for name, port in ports.items()
        ],
        "users": [{"name": "me", "user": {"token": "t"}}],
    }
    file = path / "config"
    file.write_text(yaml.safe_dump(document))
    return str(file)


def run(api: FakeApiServer, path: Path, *words: str, namespace: str = "") -> Result:
    config = kubeconfig(api, path, namespace=namespace)
    return CliRunner().invoke(main, ["--kubeconfig", config, *words, "--context", "here"])


def test_nodes_are_shown(api: FakeApiServer, tmp_path: Path) -> None:
    answer(api, crowded(2, 3))

    result = run(api, tmp_path, "top", "nodes")

    assert (result.exit_code, len(result.stdout.splitlines())) == (0, 3)


@pytest.mark.parametrize("form", ["json", "yaml"])
@pytest.mark.parametrize("words", [("nodes",), ("pods", "-A"), ("node", "edge-0")])
def test_values_are_printed(
    api: FakeApiServer, tmp_path: Path, words: tuple[str, ...], form: str
) -> None:
    answer(api, crowded(1, 2))

    result = run(api, tmp_path, "top", *words, "-o", form)

    told = yaml.safe_load(result.stdout)
    assert result.exit_code == 0
    assert "edge-0" in str(told)
    assert told["unreadable"] == []


def test_a_context_may_stand_before_the_command(api: FakeApiServer, tmp_path: Path) -> None:
    answer(api, crowded(1, 1))
    words = ["--kubeconfig", kubeconfig(api, tmp_path), "--context", "here", "top", "nodes"]

    assert CliRunner().invoke(main, words).exit_code == 0


def test_pods_are_those_of_the_contexts_namespace(api: FakeApiServer, tmp_path: Path) -> None:
    cluster = ObservedCluster(pods=[pod_item("pump")])
    answer(api, cluster, namespace="plant")

    result = run(api, tmp_path, "top", "pods", "-o", "json", namespace="plant")

    assert [one["name"] for one in json.loads(result.stdout)["pods"]] == ["pump"]


def test_what_may_not_be_read_is_told_in_one_line(api: FakeApiServer, tmp_path: Path) -> None:
    cluster = crowded(1, 1)
    api.answer("GET", "/api/v1/nodes", listed(cluster.nodes))
    api.answer("GET", "/api/v1/pods", FORBIDDEN)
    api.answer("GET", "/api/v1/events", FORBIDDEN)
    api.answer("GET", "/api/v1/namespaces/plant/pods", listed([]))
    api.answer("GET", "/api/v1/namespaces/plant/events", FORBIDDEN)
    api.answer("GET", LEASES, FORBIDDEN)
    api.answer("GET", NETWORKS, Answer(404, {"message": "no such kind"}))

    result = run(api, tmp_path, "top", "nodes", "-n", "plant")

    assert result.exit_code == 0
    assert result.stdout.splitlines()[1].startswith("edge-0")
    assert result.stderr.splitlines() == [
        (
            "note: no right to list leases and events; no right to list pods in all namespaces, "
            "only in plant; the rest is shown"
        ),
        (
            "note: the cluster does not serve networks: k40s is not installed, or in parts; "
            "the rest is shown"
        ),
    ]


def test_who_may_list_pods_of_one_namespace_alone_sees_these(
    api: FakeApiServer, tmp_path: Path
) -> None:
    for path in ("/api/v1/nodes", "/api/v1/pods", "/api/v1/events", LEASES, NETWORKS):
        api.answer("GET", path, FORBIDDEN)
    held = [reservation("uid-pump")]
    pod = pod_item("pump", node="edge", held=held)
    api.answer("GET", "/api/v1/namespaces/plant/pods", listed([pod]))
    api.answer("GET", "/api/v1/namespaces/plant/events", *(listed([]) for _ in REPORTERS))

    result = run(api, tmp_path, "top", "pods", "-A", "-n", "plant")

    assert result.exit_code == 0
    assert result.stdout.splitlines()[1].split()[:7] == [
        *("plant", "pump", "HI", "edge", "running", "1", "10ms/100ms")
    ]
    assert "only in plant" in result.stderr


def test_nothing_to_read_is_status_3(api: FakeApiServer, tmp_path: Path) -> None:
    result = run(api, tmp_path, "top", "nodes")

    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr.startswith("error: ")


def test_an_unknown_node_is_bad_input(api: FakeApiServer, tmp_path: Path) -> None:
    answer(api, crowded(1, 1))

    result = run(api, tmp_path, "top", "node", "edge-7")

    assert result.exit_code == 2
    assert "expected the name of a node of the cluster" in result.stderr


def test_a_nodes_cores_are_drawn(api: FakeApiServer, tmp_path: Path) -> None:
    answer(api, crowded(1, 9))
    picture = tmp_path / "edge.svg"

    result = run(api, tmp_path, "top", "node", "edge-0", "--plot", str(picture))

    assert result.exit_code == 0
    text = picture.read_text()
    for word in ("node edge-0, assurance not usable", "core 7", "team-8/worker-0-8", "free"):
        assert word in text


def test_a_picture_is_not_watched(api: FakeApiServer, tmp_path: Path) -> None:
    words = ("top", "node", "edge-0", "--watch", "--plot", str(tmp_path / "a.svg"))

    assert run(api, tmp_path, *words).exit_code == 2


def test_status_without_rights_cannot_judge(api: FakeApiServer, tmp_path: Path) -> None:
    api.answer("GET", "/api/v1/nodes", FORBIDDEN)
    api.answer("GET", LEASES, listed([]))
    apps = "/apis/apps/v1/namespaces/k40s-system"
    api.answer("GET", f"{apps}/deployments", FORBIDDEN)
    api.answer("GET", "/api/v1/namespaces/k40s-system/pods", FORBIDDEN)
    api.answer(
        "GET", "/api/v1/namespaces/k40s-system/configmaps/k40s-certificates", Answer(404, {})
    )

    result = run(api, tmp_path, "status", "-o", "json")

    told = json.loads(result.stdout)
    assert result.exit_code == 1
    assert {one["part"] for one in told["findings"] if one["state"] == "unknown"} == {
        *("nodes", "workloads", "pods", "certificates")
    }
    assert {one["part"] for one in told["findings"] if one["state"] == "fault"} == {
        *("leader", "definitions")
    }


def answer_definitions(api: FakeApiServer, prefix: str) -> None:
    """Kinds and policies as ``manifests/base`` has them, with kustomize's ``namePrefix``."""
    plurals = {
        "CustomResourceDefinition": "apiextensions.k8s.io/v1/customresourcedefinitions",
        "ValidatingAdmissionPolicy": (
            "admissionregistration.k8s.io/v1/validatingadmissionpolicies"
        ),
        "ValidatingAdmissionPolicyBinding": (
            "admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
        ),
    }
    for path in Path("manifests/base").glob("*.yaml"):
        for one in yaml.safe_load_all(path.read_text()):
            if one is not None and one.get("kind") in plurals:
                name = one["metadata"]["name"]
                if one["kind"] != "CustomResourceDefinition":
                    name = prefix + name
                if "policyName" in one["spec"]:
                    one["spec"]["policyName"] = prefix + one["spec"]["policyName"]
                where = f"/apis/{plurals[one['kind']]}/{name}"
                api.answer("GET", where, Answer(body=one))


@pytest.mark.parametrize("prefix", ["", "line1-"])
def test_status_of_a_healthy_installation_is_0(
    api: FakeApiServer, tmp_path: Path, prefix: str
) -> None:
    now = datetime.now(UTC)
    leases = [lease_item("k40s-controller", age=0)]
    leases[0]["spec"]["renewTime"] = now.isoformat()
    api.answer("GET", "/api/v1/nodes", listed([]))
    api.answer("GET", LEASES, listed(leases))
    apps = "/apis/apps/v1/namespaces/k40s-system"
    image = {"template": {"spec": {"containers": [{"image": "k40s:0.1.0"}]}}}
    deployments = [
        {
            "metadata": {"name": prefix + name, "labels": {"app.kubernetes.io/name": name}},
            "spec": {"replicas": 1} | image,
            "status": {"readyReplicas": 1},
        }
        for name in DEPLOYMENTS
    ]
    daemon_sets = [
        {
            "metadata": {"name": prefix + name, "labels": {"app.kubernetes.io/name": name}},
            "spec": image,
            "status": {"desiredNumberScheduled": 0, "numberReady": 0},
        }
        for name in DAEMON_SETS
    ]
    api.answer("GET", f"{apps}/deployments", listed(deployments))
    api.answer("GET", f"{apps}/daemonsets", listed(daemon_sets))
    api.answer("GET", "/api/v1/namespaces/k40s-system/pods", listed([]))
    validity = format_validity(now, now + timedelta(days=90))
    api.answer(
        "GET",
        "/api/v1/namespaces/k40s-system/configmaps/k40s-certificates",
        Answer(body={"data": {"ca.crt": validity}}),
    )
    answer_definitions(api, prefix)

    result = run(api, tmp_path, "status")

    assert result.exit_code == 0, result.stdout
    assert "k40s-controller leads the controller" in result.stdout
    assert "1 valid, the first expires on" in result.stdout

"""``k40s top`` and ``k40s status`` at a real API server, by an administrator and by less."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from cli.main import main
from k40s.annotations import CPU_STATE_KEY
from k40s.pki.directory import CertificateDirectory
from localcluster.images.binaries import Binaries
from localcluster.plane.control_plane import ControlPlane
from tests.fakes.extender.process import ROOT
from tests.fakes.observed_cluster import assurance_text, cpu_text, pod_item, reservation
from tests.fakes.registered_nodes import (
    NAMESPACE,
    Api,
    annotate_node,
    long_lived,
    prepare,
    real_time,
    register_nodes,
    wait_until_heeded,
)

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

EDGE = "edge-1"
BASE = ROOT / "manifests" / "base"
POLICIES = "/apis/admissionregistration.k8s.io/v1"
APPS = f"/apis/apps/v1/namespaces/{NAMESPACE}"
MERGE = "application/merge-patch+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One real-time node that serves a pod of plant and one of office, and k40s's definitions."""

    api: Api
    plane: ControlPlane

    def run(self, *words: str, kubeconfig: Path | None = None) -> Result:
        path = str(kubeconfig or self.plane.kubeconfig)
        return CliRunner().invoke(main, ["--kubeconfig", path, *words])


def manifests() -> Iterator[dict[str, Any]]:
    for path in sorted(BASE.glob("*.yaml")):
        for one in yaml.safe_load_all(path.read_text()):
            if one is not None and "kind" in one:
                yield one


def create_pod(api: Api, item: dict[str, Any]) -> str:
    """Create the pod of an item with its status; its UID is the API server's."""
    path = f"/api/v1/namespaces/{item['metadata']['namespace']}/pods"
    meta = {key: item["metadata"][key] for key in ("name", "annotations")}
    spec = item["spec"] | {"automountServiceAccountToken": False}
    made = api.request("POST", path, {"metadata": meta, "spec": spec})
    status = {"status": item["status"]}
    api.request("PATCH", f"{path}/{meta['name']}/status", status, kind=MERGE)
    return str(made["metadata"]["uid"])


def grant_to(api: Api, namespace: str, user: str) -> None:
    """A user may read pods and events of one namespace, and nothing else."""
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    rules = [{"apiGroups": [""], "resources": ["pods", "events"], "verbs": ["list", "watch"]}]
    api.request("POST", f"{rbac}/roles", {"metadata": {"name": user}, "rules": rules})
    group = "rbac.authorization.k8s.io"
    body = {
        "metadata": {"name": user},
        "roleRef": {"apiGroup": group, "kind": "Role", "name": user},
        "subjects": [{"apiGroup": group, "kind": "User", "name": user}],
    }
    api.request("POST", f"{rbac}/rolebindings", body)


def write_event(api: Api, about: Mapping[str, str], text: str) -> None:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    namespace = about.get("namespace", "default")
    body = {
        "metadata": {"name": f"{about['name']}.1", "namespace": namespace},
        "involvedObject": {"apiVersion": "v1", **about},
        "reason": "SuspectNamed",
        "message": text,
        "type": "Normal",
        "source": {"component": "k40s-malacoda"},
        "reportingComponent": "k40s-malacoda",
        "reportingInstance": "edge",
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
    api.request("POST", f"/api/v1/namespaces/{namespace}/events", body)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, binaries: Binaries) -> Iterator[Scene]:
    place = tmp_path_factory.mktemp("command-line")
    with ControlPlane.on_loopback(directory=place, binaries=binaries) as plane:
        api = Api(plane)
        prepare(api)
        states = real_time(long_lived(cpu_text(cores=[1, 2])), long_lived(assurance_text()))
        register_nodes(api, [EDGE], annotations=lambda _: states, leases=("malacoda", "rubicante"))
        held = []
        for number, (namespace, name) in enumerate([("plant", "pump"), ("office", "printer")]):
            account = {"metadata": {"name": "default"}}
            api.request("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
            accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
            api.request("POST", accounts, account, accepted=(409,))
            server = reservation("later", core=number + 1, priority=number + 1)
            item = pod_item(name, namespace=namespace, node=EDGE, held=[server])
            uid = create_pod(api, item)
            held.append(replace(server, pod_uid=uid))
        annotate_node(api, EDGE, {CPU_STATE_KEY: long_lived(cpu_text(held))})
        about = {"kind": "Pod", "name": "printer", "namespace": "office", "uid": held[1].pod_uid}
        write_event(api, about, "pod office/printer is suspected of the hazard cpu_steal 0.9")
        grant_to(api, "plant", "operator")
        for one in manifests():
            plural = {
                "ValidatingAdmissionPolicy": "validatingadmissionpolicies",
                "ValidatingAdmissionPolicyBinding": "validatingadmissionpolicybindings",
            }.get(one["kind"])
            if plural is not None:
                api.request("POST", f"{POLICIES}/{plural}", one)
        wait_until_heeded(api)
        yield Scene(api=api, plane=plane)
        api.close()


def test_an_administrator_sees_nodes_pods_and_servers(scene: Scene) -> None:
    nodes = scene.run("top", "nodes")
    pods = scene.run("top", "pods", "-A")
    node = scene.run("top", "node", EDGE)

    assert (nodes.exit_code, nodes.stderr) == (0, "")
    assert nodes.stdout.splitlines()[1].split() == [
        *(EDGE, "yes", "18", "[#---------]", "0.20/1.80", "2", "-", "-", "ok")
    ]
    assert [line.split()[:7] for line in pods.stdout.splitlines()[1:]] == [
        ["office", "printer", "HI", EDGE, "running", "2", "10ms/100ms"],
        ["plant", "pump", "HI", EDGE, "running", "1", "10ms/100ms"],
    ]
    assert "is suspected of the hazard cpu_steal" in node.stdout


def test_values_are_json_and_yaml(scene: Scene) -> None:
    told = json.loads(scene.run("top", "nodes", "-o", "json").stdout)
    also = yaml.safe_load(scene.run("top", "node", EDGE, "-o", "yaml").stdout)

    assert told["nodes"][0] == also["node"]
    assert [one["name"] for one in also["pods"]] == ["printer", "pump"]


def test_a_selector_chooses_nodes(scene: Scene) -> None:
    result = scene.run("top", "nodes", "-l", "kubernetes.io/hostname=other")

    assert result.stdout == "No nodes found.\n"


def test_who_has_rights_in_one_namespace_sees_it_and_what_is_missing(scene: Scene) -> None:
    operator = scene.plane.identity("operator", name="operator")

    pods = scene.run("top", "pods", "-n", "plant", kubeconfig=operator)
    nodes = scene.run("-n", "plant", "top", "nodes", kubeconfig=operator)

    assert [line.split()[:6] for line in pods.stdout.splitlines()[1:]] == [
        ["pump", "HI", EDGE, "running", "1", "10ms/100ms"]
    ]
    assert pods.stderr.splitlines() == [
        "note: no right to list nodes, leases and networks; the rest is shown"
    ]
    assert nodes.stdout == "No nodes found.\n"
    assert nodes.stderr.splitlines() == [
        (
            "note: no right to list nodes, leases and networks; no right to list pods and events "
            "in all namespaces, only in plant; the rest is shown"
        )
    ]


def test_who_has_no_rights_is_told_so(scene: Scene) -> None:
    nobody = scene.plane.identity("nobody", name="nobody")

    result = scene.run("top", "nodes", kubeconfig=nobody)

    assert (result.exit_code, result.stdout) == (3, "")
    assert "403" in result.stderr
    assert scene.run("status", kubeconfig=nobody).exit_code == 3


def set_ready(api: Api, status: str) -> None:
    conditions = [{"type": "Ready", "status": status, "reason": "Kubelet"}]
    body = {"status": {"conditions": conditions}}
    api.request("PATCH", f"/api/v1/nodes/{EDGE}/status", body, kind=MERGE)


def test_a_watch_shows_what_changes_and_ends_when_interrupted(scene: Scene) -> None:
    kubeconfig = str(scene.plane.kubeconfig)
    heeds = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = f"{heeds}\nfrom cli.main import main\nmain()"  # a job in the background ignores it
    command = [sys.executable, "-c", code, "top", "nodes", "-w"]
    with subprocess.Popen(
        [*command, "--kubeconfig", kubeconfig],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
    ) as process:
        assert process.stdout is not None
        first = [process.stdout.readline() for _ in range(2)]
        set_ready(scene.api, "False")
        second = [process.stdout.readline() for _ in range(3)]
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=60)
    set_ready(scene.api, "True")

    assert first[1].split()[:2] == [EDGE, "yes"]
    assert second[0] == "\n"
    assert second[2].split()[:2] == [EDGE, "no"]
    assert "\x1b" not in "".join((*first, *second, rest))
    assert process.returncode == 0


def test_status_finds_what_is_missing_and_then_all_well(scene: Scene, tmp_path: Path) -> None:
    before = scene.run("status")
    install(scene, tmp_path)
    after = scene.run("status")

    assert before.exit_code == 1
    assert ["FAULT", "k40s-extender", "not", "installed"] in [
        line.split()[:4] for line in before.stdout.splitlines()
    ]
    assert "kinds and policies are those of this version" in before.stdout
    assert after.exit_code == 0, after.stdout
    assert {line.split()[0] for line in after.stdout.splitlines()[1:]} == {"ok"}


def install(scene: Scene, tmp_path: Path) -> None:
    """The workloads as if all their pods ran, a leader, and the certificates' ConfigMap."""
    api = scene.api
    for one in manifests():
        if one["kind"] not in ("Deployment", "DaemonSet"):
            continue
        plural = f"{one['kind'].lower()}s"
        api.request("POST", f"{APPS}/{plural}", one)
        wanted = one["spec"].get("replicas", 1)
        ready = {"replicas": wanted, "readyReplicas": wanted}
        if plural == "daemonsets":
            ready = dict.fromkeys(
                ("desiredNumberScheduled", "currentNumberScheduled", "numberReady"), 1
            ) | {"numberMisscheduled": 0}
        path = f"{APPS}/{plural}/{one['metadata']['name']}/status"
        api.request("PATCH", path, {"status": ready}, kind=MERGE)
    lease = {
        "metadata": {"name": "k40s-controller"},
        "spec": {
            "holderIdentity": "k40s-controller-1",
            "leaseDurationSeconds": 3600,
            "renewTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        },
    }
    leases = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"
    api.request("POST", leases, lease)
    CertificateDirectory(tmp_path, NAMESPACE).issue(
        lifetime=timedelta(days=365), authority_lifetime=timedelta(days=3650), now=datetime.now(UTC)
    )
    told = yaml.safe_load((tmp_path / "k40s-certificates.yaml").read_text())
    api.request("POST", f"/api/v1/namespaces/{NAMESPACE}/configmaps", told)


def test_kubectl_runs_the_command_as_its_plugin(scene: Scene, tmp_path: Path) -> None:
    plugin = tmp_path / "kubectl-k40s"
    plugin.write_text(
        f"#!{sys.executable}\nfrom cli.main import kubectl_plugin\nkubectl_plugin()\n"
    )
    plugin.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "KUBECONFIG": str(scene.plane.kubeconfig),
    }
    kubectl = str(scene.plane.binaries.path("kubectl"))

    told, shown = (
        subprocess.run(
            [kubectl, "k40s", *words],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=600,
        ).stdout
        for words in (["--help"], ["top", "nodes", "--context", "local"])
    )

    assert told.startswith("Usage: kubectl k40s [OPTIONS] COMMAND")
    assert shown.startswith("NODE")

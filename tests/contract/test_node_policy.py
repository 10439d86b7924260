"""What the shipped policy lets our processes write to Nodes, asked of a bare real API server."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from k40s.annotations import (
    ASSURANCE_CLASS_LABEL,
    ASSURANCE_KEY,
    ASSURANCE_REDUCED_CONDITION,
    ASSURANCE_SINCE_KEY,
    CPU_STATE_SINCE_KEY,
    CULPRITS_KEY,
    NETWORK_STATE_KEY,
    NETWORK_STATE_SINCE_KEY,
    PLACEMENT_CHANGED_KEY,
    REAL_TIME_LABEL,
    XENOMAI_LABEL,
)
from localcluster.images.binaries import Binaries
from localcluster.plane.control_plane import ControlPlane
from tests.fakes.extender.process import ROOT
from tests.fakes.registered_nodes import MERGE, NAMESPACE, Api, prepare, wait_until_heeded

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

PATHS = {
    "ClusterRole": "rbac.authorization.k8s.io/v1/clusterroles",
    "ClusterRoleBinding": "rbac.authorization.k8s.io/v1/clusterrolebindings",
    "ValidatingAdmissionPolicy": "admissionregistration.k8s.io/v1/validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": (
        "admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
    ),
}
NODE = "/api/v1/nodes/n1"
STRATEGIC = "application/strategic-merge-patch+json"
READY = {
    "type": "Ready",
    "status": "True",
    "reason": "KubeletReady",
    "message": "as kubelet says",
    "lastHeartbeatTime": "2026-03-01T12:00:00Z",
    "lastTransitionTime": "2026-03-01T12:00:00Z",
}
REDUCED = {
    "type": ASSURANCE_REDUCED_CONDITION,
    "status": "True",
    "reason": "HazardAlarm",
    "message": "cpu-system is 0.67, a hazard from 0.5 on",
    "lastTransitionTime": "2026-03-01T12:00:00Z",
}
ORPHAN = {"apiVersion": "v1", "kind": "Node", "name": "none", "uid": "there-is-no-such"}
"""The garbage collector deletes what is owned by nothing that exists."""


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, binaries: Binaries) -> Iterator[Api]:
    place = tmp_path_factory.mktemp("node-policy")
    with ControlPlane.on_loopback(directory=place, binaries=binaries) as plane:
        administrator = Api(plane)
        prepare(administrator)
        labels = {ASSURANCE_CLASS_LABEL: "HI", REAL_TIME_LABEL: "true", "other": "x"}
        node = {"metadata": {"name": "n1", "labels": labels, "annotations": {"other": "x"}}}
        administrator.request("POST", "/api/v1/nodes", node)
        status = {"status": {"conditions": [READY], "nodeInfo": {"kernelVersion": "6.1"}}}
        administrator.request("PATCH", f"{NODE}/status", status, kind=STRATEGIC)
        for name in ("rbac.yaml", "admission-nodes.yaml"):
            for document in yaml.safe_load_all((ROOT / "manifests" / "base" / name).read_text()):
                if document["kind"] in PATHS:
                    path = f"/apis/{PATHS[document['kind']]}"
                    administrator.request("POST", path, document, accepted=(409,))
        wait_until_heeded(administrator)
        yield administrator
        administrator.close()


def patch(api: Api, account: str, metadata: dict[str, Any], **rest: object) -> str:
    """Return "" when the API server would take it from that account, else what it says."""
    return ask(api, account, NODE, {"metadata": metadata, **rest}, kind=MERGE)


def set_conditions(
    api: Api,
    account: str,
    *conditions: dict[str, str],
    node: str = "n1",
    metadata: dict[str, Any] | None = None,
    **status: object,
) -> str:
    """The same of conditions, and of whatever else is in the status."""
    body: dict[str, Any] = {"status": {"conditions": list(conditions), **status}}
    body["metadata"] = metadata or {}
    return ask(api, account, f"{NODE}/status", body, kind=STRATEGIC, node=node)


def ask(
    api: Api, account: str, path: str, body: dict[str, Any], *, kind: str, node: str = "n1"
) -> str:
    headers = {}
    if account:
        headers = {
            "Impersonate-User": f"system:serviceaccount:{NAMESPACE}:{account}",
            "Impersonate-Extra-Authentication.kubernetes.io%2fnode-name": node,
        }
    path = f"{path}?dryRun=All"
    answer = api.request("PATCH", path, body, kind=kind, accepted=(403, 422), headers=headers)
    return str(answer["message"]) if answer.get("kind") == "Status" else ""


@pytest.mark.parametrize(
    ("account", "metadata"),
    [
        ("k40s-extender", {"labels": {ASSURANCE_CLASS_LABEL: None, REAL_TIME_LABEL: None}}),
        ("malacoda", {"annotations": {ASSURANCE_KEY: "{}"}}),
        ("malacoda", {"labels": {ASSURANCE_CLASS_LABEL: "LOW"}}),
        ("malacoda", {"annotations": {ASSURANCE_SINCE_KEY: "2026-03-01T12:00:00Z"}}),
        ("rubicante", {"annotations": {CPU_STATE_SINCE_KEY: "2026-03-01T12:00:00Z"}}),
        ("rubicante", {"labels": {REAL_TIME_LABEL: "false"}}),
        ("scarmiglione", {"annotations": {NETWORK_STATE_KEY: "{}"}}),
        ("scarmiglione", {"annotations": {NETWORK_STATE_SINCE_KEY: "2026-03-01T12:00:00Z"}}),
        ("scarmiglione", {"labels": {XENOMAI_LABEL: "true"}}),
        ("k40s-controller", {"annotations": {PLACEMENT_CHANGED_KEY: "2026-03-01T12:00:00Z"}}),
        ("", {"finalizers": ["example.org/theirs"]}),
    ],
)
def test_each_writes_what_is_its_own(api: Api, account: str, metadata: dict[str, Any]) -> None:
    assert patch(api, account, metadata) == ""


@pytest.mark.parametrize(
    "account", ["k40s-extender", "k40s-controller", "malacoda", "rubicante", "scarmiglione"]
)
@pytest.mark.parametrize(
    "metadata",
    [
        {"ownerReferences": [ORPHAN]},
        {"finalizers": ["example.org/never"]},
        {"labels": {"other": None}},
        {"annotations": {"other": None}},
    ],
    ids=["owner", "finalizer", "label", "annotation"],
)
def test_our_processes_touch_nothing_else_of_a_node(
    api: Api, account: str, metadata: dict[str, Any]
) -> None:
    said = patch(api, account, metadata)

    assert any(words in said for words in ("may only", "may write only keys"))


@pytest.mark.parametrize(
    "account", ["k40s-extender", "k40s-controller", "malacoda", "rubicante", "scarmiglione"]
)
def test_our_processes_leave_a_nodes_spec(api: Api, account: str) -> None:
    said = patch(api, account, {}, spec={"unschedulable": True})

    assert any(words in said for words in ("may only", "may write only keys"))


@pytest.mark.parametrize(
    ("account", "key"),
    [
        ("", ASSURANCE_SINCE_KEY),
        ("rubicante", ASSURANCE_SINCE_KEY),
        ("", CPU_STATE_SINCE_KEY),
        ("malacoda", CPU_STATE_SINCE_KEY),
        ("", NETWORK_STATE_SINCE_KEY),
        ("rubicante", NETWORK_STATE_KEY),
        ("scarmiglione", CPU_STATE_SINCE_KEY),
        ("scarmiglione", PLACEMENT_CHANGED_KEY),
        ("k40s-controller", NETWORK_STATE_KEY),
        ("", CULPRITS_KEY),
        ("rubicante", CULPRITS_KEY),
    ],
)
def test_nobody_says_how_long_another_daemon_is_there(api: Api, account: str, key: str) -> None:
    assert "only " in patch(api, account, {"annotations": {key: "2026-03-01T12:00:00Z"}})


@pytest.mark.parametrize("account", ["", "malacoda", "rubicante"])
def test_nobody_else_says_that_a_node_has_xenomai(api: Api, account: str) -> None:
    assert "only scarmiglione" in patch(api, account, {"labels": {XENOMAI_LABEL: "true"}})


def test_malacoda_writes_its_condition_and_its_keys_in_one_write(api: Api) -> None:
    metadata = {
        "annotations": {ASSURANCE_KEY: "{}", CULPRITS_KEY: "{}"},
        "labels": {ASSURANCE_CLASS_LABEL: "LOW"},
    }

    assert set_conditions(api, "malacoda", REDUCED, metadata=metadata) == ""


def test_malacoda_writes_it_on_its_own_node_alone(api: Api) -> None:
    said = set_conditions(api, "malacoda", REDUCED, node="n2")

    assert "only to the Node that it runs on" in said


@pytest.mark.parametrize("account", ["", "rubicante", "k40s-extender"])
def test_nobody_else_writes_it(api: Api, account: str) -> None:
    said = set_conditions(api, account, REDUCED)

    # Rights for the status nobody else has; an administrator is stopped by the policy.
    assert "only malacoda may set" in said if not account else "cannot patch" in said


def test_others_write_their_own_conditions(api: Api) -> None:
    problem = {**READY, "type": "KernelDeadlock", "status": "False"}

    assert set_conditions(api, "", problem, {**READY, "status": "False"}) == ""


@pytest.mark.parametrize(
    "status",
    [
        {"conditions": [{**READY, "status": "False"}]},
        {"conditions": [REDUCED, {**READY, "type": "KernelDeadlock"}]},
        {"conditions": [{**READY, "$patch": "delete"}]},
        {"capacity": {"cpu": "64"}},
        {"nodeInfo": {"kernelVersion": "6.2"}},
        {"addresses": [{"type": "InternalIP", "address": "10.0.0.9"}]},
    ],
    ids=["Ready", "another", "removal", "capacity", "kernel", "address"],
)
def test_malacoda_writes_nothing_else_of_the_status(api: Api, status: dict[str, Any]) -> None:
    said = ask(api, "malacoda", f"{NODE}/status", {"status": status}, kind=STRATEGIC)

    assert "may write only keys" in said


def test_malacoda_takes_its_condition_back(api: Api) -> None:
    api.request(
        "PATCH",
        f"{NODE}/status",
        {"status": {"conditions": [REDUCED]}},
        kind=STRATEGIC,
        headers={
            "Impersonate-User": f"system:serviceaccount:{NAMESPACE}:malacoda",
            "Impersonate-Extra-Authentication.kubernetes.io%2fnode-name": "n1",
        },
    )

    calm = {**REDUCED, "status": "False", "reason": "NoHazard"}
    assert set_conditions(api, "malacoda", calm) == ""
    heartbeat = {**READY, "lastHeartbeatTime": "2026-03-01T12:00:10Z"}
    assert set_conditions(api, "", heartbeat) == ""
    assert set_conditions(api, "", {**REDUCED, "$patch": "delete"}) == ""
    assert "only malacoda may set" in set_conditions(api, "", calm)

"""The shipped manifests in another namespace under other names, asked of a real API server."""

import json
import os
from collections.abc import Iterator

import pytest
import yaml

from k40s.annotations import ENFORCED_CONDITION
from localcluster.errors import CommandError
from localcluster.images.binaries import Binaries
from localcluster.plane.control_plane import ControlPlane
from tests.fakes.extender.process import ROOT
from tests.fakes.registered_nodes import Api, get_pod, prepare, wait_until_heeded

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

NAMESPACE = "plant-a"
KUSTOMIZATION = {"namespace": NAMESPACE, "namePrefix": "line1-", "nameSuffix": "-eu"}
NO_WEBHOOK = [
    {
        "target": {"kind": f"{kind}WebhookConfiguration"},
        "patch": f"$patch: delete\nkind: {kind}WebhookConfiguration\n"
        f"apiVersion: admissionregistration.k8s.io/v1\nmetadata: {{name: {name}}}\n",
    }
    for kind, name in (("Validating", "k40s-validation"), ("Mutating", "k40s-defaults"))
]
"""There are no nodes here, so no webhook that would answer."""
HI = {"k40s.io/criticality": "HI"}
GRANTED = {"status.k40s.io/cpu": "[]"}


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory, binaries: Binaries) -> Iterator[ControlPlane]:
    place = tmp_path_factory.mktemp("elsewhere")
    overlay = place / "overlay"
    overlay.mkdir()
    resources = [os.path.relpath(ROOT / "manifests" / "base", overlay)]
    text = yaml.safe_dump({"resources": resources, "patches": NO_WEBHOOK, **KUSTOMIZATION})
    (overlay / "kustomization.yaml").write_text(text)
    with ControlPlane.on_loopback(directory=place / "plane", binaries=binaries) as plane:
        api = Api(plane)
        prepare(api)
        plane.kubectl("apply", "--kustomize", str(overlay), timeout=120)
        for node in ("n1", "n2"):
            api.request("POST", "/api/v1/nodes", {"metadata": {"name": node}})
        for pod, node in (("here", "n1"), ("there", "n2"), ("written", "n1"), ("changed", "n1")):
            make_bound_pod(api, pod, node)
        wait_until_heeded(api)
        api.close()
        yield plane


@pytest.fixture(scope="module")
def api(plane: ControlPlane) -> Iterator[Api]:
    made = Api(plane)
    yield made
    made.close()


def make_bound_pod(api: Api, name: str, node: str) -> None:
    pods = "/api/v1/namespaces/default/pods"
    spec = {
        "automountServiceAccountToken": False,
        "nodeName": node,
        "containers": [{"name": "main", "image": "app"}],
    }
    api.request("POST", pods, {"metadata": {"name": name, "labels": {"a": "b"}}, "spec": spec})
    status = {"status": {"phase": "Pending", "conditions": [{"type": "Ready", "status": "False"}]}}
    merge = "application/merge-patch+json"
    api.request("PATCH", f"{pods}/{name}/status", status, kind=merge)


def identity(account: str, node: str = "", *, namespace: str = NAMESPACE) -> list[str]:
    """Of a process of ours in the renamed installation; an administrator for no account."""
    if not account:
        return []
    name = f"system:serviceaccount:{namespace}:line1-{account}-eu"
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")
    words = [f"--as={name}", *(f"--as-group={group}" for group in groups)]
    if node:
        words.append(f"--as-user-extra=authentication.kubernetes.io/node-name={node}")
    return words


def attempt(plane: ControlPlane, *words: str, stdin: str = "") -> str:
    """Return "" when the API server would do it, else what it says."""
    try:
        plane.kubectl(*words, "--dry-run=server", stdin=stdin)
    except CommandError as error:
        return str(error)
    return ""


def create_pod(
    plane: ControlPlane, annotations: dict[str, str], *, account: str = "", scheduler: str = ""
) -> str:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "new", "namespace": "default", "annotations": annotations},
        "spec": {
            "schedulerName": scheduler or "default-scheduler",
            "containers": [{"name": "c", "image": "x"}],
        },
    }
    words = ("create", "--filename=-", *identity(account))
    return attempt(plane, *words, stdin=json.dumps(pod))


def annotate_node(plane: ControlPlane, key: str, *who: str) -> str:
    patch = json.dumps({"metadata": {"annotations": {key: "x"}}})
    return attempt(plane, "patch", "node", "n1", "--type=merge", f"--patch={patch}", *who)


def patch_status(
    api: Api, pod: str, patch: object, account: str = "", node: str = "", *, dry: bool = True
) -> str:
    """The one request that rubicante sends; kubectl would read the status first."""
    headers = {}
    if account:
        headers["Impersonate-User"] = f"system:serviceaccount:{NAMESPACE}:line1-{account}-eu"
    if node:
        headers["Impersonate-Extra-authentication.kubernetes.io%2Fnode-name"] = node
    path = f"/api/v1/namespaces/default/pods/{pod}/status" + ("?dryRun=All" if dry else "")
    kind = "application/strategic-merge-patch+json"
    refused = (403, 409, 422)
    answer = api.request("PATCH", path, patch, kind=kind, accepted=refused, headers=headers)
    return str(answer["message"]) if answer.get("kind") == "Status" else ""


def condition(kind: str = ENFORCED_CONDITION, status: str = "True") -> dict[str, object]:
    return {"status": {"conditions": [{"type": kind, "status": status, "reason": "Enforced"}]}}


def test_every_daemon_writes_its_keys_on_its_own_node(plane: ControlPlane) -> None:
    malacoda, rubicante = identity("malacoda", "n1"), identity("rubicante", "n1")

    assert annotate_node(plane, "node.k40s.io/assurance", *malacoda) == ""
    assert annotate_node(plane, "node.k40s.io/cpu-state", *rubicante) == ""


@pytest.mark.parametrize(
    ("key", "account", "node", "complaint"),
    [
        ("node.k40s.io/assurance", "malacoda", "n2", "the Node that it runs on"),
        ("node.k40s.io/cpu-state", "rubicante", "", "the Node that it runs on"),
        ("node.k40s.io/cpu-state", "malacoda", "n1", "only rubicante"),
        ("node.k40s.io/assurance", "rubicante", "n1", "only malacoda"),
        ("k40s.io/platform-factor", "rubicante", "n1", "only keys below node.k40s.io/"),
        ("node.k40s.io/assurance", "", "", "only malacoda"),
        ("node.k40s.io/cpu-state", "", "", "only rubicante"),
    ],
)
def test_nobody_else_writes_them_and_no_administrator_does(
    plane: ControlPlane, key: str, account: str, node: str, complaint: str
) -> None:
    assert complaint in annotate_node(plane, key, *identity(account, node))


def test_an_account_of_the_name_in_another_namespace_is_nobody(plane: ControlPlane) -> None:
    said = annotate_node(
        plane, "node.k40s.io/assurance", *identity("malacoda", "n1", namespace="default")
    )

    assert "forbidden" in said


def test_what_was_granted_is_written_by_nobody_but_the_extender(plane: ControlPlane) -> None:
    assert "only the k40s extender writes them" in create_pod(plane, GRANTED)
    assert "needs schedulerName: k40s-scheduler" in create_pod(plane, HI)
    assert create_pod(plane, HI, scheduler="k40s-scheduler") == ""


def bind(plane: ControlPlane, *who: str) -> str:
    binding = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": "free", "namespace": "default", "annotations": GRANTED},
        "target": {"apiVersion": "v1", "kind": "Node", "name": "n1"},
    }
    path = "/api/v1/namespaces/default/pods/free/binding?dryRun=All"
    try:
        words = ("create", f"--raw={path}", "--filename=-", *who)
        plane.kubectl(*words, stdin=json.dumps(binding))
    except CommandError as error:
        return str(error)
    return ""


def test_the_extender_alone_binds_with_what_was_granted(plane: ControlPlane) -> None:
    words = ("run", "free", "--image=x", "--namespace=default")
    plane.kubectl(*words, '--overrides={"spec": {"automountServiceAccountToken": false}}')

    assert bind(plane, *identity("k40s-extender", "n2")) == ""
    assert "only the k40s extender binds" in bind(plane)


def renew(plane: ControlPlane, name: str, *who: str) -> str:
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"holderIdentity": "n1"},
    }
    return attempt(plane, "create", "--filename=-", *who, stdin=json.dumps(lease))


def test_a_daemon_beats_for_its_own_node_and_nobody_else_does(plane: ControlPlane) -> None:
    rubicante = identity("rubicante", "n1")

    assert renew(plane, "rubicante-n1", *rubicante) == ""
    for name, who in (
        ("rubicante-n2", rubicante),
        ("other", rubicante),
        ("rubicante-n1", identity("malacoda", "n1")),
        ("rubicante-n1", []),
    ):
        assert "a heartbeat is renewed by" in renew(plane, name, *who)
    assert renew(plane, "other") == ""


WRITERS = ["rubicante", "k40s-give-back"]
"""What says of pods that they are enforced, and what takes it back."""


@pytest.mark.parametrize("account", WRITERS)
def test_rubicante_says_of_its_nodes_pods_whether_they_are_enforced(api: Api, account: str) -> None:
    for status in ("True", "False"):
        assert patch_status(api, "here", condition(status=status), account, "n1") == ""


ANOTHER = "only the condition k40s.io/enforced of a pod"


@pytest.mark.parametrize(
    ("patch", "complaint"),
    [
        (condition("Ready"), ANOTHER),
        (condition("example.org/other"), ANOTHER),
        ({"status": {"conditions": [{"$patch": "delete", "type": "Ready"}]}}, ANOTHER),
        ({"status": {"phase": "Running"}}, ANOTHER),
        ({"status": {"phase": None}}, ANOTHER),
        ({"status": {"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}]}}, ANOTHER),
        ({"status": {"message": "x"}}, ANOTHER),
        ({"metadata": {"labels": {"a": "c"}}}, ANOTHER),
        ({"metadata": {"labels": {"a": None}}}, ANOTHER),
        ({"metadata": {"annotations": {"b": "c"}}}, ANOTHER),
        ({"metadata": {"finalizers": ["example.org/stay"]}}, ANOTHER),
        ({"metadata": {"annotations": GRANTED}}, "denied request"),  # by two policies
    ],
    ids=json.dumps,
)
@pytest.mark.parametrize("account", WRITERS)
def test_rubicante_writes_nothing_else_of_a_pod(
    api: Api, patch: object, complaint: str, account: str
) -> None:
    assert complaint in patch_status(api, "here", patch, account, "n1")


@pytest.mark.parametrize("account", WRITERS)
@pytest.mark.parametrize(("pod", "node"), [("there", "n1"), ("here", "")])
def test_rubicante_writes_to_no_pod_of_another_node(
    api: Api, pod: str, node: str, account: str
) -> None:
    assert "on the pod's node" in patch_status(api, pod, condition(), account, node)


def test_nobody_else_says_that_a_pod_is_enforced(api: Api) -> None:
    assert "set by rubicante on the pod's node" in patch_status(api, "here", condition())
    assert "forbidden" in patch_status(api, "here", condition(), "malacoda", "n1")
    assert "forbidden" in patch_status(api, "here", condition(), "k40s-extender", "n1")


def test_whoever_writes_a_pods_status_goes_on_and_may_remove_the_condition(api: Api) -> None:
    patch_status(api, "written", condition(), "rubicante", "n1", dry=False)
    gone = {"status": {"conditions": [{"$patch": "delete", "type": ENFORCED_CONDITION}]}}

    assert patch_status(api, "written", {"status": {"phase": "Running"}}) == ""
    assert patch_status(api, "written", gone) == ""
    assert "set by rubicante" in patch_status(api, "written", condition(status="False"))


def test_the_condition_is_the_only_thing_that_a_patch_changes(api: Api) -> None:
    before = get_pod(api, "changed")["status"]

    patch_status(api, "changed", condition(status="False"), "rubicante", "n1", dry=False)

    after = get_pod(api, "changed")["status"]
    kinds = [one["type"] for one in after.pop("conditions")]
    assert sorted(kinds) == ["Ready", ENFORCED_CONDITION]
    before.pop("conditions")
    assert after == before


def test_a_patch_for_a_pod_that_is_gone_does_not_reach_its_successor(api: Api) -> None:
    patch = condition() | {"metadata": {"uid": "00000000-0000-4000-8000-000000000001"}}

    said = patch_status(api, "here", patch, "rubicante", "n1")

    assert "field is immutable" in said

"""What the shipped policies let the controller write, asked of a real API server."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from controller.migration.method import RELEASED
from k40s.annotations import MIGRATION_KEY, PREEMPTION_KEY
from k40s.kube.writing.pod_control import TEMPLATE_HASH_LABEL
from localcluster.images.binaries import Binaries
from localcluster.plane.control_plane import ControlPlane
from tests.fakes.extender.process import ROOT, SCHEDULER
from tests.fakes.registered_nodes import MERGE, PODS, Api, make_spec, prepare, wait_until_heeded

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

ADMISSION = "/apis/admissionregistration.k8s.io/v1"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
PATHS = {
    "ValidatingAdmissionPolicy": f"{ADMISSION}/validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": f"{ADMISSION}/validatingadmissionpolicybindings",
    "ClusterRole": f"{RBAC}/clusterroles",
    "ClusterRoleBinding": f"{RBAC}/clusterrolebindings",
}
CONTROLLER = {"Impersonate-User": "system:serviceaccount:k40s-system:k40s-controller"}
HASH = "5d4f8c7b9"
CLAIM = {PREEMPTION_KEY: "{}"}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, binaries: Binaries) -> Iterator[Api]:
    place = tmp_path_factory.mktemp("migration")
    with ControlPlane.on_loopback(directory=place, binaries=binaries) as plane:
        administrator = Api(plane)
        prepare(administrator)
        for name in ("rbac", "admission-pods", "admission-migration"):
            apply(administrator, name)
        administrator.request("POST", "/api/v1/nodes", {"metadata": {"name": "n1"}})
        for name, criticality in (("high", "HI"), ("none", "NO")):
            make_bound(administrator, name, criticality)
        for name, criticality in (("waits", "HI"), ("waits-low", "LOW"), ("waits-no", "NO")):
            make_waiting(administrator, name, criticality)
        wait_until_heeded(administrator)
        yield administrator
        administrator.close()


def apply(api: Api, name: str) -> None:
    """Create what a manifest has for this test."""
    text = (ROOT / "manifests" / "base" / f"{name}.yaml").read_text()
    for document in yaml.safe_load_all(text):
        if document["kind"] in PATHS:
            api.request("POST", PATHS[document["kind"]], document)


def make_waiting(api: Api, name: str, criticality: str) -> None:
    spec = make_spec(name, scheduler=SCHEDULER, annotations={"k40s.io/criticality": criticality})
    spec["metadata"]["labels"] = {"app": "web", TEMPLATE_HASH_LABEL: HASH}
    api.request("POST", PODS, spec)


def make_bound(api: Api, name: str, criticality: str) -> None:
    make_waiting(api, name, criticality)
    target = {"metadata": {"name": name}, "target": {"kind": "Node", "name": "n1"}}
    api.request("POST", f"{PODS}/{name}/binding", target)


def release(ending: str = RELEASED) -> dict[str, Any]:
    return {"labels": {TEMPLATE_HASH_LABEL: HASH + ending}, "annotations": {MIGRATION_KEY: "{}"}}


def write(
    api: Api,
    name: str,
    *,
    who: dict[str, str] = CONTROLLER,
    part: str = "",
    dry: bool = True,
    **metadata: object,
) -> str:
    """Return "" when the API server would do it, else what it says."""
    path = f"{PODS}/{name}{part}{'?dryRun=All' if dry else ''}"
    body = {"metadata": metadata}
    answer = api.request("PATCH", path, body, kind=MERGE, accepted=(403, 422), headers=who)
    return str(answer["message"]) if answer.get("kind") == "Status" else ""


def test_a_critical_pod_is_released_and_given_back(api: Api) -> None:
    make_bound(api, "moved", "LOW")

    released = write(api, "moved", dry=False, **release())
    given_back = write(api, "moved", dry=False, **release(""))

    assert (released, given_back) == ("", "")
    labels = api.request("GET", f"{PODS}/moved")["metadata"]["labels"]
    assert labels == {"app": "web", TEMPLATE_HASH_LABEL: HASH}


def test_a_pod_of_criticality_no_is_not_released(api: Api) -> None:
    assert "criticality NO" in write(api, "none", **release())


@pytest.mark.parametrize("value", ["other", "", f"{HASH}-migrating-migrating"])
def test_the_label_gets_no_other_value(api: Api, value: str) -> None:
    found = write(api, "high", labels={TEMPLATE_HASH_LABEL: value})

    assert "may only release a pod" in found


def test_the_label_is_not_removed(api: Api) -> None:
    assert "may write only" in write(api, "high", labels={TEMPLATE_HASH_LABEL: None})


@pytest.mark.parametrize(
    "metadata",
    [
        {"labels": {"app": "other"}},
        {"labels": {"app": None}},
        {"labels": {"new": "x"}},
        {"annotations": {"k40s.io/criticality": "NO"}},
        {"annotations": {"new": "x"}},
        {"annotations": {"status.k40s.io/cpu": "{}"}},
        {"finalizers": ["example.org/never"]},
        {"ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": "u"}]},
    ],
)
def test_nothing_else_of_a_pod_changes_even_while_it_is_released(
    api: Api, metadata: dict[str, Any]
) -> None:
    whole = release()
    for part, keys in metadata.items():
        whole[part] = {**whole.get(part, {}), **keys} if isinstance(keys, dict) else keys

    assert write(api, "high", **whole) != ""


def test_its_spec_does_not_change(api: Api) -> None:
    body = {"metadata": release(), "spec": {"activeDeadlineSeconds": 1}}
    path = f"{PODS}/high?dryRun=All"

    answer = api.request("PATCH", path, body, kind=MERGE, accepted=(403, 422), headers=CONTROLLER)

    assert "may write only" in answer["message"]


@pytest.mark.parametrize("part", ["/status", "/ephemeralcontainers", "/resize"])
def test_no_other_part_of_a_pod_is_written(api: Api, part: str) -> None:
    assert write(api, "high", part=part, **release()) != ""


@pytest.mark.parametrize(
    "who",
    [
        {},
        {"Impersonate-User": "system:serviceaccount:k40s-system:k40s-extender"},
        {"Impersonate-User": "system:serviceaccount:default:default"},
    ],
)
def test_nobody_else_says_how_a_pod_is_moved(api: Api, who: dict[str, str]) -> None:
    assert write(api, "high", who=who, annotations={MIGRATION_KEY: "{}"}) != ""


def test_others_may_write_the_label_as_before(api: Api) -> None:
    """The ReplicaSet controller and administrators are none of this policy's business."""
    assert write(api, "high", who={}, labels={TEMPLATE_HASH_LABEL: "other"}) == ""


@pytest.mark.parametrize("name", ["waits", "waits-low"])
def test_room_is_claimed_for_a_pod_that_waits_and_the_claim_withdrawn(api: Api, name: str) -> None:
    claimed = write(api, name, dry=False, annotations=CLAIM)
    changed = write(api, name, annotations={PREEMPTION_KEY: "{1}"})
    withdrawn = write(api, name, dry=False, annotations={PREEMPTION_KEY: None})

    assert (claimed, changed, withdrawn) == ("", "", "")
    assert PREEMPTION_KEY not in api.request("GET", f"{PODS}/{name}")["metadata"]["annotations"]


def test_no_room_is_claimed_for_a_pod_of_criticality_no_or_with_a_node(api: Api) -> None:
    assert "criticality NO" in write(api, "waits-no", annotations=CLAIM)
    assert "that has no node" in write(api, "high", annotations=CLAIM)


def test_a_pod_that_is_bound_keeps_its_claim_until_that_is_withdrawn(api: Api) -> None:
    make_waiting(api, "placed", "HI")
    claimed = write(api, "placed", dry=False, annotations=CLAIM)
    target = {"metadata": {"name": "placed"}, "target": {"kind": "Node", "name": "n1"}}
    api.request("POST", f"{PODS}/placed/binding", target)
    bound = api.request("GET", f"{PODS}/placed")

    withdrawn = write(api, "placed", dry=False, annotations={PREEMPTION_KEY: None})

    assert bound["spec"]["nodeName"] == "n1"
    assert bound["metadata"]["annotations"][PREEMPTION_KEY] == CLAIM[PREEMPTION_KEY]
    assert (claimed, withdrawn) == ("", "")


@pytest.mark.parametrize(
    "metadata",
    [
        {"labels": {"app": "other"}},
        {"labels": {TEMPLATE_HASH_LABEL: HASH + RELEASED}},
        {"annotations": {"k40s.io/criticality": "NO"}},
        {"annotations": {"status.k40s.io/cpu": "{}"}},
        {"annotations": {MIGRATION_KEY: "{}"}},
        {"annotations": {"new": "x"}},
    ],
)
def test_nothing_else_changes_with_a_claim(api: Api, metadata: dict[str, Any]) -> None:
    annotations = {**CLAIM, **metadata.get("annotations", {})}

    assert write(api, "waits", **{**metadata, "annotations": annotations}) != ""


@pytest.mark.parametrize(
    "who",
    [
        {},
        {"Impersonate-User": "system:serviceaccount:k40s-system:k40s-extender"},
        {"Impersonate-User": "system:serviceaccount:default:default"},
    ],
)
def test_nobody_else_claims_room_or_creates_a_pod_that_does(api: Api, who: dict[str, str]) -> None:
    spec = make_spec("claims", scheduler=SCHEDULER, annotations=CLAIM)

    created = api.request("POST", f"{PODS}?dryRun=All", spec, accepted=(403, 422), headers=who)

    assert write(api, "waits", who=who, annotations=CLAIM) != ""
    assert created.get("kind") == "Status"


def test_it_creates_no_pod(api: Api) -> None:
    spec = make_spec("made", scheduler=SCHEDULER)

    answer = api.request("POST", PODS, spec, accepted=(403,), headers=CONTROLLER)

    assert answer["code"] == 403


@pytest.mark.parametrize(
    ("verb", "path", "allowed"),
    [
        ("GET", "/api/v1/pods", True),
        ("GET", "/api/v1/nodes", True),
        ("GET", "/api/v1/namespaces/default/services", True),
        ("GET", "/apis/policy/v1/namespaces/default/poddisruptionbudgets", True),
        ("GET", "/api/v1/secrets", False),
        ("GET", "/apis/apps/v1/namespaces/default/replicasets", False),
        ("DELETE", f"{PODS}/high?dryRun=All", False),
    ],
)
def test_it_reads_what_it_needs_and_deletes_nothing(
    api: Api, verb: str, path: str, *, allowed: bool
) -> None:
    answer = api.request(verb, path, accepted=(403,), headers=CONTROLLER)

    assert (answer.get("code") != 403) is allowed


def test_it_evicts_a_pod_of_one_uid_by_the_eviction_api(api: Api) -> None:
    uid = api.request("GET", f"{PODS}/high")["metadata"]["uid"]

    def evict(uid: str) -> int:
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": "high", "namespace": "default"},
            "deleteOptions": {"preconditions": {"uid": uid}, "dryRun": ["All"]},
        }
        path = f"{PODS}/high/eviction"
        answer = api.request("POST", path, body, accepted=(409,), headers=CONTROLLER)
        return int(answer.get("code", 201))

    assert evict("11111111-1111-4111-8111-111111111111") == 409
    assert evict(uid) == 201
    assert api.request("GET", f"{PODS}/high")["metadata"].get("deletionTimestamp") is None

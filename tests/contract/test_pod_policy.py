"""What the shipped policies let pods claim, asked of a real API server that has nothing else."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from localcluster.images.binaries import Binaries
from localcluster.plane.control_plane import ControlPlane
from tests.fakes.extender.process import ROOT, SCHEDULER
from tests.fakes.registered_nodes import MERGE, PODS, Api, make_spec, prepare, wait_until_heeded

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

KINDS = {
    "ValidatingAdmissionPolicy": "validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": "validatingadmissionpolicybindings",
}
WISH = {"k40s.io/enforcement": "deadline"}
DEMANDS = {"k40s.io/criticality": "HI", "k40s.io/tasks": "[]", **WISH}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, binaries: Binaries) -> Iterator[Api]:
    place = tmp_path_factory.mktemp("policies")
    with ControlPlane.on_loopback(directory=place, binaries=binaries) as plane:
        administrator = Api(plane)
        prepare(administrator)
        apply(administrator, ROOT / "manifests" / "base" / "admission-pods.yaml")
        administrator.request("POST", "/api/v1/nodes", {"metadata": {"name": "n1"}})
        administrator.request(
            "POST", PODS, make_spec("bound", scheduler=SCHEDULER, annotations=DEMANDS)
        )
        target = {"metadata": {"name": "bound"}, "target": {"kind": "Node", "name": "n1"}}
        administrator.request("POST", f"{PODS}/bound/binding", target)
        yield administrator
        administrator.close()


def apply(api: Api, manifest: Path) -> None:
    """Create the policies, and wait until the API server heeds them."""
    for document in yaml.safe_load_all(manifest.read_text()):
        path = f"/apis/admissionregistration.k8s.io/v1/{KINDS[document['kind']]}"
        api.request("POST", path, document)
    wait_until_heeded(api)


def attempt(api: Api, spec: dict[str, Any]) -> str:
    """Return "" when the API server would create the pod, else what it says."""
    return said(api, "POST", f"{PODS}?dryRun=All", spec, "application/json")


def change(api: Api, key: str, value: str | None) -> str:
    body = {"metadata": {"annotations": {key: value}}}
    return said(api, "PATCH", f"{PODS}/bound?dryRun=All", body, MERGE)


def said(api: Api, method: str, path: str, body: object, kind: str) -> str:
    answer = api.request(method, path, body, kind=kind, accepted=(403, 422))
    return str(answer["message"]) if answer.get("kind") == "Status" else ""


def test_a_pod_that_asks_for_enforcement_alone_goes_to_no_other_scheduler(api: Api) -> None:
    spec = make_spec("wish", scheduler="default-scheduler", annotations=WISH)

    assert "needs schedulerName: k40s-scheduler" in attempt(api, spec)


def test_a_pod_that_requires_a_network_goes_to_no_other_scheduler(api: Api) -> None:
    needs = {"k40s.io/network": '[{"network": "lan", "peer": "n1", "delay": "5ms"}]'}
    spec = make_spec("needy", scheduler="default-scheduler", annotations=needs)

    assert "needs schedulerName: k40s-scheduler" in attempt(api, spec)


def test_a_pod_that_asks_for_enforcement_does_not_choose_its_node(api: Api) -> None:
    spec = make_spec("wish", scheduler=SCHEDULER, annotations=WISH)
    spec["spec"]["nodeName"] = "n1"

    assert "must not name its node" in attempt(api, spec)


def test_our_own_scheduler_gets_every_demand_to_judge(api: Api) -> None:
    for annotations in (WISH, DEMANDS, {}):
        assert attempt(api, make_spec("x", scheduler=SCHEDULER, annotations=annotations)) == ""
    assert attempt(api, make_spec("x", scheduler="default-scheduler")) == ""


@pytest.mark.parametrize("value", ["rt-cgroup", None])
@pytest.mark.parametrize("key", list(DEMANDS))
def test_what_was_asked_for_does_not_change_once_the_pod_is_bound(
    api: Api, key: str, value: str | None
) -> None:
    assert "do not change once the pod is bound" in change(api, key, value)


def test_other_annotations_of_a_bound_pod_may_change(api: Api) -> None:
    assert change(api, "example.org/note", "x") == ""


@pytest.mark.parametrize("key", ["status.k40s.io/cpu", "status.k40s.io/network"])
def test_nobody_but_the_extender_says_what_was_granted(api: Api, key: str) -> None:
    assert "only the k40s extender writes them" in change(api, key, "{}")


@pytest.mark.parametrize("part", ["labels", "annotations"])
@pytest.mark.parametrize("key", ["k40s.io/criticality", "k40s.io/whatever-comes"])
def test_nothing_of_ours_changes_on_a_bound_pod_as_a_label_or_as_an_annotation(
    api: Api, part: str, key: str
) -> None:
    body = {"metadata": {part: {key: "LOW"}}}

    said_of_it = said(api, "PATCH", f"{PODS}/bound?dryRun=All", body, MERGE)

    assert "do not change once the pod is bound" in said_of_it


@pytest.mark.parametrize("part", ["labels", "annotations"])
def test_a_binding_brings_no_demands_in_past_the_policy_for_pods(api: Api, part: str) -> None:
    bring(api, "unbound")
    target = {"kind": "Node", "name": "n1"}
    meta = {"name": "unbound", part: {"k40s.io/criticality": "HI"}}

    path = f"{PODS}/unbound/binding?dryRun=All"
    answer = said(api, "POST", path, {"metadata": meta, "target": target}, "application/json")

    assert "only the k40s extender binds" in answer


def bring(api: Api, name: str) -> dict[str, Any]:
    """A pod that waits for a node."""
    spec = make_spec(name, scheduler=SCHEDULER, annotations=DEMANDS)
    api.request("POST", PODS, spec, accepted=(409,))
    return api.request("GET", f"{PODS}/{name}")["metadata"]


def try_to_bind(api: Api, **preconditions: str) -> int:
    meta = {"name": "versioned", **preconditions}
    body = {"metadata": meta, "target": {"kind": "Node", "name": "n1"}}
    answer = api.request("POST", f"{PODS}/versioned/binding", body, accepted=(409,))
    return int(answer.get("code", 201))


def test_a_binding_is_created_for_one_version_of_one_pod(api: Api) -> None:
    first = bring(api, "versioned")
    uid, version = first["uid"], first["resourceVersion"]
    patch = {"metadata": {"annotations": {"k40s.io/criticality": "LOW"}}}
    second = api.request("PATCH", f"{PODS}/versioned", patch, kind=MERGE)["metadata"]

    old = try_to_bind(api, uid=uid, resourceVersion=version)
    other = try_to_bind(
        api,
        uid="11111111-1111-4111-8111-111111111111",
        resourceVersion=second["resourceVersion"],
    )
    now = try_to_bind(api, uid=uid, resourceVersion=second["resourceVersion"])
    again = try_to_bind(api, uid=uid, resourceVersion=second["resourceVersion"])

    assert (old, other, now, again) == (409, 409, 201, 409)


@pytest.mark.parametrize("part", ["ephemeralcontainers", "resize", "status"])
def test_no_other_way_to_write_a_pod_changes_what_it_asks_for(api: Api, part: str) -> None:
    body = {"metadata": {"annotations": {"k40s.io/criticality": "LOW"}}}
    path = f"{PODS}/bound/{part}"

    api.request("PATCH", path, body, kind=MERGE, accepted=(403, 422))

    found = api.request("GET", f"{PODS}/bound")["metadata"]["annotations"]
    assert found["k40s.io/criticality"] == "HI"

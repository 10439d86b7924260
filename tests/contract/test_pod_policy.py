"""What the shipped policies let pods claim, asked of a real API server that has nothing else."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from localcluster.binaries import Binaries
from localcluster.control_plane import ControlPlane
from tests.fakes.extender_process import ROOT, SCHEDULER
from tests.fakes.registered_nodes import MERGE, PODS, Api, make_spec, prepare, wait_until

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
    early = make_spec("early", scheduler="default-scheduler", annotations=DEMANDS)
    wait_until(lambda: attempt(api, early))


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


def test_nobody_but_the_extender_says_what_was_granted(api: Api) -> None:
    assert "only the k40s extender writes them" in change(api, "status.k40s.io/cpu", "{}")

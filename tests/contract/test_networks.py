"""What a real API server takes as a Network, and who may write which part of its status."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from k40s.kube.connect import connect
from k40s.kube.gateway import KubeGateway
from k40s.kube.objects.networks import reservations_patch
from k40s.kube.transport import ConflictError
from k40s.ledger.entry import Owner
from k40s.network.fit import find_reservation
from k40s.network.model import NetworkReservation, SlotRequirement
from k40s.tdma.model import SlotRequest
from k40s.units import NS_PER_MS, Nanoseconds
from localcluster.images.binaries import Binaries
from localcluster.plane.control_plane import ControlPlane
from tests.fakes.extender.process import ROOT
from tests.fakes.kube.networks import LAN, TDMA, network_object
from tests.fakes.registered_nodes import MERGE, NAMESPACE, Api, prepare, wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

BASE = ROOT / "manifests" / "base"
NETWORKS = "/apis/k40s.io/v1alpha1/networks"
PATHS = {
    "CustomResourceDefinition": "apiextensions.k8s.io/v1/customresourcedefinitions",
    "ClusterRole": "rbac.authorization.k8s.io/v1/clusterroles",
    "ClusterRoleBinding": "rbac.authorization.k8s.io/v1/clusterrolebindings",
    "ValidatingAdmissionPolicy": "admissionregistration.k8s.io/v1/validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": (
        "admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
    ),
}
REQUEST = SlotRequest(period=Nanoseconds(4 * NS_PER_MS), payload=256)


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory, binaries: Binaries) -> Iterator[ControlPlane]:
    place = tmp_path_factory.mktemp("networks")
    with ControlPlane.on_loopback(directory=place, binaries=binaries) as plane:
        yield plane


@pytest.fixture(scope="module")
def api(plane: ControlPlane) -> Iterator[Api]:
    administrator = Api(plane)
    prepare(administrator)
    for name in ("networks.yaml", "rbac.yaml", "admission-networks.yaml"):
        for document in yaml.safe_load_all((BASE / name).read_text()):
            if document["kind"] in PATHS:
                path = f"/apis/{PATHS[document['kind']]}"
                administrator.request("POST", path, document, accepted=(409,))
    wait_until(lambda: attempt(administrator, TDMA) == "")
    create(administrator, "probe", TDMA)
    wait_until(lambda: "only the k40s" in write(administrator, "", "probe", {"utilization": "x"}))
    yield administrator
    administrator.close()


@pytest.fixture(scope="module")
def gateway(plane: ControlPlane, api: Api) -> KubeGateway:
    """The administrator's."""
    del api
    return connect(kubeconfig=str(plane.kubeconfig))


def attempt(api: Api, spec: object) -> str:
    """Return "" when the API server would take it, else what it says."""
    body = network_object("x", spec)
    body["metadata"] = {"name": "x"}
    answer = api.request("POST", f"{NETWORKS}?dryRun=All", body, accepted=(400, 403, 404, 422, 500))
    return str(answer["message"]) if answer.get("kind") == "Status" else ""


def create(api: Api, name: str, spec: object) -> None:
    body = network_object(name, spec)
    body["metadata"] = {"name": name}
    api.request("POST", NETWORKS, body, accepted=(409,))


def write(api: Api, account: str, name: str, status: object) -> str:
    """The same of a write of its status, by an account of ours or the administrator."""
    headers = (
        {"Impersonate-User": f"system:serviceaccount:{NAMESPACE}:{account}"} if account else {}
    )
    answer = api.request(
        "PATCH",
        f"{NETWORKS}/{name}/status?dryRun=All",
        {"status": status},
        kind=MERGE,
        accepted=(403, 422),
        headers=headers,
    )
    return str(answer["message"]) if answer.get("kind") == "Status" else ""


def changed(spec: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """A copy in which the field at ``a.0.b`` has another value, or none."""
    copy: Any = deepcopy(spec)
    *way, last = path.split(".")
    place = copy
    for step in way:
        place = place[int(step) if step.isdecimal() else step]
    if value is None:
        del place[last]
    elif isinstance(place, list):
        place.append(value)
    else:
        place[last] = value
    result: dict[str, Any] = copy
    return result


MATRIX = {
    "members": LAN["members"][:2],
    "delays": [
        {"from": "n1", "to": "n2", "delay": "1ms"},
        {"from": "n2", "to": "n1", "delay": "2ms"},
    ],
}
BACKUP = changed(TDMA, "tdma.backupMasters", [{"node": "n2", "offset": "300us"}])


@pytest.mark.parametrize("spec", [TDMA, LAN, MATRIX, BACKUP])
def test_a_good_network_is_stored(api: Api, spec: object) -> None:
    assert attempt(api, spec) == ""


@pytest.mark.parametrize(
    ("spec", "path", "value", "field"),
    [
        (TDMA, "members", None, "spec.members"),
        (TDMA, "members", [], "spec.members"),
        (TDMA, "members.+", {"node": "n1", "interface": "eth1"}, "spec.members[3]"),
        (TDMA, "members.0.interface", "eth1/0", "spec.members[0].interface"),
        (TDMA, "members.0.jitter", "-1us", "spec.members[0].jitter"),
        (TDMA, "tdma", None, "spec"),
        (TDMA, "links", LAN["links"], "spec"),
        (TDMA, "tdma.master", "n9", "spec.tdma.master"),
        (TDMA, "tdma.master", None, "spec.tdma.master"),
        (TDMA, "tdma.cycle", "0us", "spec.tdma.cycle"),
        (TDMA, "tdma.cycle", "-1ms", "spec.tdma.cycle"),
        (TDMA, "tdma.cycle", "1.0001ms", "spec.tdma.cycle"),
        (TDMA, "tdma.cycle", "1000", "spec.tdma.cycle"),
        (TDMA, "tdma.cycle", "11s", "spec.tdma.cycle"),
        (TDMA, "tdma.guard", "1ms", "spec.tdma.guard"),
        (TDMA, "tdma.syncLateness", "2ms", "spec.tdma.syncLateness"),
        (TDMA, "tdma.bitRate", "0Mbit", "spec.tdma.bitRate"),
        (TDMA, "tdma.bitRate", "100", "spec.tdma.bitRate"),
        (TDMA, "tdma.mtu", 59, "spec.tdma.mtu"),
        (TDMA, "tdma.mtu", 9000, "spec.tdma.mtu"),
        (BACKUP, "tdma.backupMasters.0.offset", "1ms", "spec.tdma.backupMasters"),
        (BACKUP, "tdma.backupMasters.0.offset", "0us", "spec.tdma.backupMasters"),
        (BACKUP, "tdma.backupMasters.0.node", "n1", "spec.tdma.backupMasters"),
        (BACKUP, "tdma.backupMasters.0.node", "n9", "spec.tdma.backupMasters"),
        (LAN, "links.0.delay", "-5us", "spec.links[0].delay"),
        (LAN, "links.0.delay", None, "spec.links[0].delay"),
        (LAN, "links.0.capacity", "0bit", "spec.links[0].capacity"),
        (LAN, "links.0.to", "n1", "spec.links[0]"),
        (LAN, "links.+", LAN["links"][0], "spec.links[3]"),
        (LAN, "links", [], "spec.links"),
        (MATRIX, "delays", MATRIX["delays"][:1], "spec.delays"),
        (MATRIX, "delays.0.delay", "fast", "spec.delays[0].delay"),
    ],
)
def test_a_bad_network_is_refused_with_its_field(
    api: Api, spec: dict[str, Any], path: str, value: object, field: str
) -> None:
    said = attempt(api, changed(spec, path, value))

    assert f"{field}: " in said


def reservation(gateway: KubeGateway, name: str, uid: str) -> NetworkReservation:
    record = gateway.get_network(name)
    assert record is not None
    need = SlotRequirement(network=name, request=REQUEST)
    owner = Owner(uid=uid, namespace="default", name=uid)
    found = find_reservation(record.state, "n2", owner, [need], places=lambda peer: peer)
    assert isinstance(found, NetworkReservation)
    return replace(found, attempt="a", until=datetime(2026, 3, 1, 12, 0, 0, 5, UTC))


def reserve(api: Api, gateway: KubeGateway, name: str, uid: str) -> str:
    """As the extender does it; the version before is returned."""
    record = gateway.get_network(name)
    assert record is not None
    held = (*record.state.reservations, reservation(gateway, name, uid))
    version = record.state.resource_version
    body = reservations_patch(held, version=version)
    as_extender(api, name, body)
    return version


def as_extender(api: Api, name: str, body: object) -> dict[str, Any]:
    user = f"system:serviceaccount:{NAMESPACE}:k40s-extender"
    return api.request(
        "PATCH",
        f"{NETWORKS}/{name}/status",
        body,
        kind=MERGE,
        accepted=(409,),
        headers={"Impersonate-User": user},
    )


def test_reservations_are_read_back_as_they_were_written(api: Api, gateway: KubeGateway) -> None:
    create(api, "written", TDMA)
    wanted = reservation(gateway, "written", "u1")

    reserve(api, gateway, "written", "u1")

    record = gateway.get_network("written")
    assert record is not None
    assert record.state.fault is None
    assert record.state.reservations == (wanted,)


def test_a_write_at_an_old_version_is_a_conflict(api: Api, gateway: KubeGateway) -> None:
    create(api, "raced", TDMA)
    version = reserve(api, gateway, "raced", "u1")
    body = reservations_patch([], version=version)

    answer = as_extender(api, "raced", body)

    assert answer["code"] == 409
    with pytest.raises(ConflictError):
        gateway.update_network_reservations("raced", [], version=version)


def test_a_cycle_does_not_change_while_slots_of_it_are_held(api: Api, gateway: KubeGateway) -> None:
    create(api, "held", TDMA)
    path = f"{NETWORKS}/held?dryRun=All"
    cycle, master = {"cycle": "2ms"}, {"master": "n2"}

    before = api.request("PATCH", path, {"spec": {"tdma": cycle}}, kind=MERGE)
    reserve(api, gateway, "held", "u1")
    after = api.request("PATCH", path, {"spec": {"tdma": cycle}}, kind=MERGE, accepted=(422,))
    other = api.request("PATCH", path, {"spec": {"tdma": master}}, kind=MERGE)

    assert before["kind"] == other["kind"] == "Network"
    assert "spec.tdma: " in after["message"]


def test_a_network_is_not_deleted_while_pods_hold_a_part_of_it(
    api: Api, gateway: KubeGateway
) -> None:
    create(api, "in-use", TDMA)
    path = f"{NETWORKS}/in-use"
    reserve(api, gateway, "in-use", "u1")

    wait_until(lambda: "pods hold slots" in delete(api, f"{path}?dryRun=All"))
    record = gateway.get_network("in-use")
    assert record is not None
    as_extender(api, "in-use", reservations_patch([], version=record.state.resource_version))

    assert delete(api, path) == ""
    assert gateway.get_network("in-use") is None


def delete(api: Api, path: str) -> str:
    """Why it is refused, if it is."""
    answer = api.request("DELETE", path, accepted=(403, 422))
    return str(answer.get("message", ""))


CONDITION = {"type": "Valid", "status": "True", "reason": "Declared", "message": "x"}


@pytest.mark.parametrize(
    ("account", "status", "said"),
    [
        ("k40s-extender", {"slots": 1}, ""),
        ("k40s-extender", {"conditions": [CONDITION]}, "only the k40s controller writes"),
        ("k40s-controller", {"slots": 1, "conditions": [CONDITION], "utilization": "1%"}, ""),
        ("", {"slots": 1}, "only the k40s extender and the k40s controller write"),
        ("", {"conditions": [CONDITION]}, "only the k40s controller writes"),
        ("", {"measuredDelays": [{"from": "n1", "to": "n2", "delay": "1ms"}]}, ""),
        ("k40s-scarmiglione", {"slots": 1}, "forbidden"),
    ],
)
def test_each_writes_its_own_part_of_the_status(
    api: Api, account: str, status: object, said: str
) -> None:
    answer = write(api, account, "probe", status)

    assert said in answer
    assert bool(said) == bool(answer)


def test_the_list_of_kubectl_shows_what_the_controller_says(api: Api, plane: ControlPlane) -> None:
    create(api, "shown", TDMA)
    body = {
        "status": {
            "type": "TDMA",
            "members": 3,
            "slots": 2,
            "utilization": "12%",
            "conditions": [{"type": "Valid", "status": "True"}],
        }
    }
    user = f"system:serviceaccount:{NAMESPACE}:k40s-controller"
    api.request(
        "PATCH",
        f"{NETWORKS}/shown/status",
        body,
        kind=MERGE,
        headers={"Impersonate-User": user},
    )

    shown = plane.kubectl("get", "knet", "shown").splitlines()

    assert shown[0].split() == [
        *("NAME", "TYPE", "MEMBERS", "UTILIZATION", "SLOTS", "VALID", "HEALTHY", "AGE")
    ]
    assert shown[1].split()[:6] == ["shown", "TDMA", "3", "12%", "2", "True"]


def test_the_gateway_lists_networks(api: Api, gateway: KubeGateway) -> None:
    create(api, "listed", LAN)

    listing = gateway.networks().list()

    assert "listed" in {record.name for record in listing.records}
    assert listing.unreadable == ()


def test_the_shipped_definition_is_one_that_kubectl_applies(plane: ControlPlane) -> None:
    file = Path(BASE / "networks.yaml")

    said = plane.kubectl("apply", "--filename", str(file), "--dry-run=server")

    assert "networks.k40s.io" in said

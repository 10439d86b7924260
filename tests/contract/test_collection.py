"""Collection against a real API server: what it takes, and what kubectl shows of it."""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry

from controller.cluster.nodes import Heard
from controller.collection.stage import CollectionStage
from controller.metrics import ControllerMetrics
from k40s.kube.connect import connect
from k40s.kube.gateway import KubeGateway
from k40s.kube.objects.managed_pods import managed_pod_record
from k40s.kube.transport import ConflictError
from k40s.kube.watching.informer import Informer
from k40s.kube.watching.sources import ApiSource
from k40s.ledger.entry import Owner
from k40s.network.fit import find_reservation
from k40s.network.model import NetworkReservation, SlotRequirement
from k40s.tdma.model import SlotRequest
from k40s.units import NS_PER_MS, Nanoseconds
from localcluster.images.binaries import Binaries
from localcluster.plane.control_plane import ControlPlane
from tests.fakes.extender.process import ROOT
from tests.fakes.kube.networks import TDMA, network_object
from tests.fakes.registered_nodes import Api, make_spec, prepare, register_nodes, wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

NETWORKS = "/apis/k40s.io/v1alpha1/networks"
PODS = "/api/v1/namespaces/default/pods"
NODES = ("n1", "n2", "n3")


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory, binaries: Binaries) -> Iterator[ControlPlane]:
    place = tmp_path_factory.mktemp("collection")
    with ControlPlane.on_loopback(directory=place, binaries=binaries) as plane:
        definition = ROOT / "manifests" / "base" / "networks.yaml"
        plane.kubectl("apply", "--filename", str(definition))
        wait_until(lambda: "networks" in plane.kubectl("api-resources", "--api-group=k40s.io"))
        yield plane


@pytest.fixture(scope="module")
def api(plane: ControlPlane) -> Iterator[Api]:
    administrator = Api(plane)
    prepare(administrator)
    register_nodes(administrator, NODES)
    yield administrator
    administrator.close()


@dataclass
class Leader:
    """It leads."""

    leading: bool = True


@dataclass
class Running:
    """A collection stage with its informers, and a loop that looks ten times a second."""

    gateway: KubeGateway
    stop: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        registry = CollectorRegistry()

        def wall() -> datetime:
            return datetime.now(UTC)

        heard = Heard(clock=time.monotonic_ns, wall=wall)
        self.stage = CollectionStage(
            api=self.gateway.api,
            live=self.gateway,
            heard=heard,
            leadership=Leader(),
            registry=registry,
            metrics=ControllerMetrics(registry),
            stop=self.stop,
            clock=time.monotonic_ns,
            wall=wall,
        )
        source = ApiSource(self.gateway.api, "/api/v1/pods", "", managed_pod_record)
        pods = Informer(name="pods", source=source, handler=self.stage.pods, stop=self.stop)
        nodes = Informer(
            name="nodes",
            source=self.gateway.nodes(),
            handler=self.stage.stations,
            stop=self.stop,
        )
        for informer in (pods, nodes, self.stage.informer):
            informer.start()
            assert informer.synchronized.wait(60)
        self.thread = threading.Thread(target=self._look)
        self.thread.start()

    def _look(self) -> None:
        while not self.stop.wait(0.1):
            self.stage.tick()

    def end(self) -> None:
        self.stop.set()
        self.thread.join(60)


@pytest.fixture(scope="module")
def gateway(plane: ControlPlane) -> KubeGateway:
    """The administrator's."""
    return connect(kubeconfig=str(plane.kubeconfig))


@pytest.fixture(scope="module")
def running(api: Api, gateway: KubeGateway) -> Iterator[Running]:
    del api
    running = Running(gateway)
    running.start()
    yield running
    running.end()


def create_network(api: Api, name: str) -> None:
    body = network_object(name, TDMA)
    body["metadata"] = {"name": name}
    api.request("POST", NETWORKS, body)


def create_pod(api: Api, name: str, node: str = "") -> str:
    made = api.request("POST", PODS, make_spec(name, scheduler="nobody"))
    if node:
        bind(api, name, node)
    return str(made["metadata"]["uid"])


def bind(api: Api, name: str, node: str) -> None:
    body = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": name},
        "target": {"kind": "Node", "name": node},
    }
    api.request("POST", f"{PODS}/{name}/binding", body)


def delete_pod(api: Api, name: str) -> None:
    api.request("DELETE", f"{PODS}/{name}?gracePeriodSeconds=0")


def reserve(gateway: KubeGateway, network: str, uid: str, name: str, node: str) -> bool:
    """As the extender does it, until there is no conflict; False when there is no room."""
    need = SlotRequirement(
        network=network, request=SlotRequest(period=Nanoseconds(4 * NS_PER_MS), payload=256)
    )
    owner = Owner(uid=uid, namespace="default", name=name)
    while True:
        record = gateway.get_network(network)
        assert record is not None
        found = find_reservation(record.state, node, owner, [need], places=lambda peer: peer)
        if not isinstance(found, NetworkReservation):
            return False
        until = datetime.now(UTC) + timedelta(seconds=30)
        held = (*record.state.reservations, _with_time(found, until))
        try:
            gateway.update_network_reservations(
                network, held, version=record.state.resource_version
            )
        except ConflictError:
            continue
        return True


def _with_time(found: NetworkReservation, until: datetime) -> NetworkReservation:
    return NetworkReservation(
        owner=found.owner,
        node=found.node,
        slots=found.slots,
        attempt="a",
        until=until.replace(microsecond=0),
    )


def held(gateway: KubeGateway, network: str) -> dict[str, NetworkReservation]:
    record = gateway.get_network(network)
    assert record is not None
    assert record.state.fault is None
    return {one.owner.name: one for one in record.state.reservations}


def test_reservations_follow_their_pods_and_kubectl_says_so(
    api: Api, gateway: KubeGateway, plane: ControlPlane, running: Running
) -> None:
    del running
    create_network(api, "followed")
    for name, node in (("kept", "n1"), ("deleted", "n2")):
        assert reserve(gateway, "followed", create_pod(api, name), name, node)
        bind(api, name, node)

    wait_until(lambda: [one.until for one in held(gateway, "followed").values()] == [None] * 2)

    def described() -> str:
        return plane.kubectl("describe", "network", "followed")

    wait_until(lambda: "default/deleted on n2" in described())
    delete_pod(api, "deleted")
    wait_until(lambda: set(held(gateway, "followed")) == {"kept"})
    wait_until(lambda: "default/deleted" not in described())
    text = described()
    item = json.loads(plane.kubectl("get", "network", "followed", "-o", "json"))

    assert "default/kept on n1" in text
    assert "in every cycle" in text
    conditions = {one["type"]: one["status"] for one in item["status"]["conditions"]}
    assert conditions == {"Valid": "True", "Healthy": "Unknown"}
    assert (item["status"]["type"], item["status"]["slots"]) == ("TDMA", 1)


def test_many_writers_and_the_collector_lose_and_keep_nothing(
    api: Api, gateway: KubeGateway, plane: ControlPlane, running: Running
) -> None:
    del running
    create_network(api, "stormy")

    def write(number: int) -> None:
        own = connect(kubeconfig=str(plane.kubeconfig))
        for turn in range(6):
            name, node = f"storm-{number}-{turn}", NODES[turn % len(NODES)]
            uid = create_pod(api, name)
            assert reserve(own, "stormy", uid, name, node)
            bind(api, name, node)
            if turn % 2:
                delete_pod(api, name)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(300)

    stay = {f"storm-{number}-{turn}" for number in range(4) for turn in (0, 2, 4)}
    wait_until(lambda: set(held(gateway, "stormy")) == stay)
    wait_until(lambda: all(one.until is None for one in held(gateway, "stormy").values()))
    for name in stay:
        delete_pod(api, name)
    wait_until(lambda: not held(gateway, "stormy"))

"""Real processes killed with -9 at a real API server: nothing double, nothing leaked.

Extender, two network daemons (back end ``none``) and controller. No kubelet stands behind the pods.
"""

import itertools
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import urllib3

from k40s.annotations import NETWORK_KEY, PLACEMENT_CHANGED_KEY
from k40s.http.client import HttpClient
from k40s.http.tls import TlsFiles
from k40s.network.model import NetworkReservation, NetworkState
from k40s.network.objects import parse_network
from k40s.network.usage import windows_of
from k40s.tdma.conflict import check_table
from k40s.tdma.model import SlotTable
from k40s.units import NS_PER_S, Nanoseconds
from localcluster.host.ports import free_ports
from localcluster.images.binaries import Binaries
from localcluster.plane.control_plane import ControlPlane
from tests.fakes.extender.process import (
    ROOT,
    RunningExtender,
    is_ready,
    issue_certificates,
    scheduler_calls,
    scheduler_configuration,
    start_extender,
)
from tests.fakes.registered_nodes import (
    MERGE,
    NETWORKS,
    PODS,
    TENANTS,
    Api,
    make_spec,
    prepare,
    register_nodes,
    wait_until,
)

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

NODES = ("n1", "n2")
NAME = "plant"
SPEC = {
    "members": [{"node": node, "interface": "eth1"} for node in NODES],
    "tdma": {"cycle": "1ms", "guard": "10us", "bitRate": "100Mbit", "master": "n1"},
}
NEED = json.dumps([{"network": NAME, "slot": {"payload": "256B", "period": "4ms"}}])
LONG = {"K40S_STATION_TIMEOUT": "30s"}
"""A bind then waits for a station that stands still, and is killed meanwhile."""
MOMENTS_MS = (0, 4, 12, 40)
"""After a bind was sent, when the station is killed."""


@dataclass
class Plant:
    """The control plane, and the processes by name."""

    plane: ControlPlane
    api: Api
    certificates: Mapping[str, TlsFiles]
    place: Path
    ports: dict[str, tuple[int, int]] = field(default_factory=dict)
    controllers: int = 0

    def start_extender(self) -> RunningExtender:
        return start_extender(self.plane, self.certificates, settings=LONG)

    def _start(self, name: str, module: str, probes: int, settings: Mapping[str, str]) -> None:
        environment = {
            **{key: text for key, text in os.environ.items() if not key.startswith("K40S_")},
            "PYTHONPATH": str(ROOT),
            "K40S_KUBECONFIG": str(self.plane.kubeconfig),
            "K40S_PROBE_PORT": str(probes),
            **settings,
        }
        self.plane.supervisor.start(name, [sys.executable, "-m", module], environment=environment)
        ready = f"http://127.0.0.1:{probes}"
        self.plane.supervisor.wait_ready(name, lambda: is_ready(ready), timeout=120)

    def start_station(self, node: str) -> None:
        if node not in self.ports:
            port, probes = free_ports(2)
            self.ports[node] = port, probes
        port, probes = self.ports[node]
        settings = {
            "K40S_NODE_NAME": node,
            "K40S_POD_IP": "127.0.0.1",
            "K40S_LISTEN_HOST": "127.0.0.1",
            "K40S_PORT": str(port),
            "K40S_NETWORK_BACK_END": "none",
            "K40S_TDMA_LAST_SLOT": "63",
            "K40S_STORE": str(self.place / f"book-{node}"),
            "K40S_TLS_DIRECTORY": str(self.certificates["k40s-scarmiglione-tls"].cert.parent),
        }
        self._start(f"station-{node}", "daemons.scarmiglione", probes, settings)

    def start_controller(self) -> str:
        self.controllers += 1
        name = f"controller-{self.controllers}"
        (probes,) = free_ports(1)
        tls = self.certificates["k40s-controller-client-tls"].cert.parent
        settings = {
            "K40S_HOST": "127.0.0.1",
            "K40S_IDENTITY": name,
            "K40S_LEADER_LEASE": "3s",
            "K40S_CLIENT_TLS_DIRECTORY": str(tls),
        }
        self._start(name, "controller", probes, settings)
        return name

    def signal(self, name: str, number: int) -> None:
        """To all processes of it, as to a container: each has a session of its own."""
        pid = self.plane.supervisor.pid(name)
        assert pid is not None
        os.killpg(pid, number)

    def kill(self, name: str) -> None:
        self.signal(name, signal.SIGKILL)
        self.plane.supervisor.stop(name)

    def create(self, name: str) -> dict[str, str]:
        spec = make_spec(name, scheduler="k40s-scheduler", annotations={NETWORK_KEY: NEED})
        made = self.api.request("POST", PODS, spec)
        uid = str(made["metadata"]["uid"])
        return {"PodName": name, "PodNamespace": "default", "PodUID": uid}

    def delete(self, name: str) -> None:
        self.api.request("DELETE", f"{PODS}/{name}?gracePeriodSeconds=0")

    def node_of(self, name: str) -> str:
        return str(self.api.request("GET", f"{PODS}/{name}")["spec"].get("nodeName", ""))

    def why_unscheduled(self, name: str) -> str:
        """What kube-scheduler says of a pod that it could not place."""
        conditions = self.api.request("GET", f"{PODS}/{name}")["status"].get("conditions", [])
        return str(next((one.get("message") for one in conditions), ""))

    def announced(self) -> bool:
        """Whether the controller has told of changes of Networks."""
        nodes = [self.api.request("GET", f"/api/v1/nodes/{node}") for node in NODES]
        return any(PLACEMENT_CHANGED_KEY in one["metadata"].get("annotations", {}) for one in nodes)

    def bind(self, extender: RunningExtender, pod: Mapping[str, str], node: str) -> str:
        """What the extender answers; it may end before it does."""
        with scheduler_calls(self.certificates) as pool:
            try:
                answer = pool.request(
                    "POST", f"{extender.url}/bind", body=json.dumps({**pod, "Node": node})
                )
            except urllib3.exceptions.HTTPError as error:
                return repr(error)
        return str(json.loads(answer.data)["Error"])

    def bind_beside(
        self, extender: RunningExtender, pod: Mapping[str, str], node: str
    ) -> threading.Thread:
        thread = threading.Thread(target=self.bind, args=(extender, pod, node))
        thread.start()
        return thread

    def state(self) -> NetworkState:
        """The Network as it is; no two slots of it meet."""
        state = parse_network(self.api.request("GET", f"{NETWORKS}/{NAME}"))
        assert state.network.tdma is not None
        table = SlotTable(cycle=state.network.tdma.cycle, windows=windows_of(state.reservations))
        assert check_table(table) is None
        return state

    def entries(self, pod: Mapping[str, str]) -> list[NetworkReservation]:
        return [one for one in self.state().reservations if one.owner.uid == pod["PodUID"]]

    def at_station(self, node: str) -> list[dict[str, Any]]:
        client = HttpClient(
            tls=self.certificates["k40s-extender-client-tls"],
            server_name="scarmiglione",
            timeout=Nanoseconds(20 * NS_PER_S),
        )
        answer = client.request("GET", f"https://127.0.0.1:{self.ports[node][0]}/v1/state")[1]
        client.close()
        found: list[dict[str, Any]] = json.loads(answer)["pods"]
        return found

    def check_held_once(self, pod: Mapping[str, str], node: str) -> None:
        """Bound to the node, with one entry in the status and its slot at that station alone."""
        assert self.node_of(pod["PodName"]) == node
        (entry,) = self.entries(pod)
        assert entry.node == node
        found = [
            (at, slot["windows"])
            for at in NODES
            for one in self.at_station(at)
            if one["pod"]["uid"] == pod["PodUID"] and one["phase"] == "applied"
            for slot in one["slots"]
        ]
        assert [at for at, _windows in found] == [node]


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory, binaries: Binaries) -> Iterator[Plant]:
    place = tmp_path_factory.mktemp("network-kills")
    with ControlPlane.on_loopback(directory=_made(place / "plane"), binaries=binaries) as plane:
        api = Api(plane)
        prepare(api)
        register_nodes(api, NODES)
        api.request("POST", NETWORKS, {**_kind(), "metadata": {"name": NAME}, "spec": SPEC})
        certificates = issue_certificates(_made(place / "certificates"))
        plant = Plant(plane, api, certificates, place)
        for node in NODES:
            plant.start_station(node)
        yield plant
        api.close()


def _kind() -> dict[str, str]:
    return {"apiVersion": "k40s.io/v1alpha1", "kind": "Network"}


def _made(place: Path) -> Path:
    place.mkdir()
    return place


def test_a_pod_that_waits_is_tried_again_once_its_network_would_take_it(plant: Plant) -> None:
    def spec(delay: str) -> dict[str, Any]:
        ends = [{"from": node, "to": "switch", "delay": delay} for node in NODES]
        return {"members": SPEC["members"], "links": ends}

    api = plant.api
    api.request("POST", NETWORKS, {**_kind(), "metadata": {"name": "lan"}, "spec": spec("5ms")})
    extender, controller = plant.start_extender(), plant.start_controller()
    plant.plane.start_scheduler(scheduler_configuration(extender), name="k40s-scheduler")
    needs = json.dumps([{"network": "lan", "peer": node, "delay": "1ms"} for node in NODES])
    body = make_spec("waits", scheduler="k40s-scheduler", annotations={NETWORK_KEY: needs})
    api.request("POST", PODS, body)
    wait_until(lambda: "network.delay" in plant.why_unscheduled("waits"))
    wait_until(plant.announced)

    began = time.monotonic()
    api.request("PATCH", f"{NETWORKS}/lan", {"spec": spec("100us")}, kind=MERGE)
    wait_until(lambda: plant.node_of("waits"))

    print(f"bound {time.monotonic() - began:.1f} s after the change")  # noqa: T201  # for the report
    plant.delete("waits")
    try_a_tenant(plant)
    plant.plane.supervisor.stop("k40s-scheduler")
    plant.kill(controller)
    plant.kill("extender")


def try_a_tenant(plant: Plant) -> None:
    """A pod that waits for its Tenant is tried again too, once that allows it."""
    api, names = plant.api, (f"bounded-{number}" for number in itertools.count())
    spec = {"namespaces": ["default"], "criticalities": ["HI"]}
    kind = {"apiVersion": "k40s.io/v1alpha1", "kind": "Tenant"}
    api.request("POST", TENANTS, {**kind, "metadata": {"name": "line"}, "spec": spec})
    refused = ""

    def is_known() -> bool:
        """Whether the extender has heard of the Tenant: it has refused another pod."""
        nonlocal refused
        name = next(names)
        api.request("POST", PODS, make_spec(name, scheduler="k40s-scheduler"))
        wait_until(
            lambda: plant.node_of(name) or "tenant.criticality" in plant.why_unscheduled(name)
        )
        refused = name
        return not plant.node_of(name)

    wait_until(is_known)

    spec["criticalities"].append("NO")
    api.request("PATCH", f"{TENANTS}/line", {"spec": spec}, kind=MERGE)
    wait_until(lambda: plant.node_of(refused))
    api.request("DELETE", f"{TENANTS}/line")


def test_killed_at_any_step_they_give_no_slot_twice_and_leak_none(plant: Plant) -> None:
    extender = plant.start_extender()

    # The extender, between its entry and the Binding: the station stands still meanwhile.
    first = plant.create("first")
    wait_until(lambda: not plant.bind(extender, first, "n1"))
    second = plant.create("second")
    plant.signal("station-n1", signal.SIGSTOP)
    waiting = plant.bind_beside(extender, second, "n1")
    wait_until(lambda: plant.entries(second))
    plant.kill("extender")
    waiting.join()
    plant.signal("station-n1", signal.SIGCONT)
    assert plant.node_of("second") == ""
    extender = plant.start_extender()
    wait_until(lambda: not plant.bind(extender, second, "n1"))
    plant.check_held_once(first, "n1")
    plant.check_held_once(second, "n1")

    # The station, between the request and its answer, at several moments.
    pods = []
    for moment in MOMENTS_MS:
        pod = plant.create(f"at-{moment}")
        waiting = plant.bind_beside(extender, pod, "n2")
        threading.Event().wait(moment / 1000)
        plant.kill("station-n2")
        waiting.join()
        plant.start_station("n2")
        pods.append(pod)
    for pod in pods:
        wait_until(lambda pod=pod: not plant.bind(extender, pod, "n2"))  # type: ignore[misc]
    for pod in pods:
        wait_until(lambda: len(plant.at_station("n2")) == len(pods))
        plant.check_held_once(pod, "n2")

    # The controller, once it has given the first entry back.
    names = ["first", "second", *(pod["PodName"] for pod in pods)]
    name = plant.start_controller()
    wait_until(lambda: all(one.until is None for one in plant.state().reservations))
    plant.delete(names[0])
    wait_until(lambda: len(plant.state().reservations) < len(names))
    for one in names[1:]:
        plant.delete(one)
    plant.kill(name)
    plant.start_controller()
    wait_until(lambda: not plant.state().reservations)
    wait_until(lambda: not any(plant.at_station(node) for node in NODES))

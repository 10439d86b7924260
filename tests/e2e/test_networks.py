"""Slots of a TDMA network on a real cluster: granted, refused, given back, and kept by restarts.

The nodes are no stations of RTnet: slots are written down as on one (back end ``none``).
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from cli.demo import stage_of
from demo.pods import slot_pod
from demo.stage import Stage
from k40s.annotations import NETWORK_GRANT_KEY, NETWORK_STATE_KEY
from k40s.annotations.network import GrantedSlots, parse_network_grants
from k40s.annotations.network_state import parse_network_state
from k40s.network.model import NetworkReservation, NetworkState
from k40s.network.objects import parse_network
from k40s.network.usage import windows_of
from k40s.reasons import Reason
from k40s.tdma.conflict import check_table
from k40s.tdma.model import SlotTable
from localcluster.cluster import Cluster
from tests.e2e.patience import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(400)]

NAME = "e2e-plant"
PAYLOAD = 400
"""Two packets of it fit into a cycle of 1 ms at 10 Mbit/s, beside the Sync."""
PODS = ("slot-1", "slot-2", "slot-3")
READ_STATE = """\
import sys
from pathlib import Path
from k40s.http.client import HttpClient
from k40s.http.tls import TlsFiles
tls = TlsFiles.in_directory(Path("/etc/k40s/client-tls"))
client = HttpClient(base_url=sys.argv[1], tls=tls, server_name="scarmiglione", timeout=5 * 10**9)
print(client.request("GET", "/v1/state")[1].decode())
"""


@pytest.fixture
def plant(cluster: Cluster) -> Iterator[Stage]:
    """A TDMA network of both nodes, whose stations are healthy; nothing of it is left."""
    stage = stage_of(cluster)
    network = {
        "apiVersion": "k40s.io/v1alpha1",
        "kind": "Network",
        "metadata": {"name": NAME},
        "spec": {
            "members": [
                {"node": node.name, "interface": "rteth0"} for node in cluster.settings.nodes
            ],
            "tdma": {
                "cycle": "1ms",
                "guard": "10us",
                "bitRate": "10Mbit",
                "master": stage.real_time_node,
            },
        },
    }
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(network))
    wait_until(
        "the network is healthy",
        lambda: conditions(cluster) == {"Valid": "True", "Healthy": "True"},
        seconds=60,
    )
    yield stage
    stage.observer.delete(*PODS)
    wait_until(
        "nobody holds a part of the network",
        lambda: not status(cluster).get("reservations"),
        seconds=60,
    )
    cluster.kubectl("delete", "network", NAME, "--wait=true", timeout=60)


def status(cluster: Cluster) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(cluster.kubectl("get", "network", NAME, "-o", "json"))
    return dict(found.get("status", {}))


def conditions(cluster: Cluster) -> dict[str, str]:
    return {one["type"]: one["status"] for one in status(cluster).get("conditions", [])}


def state_of(cluster: Cluster) -> NetworkState:
    state = parse_network(json.loads(cluster.kubectl("get", "network", NAME, "-o", "json")))
    assert state.fault is None
    assert state.network.tdma is not None
    table = SlotTable(cycle=state.network.tdma.cycle, windows=windows_of(state.reservations))
    assert check_table(table) is None
    return state


def held(cluster: Cluster) -> dict[str, NetworkReservation]:
    return {one.owner.name: one for one in state_of(cluster).reservations}


def create(stage: Stage, name: str) -> None:
    stage.observer.create(slot_pod(name, network=NAME, payload=PAYLOAD, period="1ms"))


def read_back(cluster: Cluster, stage: Stage, node: str) -> dict[str, Any]:
    """The daemon's answer to ``GET /v1/state``, asked from the extender's pod."""
    published = parse_network_state(stage.observer.node_annotation(node, NETWORK_STATE_KEY))
    words = ("-n", "k40s-system", "exec", "deployment/k40s-extender", "-c", "extender", "--")
    answer = cluster.kubectl(*words, "python", "-c", READ_STATE, published.endpoint)
    found: dict[str, Any] = json.loads(answer)
    return found


def pods_at(cluster: Cluster, stage: Stage, node: str) -> dict[str, Any]:
    """What the station holds, by pod."""
    return {one["pod"]["name"]: one["slots"] for one in read_back(cluster, stage, node)["pods"]}


def test_a_pod_gets_a_slot_that_status_station_and_annotation_agree_on(
    cluster: Cluster, plant: Stage
) -> None:
    create(plant, "slot-1")
    plant.wait_running("slot-1", seconds=120)
    wait_until(
        "the reservation is confirmed",
        lambda: held(cluster)["slot-1"].until is None,
        seconds=30,
    )

    node = plant.observer.node_of("slot-1")
    entry = held(cluster)["slot-1"]
    (window,) = windows_of((entry,))
    text = plant.observer.pod("slot-1")["metadata"]["annotations"][NETWORK_GRANT_KEY]
    (grant,) = parse_network_grants(text)
    assert isinstance(grant, GrantedSlots)
    (granted,) = grant.slots
    (applied,) = pods_at(cluster, plant, node)["slot-1"]
    assert entry.node == node
    assert (granted.offset, granted.phasing - 1) == (window.offset, window.phase)
    assert (granted.every, granted.payload) == (window.every, PAYLOAD)
    assert applied["channel"] == grant.channel
    wait_until(
        "the table names the pod",
        lambda: any("default/slot-1" in line for line in status(cluster)["slotTable"]),
        seconds=30,
    )
    assert f"default/slot-1 on {node}" in cluster.kubectl("describe", "network", NAME)


def test_a_full_network_refuses_with_its_reason_until_a_slot_is_given_back(
    cluster: Cluster, plant: Stage
) -> None:
    for name in PODS[:2]:
        create(plant, name)
        plant.wait_running(name, seconds=120)
    create(plant, "slot-3")
    wait_until("it is refused", lambda: plant.observer.refusals("slot-3"), seconds=60)
    refusal = plant.observer.refusals("slot-3")
    node = plant.observer.node_of("slot-1")

    plant.observer.delete("slot-1")
    plant.wait_running("slot-3", seconds=120)

    assert Reason.NETWORK_NO_SLOT.value in refusal
    assert set(held(cluster)) == {"slot-2", "slot-3"}
    wait_until(
        "the station has taken the slot back",
        lambda: "slot-1" not in pods_at(cluster, plant, node),
        seconds=60,
    )
    plant.observer.delete("slot-2", "slot-3")
    wait_until("no slot is taken", lambda: not held(cluster), seconds=60)


def test_restarted_daemons_lose_nothing(cluster: Cluster, plant: Stage) -> None:
    create(plant, "slot-1")
    plant.wait_running("slot-1", seconds=120)
    node = plant.observer.node_of("slot-1")
    before, applied = held(cluster)["slot-1"], pods_at(cluster, plant, node)["slot-1"]

    words = ("-n", "k40s-system", "daemonset/scarmiglione")
    cluster.kubectl("rollout", "restart", *words)
    cluster.kubectl("rollout", "status", *words, "--timeout=120s", timeout=150)
    wait_until(
        "the network is healthy again",
        lambda: conditions(cluster)["Healthy"] == "True",
        seconds=60,
    )
    create(plant, "slot-2")
    plant.wait_running("slot-2", seconds=120)

    after = held(cluster)
    assert after["slot-1"].slots == before.slots
    assert after["slot-1"].node == before.node
    assert pods_at(cluster, plant, node)["slot-1"] == applied
    assert set(after) == {"slot-1", "slot-2"}

"""A HI pod gets the place of LOW ones, and nobody goes in vain: controller and extender together.

etcd, API server, kube-scheduler, extender, controller and the nodes' rubicantes are real and speak
mutual TLS; the kernel below rubicante is in memory, with one core. No kubelet and no controller
manager run: a pod without a grace period is gone as soon as it is evicted, others when the test
says so, and nothing comes back.
"""

import logging
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest

from k40s.annotations import CPU_STATE_KEY, PLATFORM_LABEL, PREEMPTION_KEY, parse_cpu_state
from k40s.http.tls import TlsFiles
from localcluster.host.ports import free_ports
from localcluster.images.binaries import Binaries
from localcluster.plane.control_plane import ControlPlane
from tests.fakes.controller.process import RunningController, kill, start_controller
from tests.fakes.extender.process import (
    RunningExtender,
    issue_certificates,
    scheduler_configuration,
    start_extender,
)
from tests.fakes.extender.world import PLATFORM
from tests.fakes.registered_nodes import (
    MERGE,
    PODS,
    Api,
    annotate_node,
    assured,
    create_pods,
    delete_pods,
    prepare,
    register_nodes,
    wait_until,
)
from tests.fakes.rubicante.plant import make_real_time_spec, start_rubicante

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]

log = logging.getLogger(__name__)

NODES = ("line-1", "line-2", "line-3")
RACES = int(os.environ.get("PREEMPTION_RACES", "3"))
CROWD = 20
"""So many reservations do not fit into what a node publishes."""
ONE_CORE = {"K40S_CPUS": "1", "K40S_HI_RESERVE": "none"}
BUDGETS = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
LIMITS = {
    "K40S_PREEMPTION_VICTIMS_PER_HOUR": "500",
    "K40S_PREEMPTION_NAMESPACE_VICTIMS_PER_HOUR": "500",
    "K40S_PREEMPTION_RETRY": "2s",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plant:
    """Everything that runs."""

    api: Api
    plane: ControlPlane
    certificates: Mapping[str, TlsFiles]
    ports: tuple[int, int]
    extender: RunningExtender
    controller: RunningController

    def start_extender(self) -> None:
        start_extender(self.plane, self.certificates, ports=self.ports)

    def pods(self) -> dict[str, dict[str, Any]]:
        items = self.api.request("GET", PODS)["items"]
        return {one["metadata"]["name"]: one for one in items}

    def node_of(self, name: str) -> str:
        found = self.pods().get(name, {"spec": {}})
        return str(found["spec"].get("nodeName", ""))

    def claims(self) -> list[str]:
        return [
            name
            for name, pod in self.pods().items()
            if PREEMPTION_KEY in pod["metadata"].get("annotations", {})
        ]

    def evictions(self) -> float:
        return self.controller.sample(
            'k40s_controller_preemption_evictions_total{outcome="evicted"}'
        )

    def waits_for(self, obstacle: str) -> bool:
        """Whether one pod preempts nobody for this reason."""
        sample = f'k40s_controller_preemption_waiting_pods{{obstacle="{obstacle}"}}'
        return self.controller.sample(sample) == 1

    def run_low(self, node: str, *, grace_s: int = 0) -> list[str]:
        """Fill a node with two LOW pods."""
        names = [f"low-{node}-{number}" for number in (1, 2)]
        specs = [make("LOW", name, "25ms", node=node, grace_s=grace_s) for name in names]
        self.run(specs)
        return names

    def run(self, specs: list[dict[str, Any]]) -> None:
        """Create pods for which there is room, and wait until they are bound.

        The room may have become free just now, and the scheduler may hear of it before the extender
        does: a change of the nodes has it try a pod again that was refused.
        """
        create_pods(self.api, specs)
        names = [spec["metadata"]["name"] for spec in specs]
        looks = count()

        def are_bound() -> bool:
            bound = all(self.node_of(name) for name in names)
            look = next(looks)
            if not bound and look % 10 == 9:  # about once a second
                for node in NODES:
                    annotate_node(self.api, node, {"test.k40s.io/look": str(look)})
            return bound

        wait_until(are_bound)

    def events(self, name: str) -> set[str]:
        items = self.api.request("GET", "/api/v1/namespaces/default/events")["items"]
        return {one["reason"] for one in items if one["involvedObject"]["name"] == name}


def make(
    criticality: str,
    name: str,
    wcet: str,
    *,
    node: str = "",
    grace_s: int = 0,
    period: str = "100ms",
) -> dict[str, Any]:
    spec = make_real_time_spec(name, criticality=criticality, wcet=wcet, period=period)
    spec["spec"]["terminationGracePeriodSeconds"] = grace_s
    spec["metadata"]["labels"] = {"app": name}
    if node:
        spec["spec"]["nodeSelector"] = {"kubernetes.io/hostname": node}
    return spec


@pytest.fixture(scope="module")
def whole_plant(tmp_path_factory: pytest.TempPathFactory, binaries: Binaries) -> Iterator[Plant]:
    directory = tmp_path_factory.mktemp("preemption")
    certificates = issue_certificates(directory / "certificates")
    with ControlPlane.on_loopback(directory=directory, binaries=binaries) as plane:
        api = Api(plane)
        prepare(api)
        register_nodes(api, NODES, annotations=lambda _name: assured(20))
        for name in NODES:
            body = {"metadata": {"labels": {PLATFORM_LABEL: PLATFORM}}}
            api.request("PATCH", f"/api/v1/nodes/{name}", body, kind=MERGE)
        port, probe_port = free_ports(2)
        extender = start_extender(plane, certificates, ports=(port, probe_port))
        for name in NODES:
            start_rubicante(plane, name, certificates, ONE_CORE)
            wait_until(lambda name=name: publishes(api, name))  # a chosen port is not yet taken
        plane.start_scheduler(scheduler_configuration(extender), name="k40s-scheduler")
        controller = start_controller(plane, certificates, extender, LIMITS)
        yield Plant(
            api=api,
            plane=plane,
            certificates=certificates,
            ports=(port, probe_port),
            extender=extender,
            controller=controller,
        )
        api.close()


def publishes(api: Api, node: str) -> bool:
    annotations = api.request("GET", f"/api/v1/nodes/{node}")["metadata"]["annotations"]
    return "node.k40s.io/cpu-state" in annotations


@pytest.fixture
def plant(whole_plant: Plant) -> Iterator[Plant]:
    """Without pods, before and after."""
    whole_plant.api.request("DELETE", BUDGETS)
    yield whole_plant
    delete_pods(whole_plant.api)
    wait_until(lambda: not whole_plant.pods())


def test_a_hi_pod_gets_a_core_from_two_low_pods(plant: Plant) -> None:
    before = plant.evictions()
    others = [f"peer-{node}" for node in NODES[1:]]
    plant.run([make("HI", f"peer-{node}", "80ms", node=node) for node in NODES[1:]])
    victims = plant.run_low("line-1")

    create_pods(plant.api, [make("HI", "high", "80ms")])
    wait_until(lambda: plant.node_of("high"))
    wait_until(lambda: not plant.claims())
    wait_until(lambda: "Preempts" in plant.events("high"))

    assert plant.node_of("high") == "line-1"
    assert plant.evictions() - before == 2
    assert not set(victims) & set(plant.pods())
    assert set(others) <= set(plant.pods())
    wait_until(lambda: "PreemptedByMoreCritical" in plant.events(victims[0]))


def test_a_hi_pod_gets_a_place_on_a_node_that_cannot_publish_all_it_holds(plant: Plant) -> None:
    before = plant.evictions()
    small = [
        make("LOW", f"small-{number}", "1ms", node="line-1", period="1s") for number in range(CROWD)
    ]
    plant.run(small)
    plant.run([make("LOW", "large", "60ms", node="line-1")])
    published = plant.api.request("GET", "/api/v1/nodes/line-1")["metadata"]["annotations"]

    create_pods(plant.api, [make("HI", "high", "60ms", node="line-1")])
    wait_until(lambda: plant.node_of("high"))
    wait_until(lambda: not plant.claims())

    assert not parse_cpu_state(published[CPU_STATE_KEY]).complete
    assert plant.evictions() - before == 1
    assert "large" not in plant.pods()
    assert {spec["metadata"]["name"] for spec in small} <= set(plant.pods())


def test_a_pod_that_fits_nowhere_even_so_has_nobody_evicted(plant: Plant) -> None:
    before = plant.evictions()
    low = [name for node in NODES for name in plant.run_low(node)]

    create_pods(plant.api, [make("HI", "huge", "95ms")])
    wait_until(lambda: plant.waits_for("no-plan"))

    pods = plant.pods()
    assert plant.evictions() == before
    assert all("deletionTimestamp" not in pods[name]["metadata"] for name in low)
    assert plant.claims() == []


def test_no_third_pod_gets_the_room_that_was_made(plant: Plant) -> None:
    """Logs for each race the seconds to the claim, and from it to the bind."""
    for number in range(RACES):
        plant.run_low("line-1")
        created = time.monotonic()
        create_pods(plant.api, [make("HI", "high", "60ms", node="line-1")])
        wait_until(lambda: plant.claims() == ["high"] or plant.node_of("high"))
        claimed = time.monotonic()
        racers = [
            make(criticality, f"{criticality.lower()}-racer-{place}", "60ms", node="line-1")
            for criticality in ("HI", "LOW")
            for place in range(2)
        ]
        create_pods(plant.api, racers)

        wait_until(lambda: plant.node_of("high"))
        bound = time.monotonic()
        log.info("race %d: %.2f s, %.2f s", number, claimed - created, bound - claimed)
        wait_until(lambda: not plant.claims())

        won = [name for name in plant.pods() if "racer" in name and plant.node_of(name)]
        assert (number, won) == (number, [])
        delete_pods(plant.api)
        wait_until(lambda: not plant.pods())


def test_a_budget_keeps_both_victims_until_it_goes(plant: Plant) -> None:
    before = plant.evictions()
    victims = plant.run_low("line-1")
    for name in victims:
        ready = {
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        }
        plant.api.request(
            "PATCH",
            f"{PODS}/{name}/status",
            ready,
            kind="application/strategic-merge-patch+json",
        )
    selector = {"matchExpressions": [{"key": "app", "operator": "In", "values": victims}]}
    budget = {"metadata": {"name": "one"}, "spec": {"maxUnavailable": 1, "selector": selector}}
    made = plant.api.request("POST", BUDGETS, budget)
    made["status"] = {
        "observedGeneration": made["metadata"]["generation"],
        "disruptionsAllowed": 1,
        "currentHealthy": 2,
        "desiredHealthy": 1,
        "expectedPods": 2,
    }
    plant.api.request("PUT", f"{BUDGETS}/one/status", made)

    create_pods(plant.api, [make("HI", "high", "60ms", node="line-1")])
    wait_until(lambda: plant.waits_for("disruption-budget"))
    kept = plant.evictions() - before
    plant.api.request("DELETE", f"{BUDGETS}/one")
    wait_until(lambda: plant.node_of("high"))

    assert kept == 0
    assert plant.evictions() - before == 2


@pytest.mark.parametrize("when", ["claimed", "evicted"])
def test_controller_and_extender_are_killed_in_between_and_the_next_ones_finish(
    plant: Plant, when: str
) -> None:
    victims = plant.run_low("line-1", grace_s=600)
    create_pods(plant.api, [make("HI", "high", "60ms", node="line-1")])
    wait_until(lambda: plant.claims() == ["high"])
    if when == "evicted":
        wait_until(lambda: all(is_ending(plant, name) for name in victims))

    plant.controller.kill()
    kill(plant.plane, "extender")
    plant.start_extender()
    plant.controller.start()
    wait_until(lambda: all(is_ending(plant, name) for name in victims))
    create_pods(plant.api, [make("HI", "racer", "60ms", node="line-1")])
    for name in victims:
        plant.api.request("DELETE", f"{PODS}/{name}", {"gracePeriodSeconds": 0})
    wait_until(lambda: plant.node_of("high"))
    wait_until(lambda: not plant.claims())

    assert plant.node_of("racer") == ""


def is_ending(plant: Plant, name: str) -> bool:
    return "deletionTimestamp" in plant.pods()[name]["metadata"]

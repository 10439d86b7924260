"""A schedulability test that a node operator installs, all the way from the scheduler to the book.

etcd, API server, kube-scheduler, extender and the nodes' rubicantes are real and speak mutual TLS;
the kernel below rubicante is in memory. The example of the documentation is installed for the
nodes' daemons alone, so the extender has to ask.
"""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from k40s.annotations import (
    ALLOCATION_KEY,
    CPU_STATE_KEY,
    CRITICALITY_KEY,
    PLATFORM_LABEL,
    REAL_TIME_LABEL,
    TASKS_KEY,
    parse_cpu_state,
)
from k40s.node_api import parse_allocation
from k40s.runtime.tls import TlsFiles
from localcluster.binaries import Binaries
from localcluster.control_plane import ControlPlane, free_ports
from tests.fakes.extender_process import (
    ROOT,
    SCHEDULER,
    RunningExtender,
    count,
    issue_certificates,
    scheduler_calls,
    scheduler_configuration,
    start_extender,
)
from tests.fakes.extender_world import PLATFORM, make_args, make_pod, make_task
from tests.fakes.installed_example import NAME, install_example
from tests.fakes.registered_nodes import (
    MERGE,
    PODS,
    Api,
    assured,
    create_pods,
    delete_pods,
    get_pod,
    make_spec,
    prepare,
    refusal_of,
    register_nodes,
    wait_until,
)

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

NODES = ("line-1", "line-2")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plant:
    """Everything that runs."""

    api: Api
    plane: ControlPlane
    extender: RunningExtender
    certificates: Mapping[str, TlsFiles]
    packages: Path

    def judged(self, how: str, extender: RunningExtender | None = None) -> int:
        probes = (extender or self.extender).probes
        return count(probes, f'k40s_extender_judged_nodes_total{{how="{how}"}}')

    def node(self, name: str) -> dict[str, Any]:
        metadata: dict[str, Any] = self.api.request("GET", f"/api/v1/nodes/{name}")["metadata"]
        return metadata

    def free(self) -> bool:
        """Whether no node holds a reservation any more."""
        return all(
            not parse_cpu_state(self.node(name)["annotations"][CPU_STATE_KEY]).node.reservations
            for name in NODES
        )


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory, binaries: Binaries) -> Iterator[Plant]:
    place, packages = tmp_path_factory.mktemp("plant"), tmp_path_factory.mktemp("packages")
    install_example(packages)
    certificates = issue_certificates(place / "certificates")
    with ControlPlane.on_loopback(directory=place, binaries=binaries) as plane:
        api = Api(plane)
        prepare(api)
        register_nodes(api, NODES, annotations=lambda _name: assured(20))
        for name in NODES:
            body = {"metadata": {"labels": {PLATFORM_LABEL: PLATFORM}}}
            api.request("PATCH", f"/api/v1/nodes/{name}", body, kind=MERGE)
            start_rubicante(plane, name, certificates, packages)
        running = Plant(
            api=api,
            plane=plane,
            extender=start_extender(plane, certificates),
            certificates=certificates,
            packages=packages,
        )
        wait_until(lambda: all(REAL_TIME_LABEL in running.node(name)["labels"] for name in NODES))
        configuration = scheduler_configuration(running.extender)
        plane.start_scheduler(configuration, name="k40s-scheduler")
        yield running
        api.close()


def start_rubicante(
    plane: ControlPlane, name: str, certificates: Mapping[str, TlsFiles], packages: Path
) -> None:
    port, probe_port = free_ports(2)
    environment = {
        **{key: text for key, text in os.environ.items() if not key.startswith("K40S_")},
        "PYTHONPATH": f"{ROOT}{os.pathsep}{packages}",
        "K40S_NODE_NAME": name,
        "K40S_POD_IP": "127.0.0.1",
        "K40S_LISTEN_HOST": "127.0.0.1",
        "K40S_PORT": str(port),
        "K40S_PROBE_PORT": str(probe_port),
        "K40S_CPUS": "1-2",
        "K40S_TICK": "4ms",
        "K40S_KUBECONFIG": str(plane.kubeconfig),
        "K40S_TLS_DIRECTORY": str(certificates["k40s-rubicante-tls"].cert.parent),
        "K40S_ADMISSION_TEST": NAME,
    }
    command = [sys.executable, "-m", "tests.fakes.rubicante_node"]
    plane.supervisor.start(f"rubicante-{name}", command, environment=environment)


@pytest.fixture(autouse=True)
def clean(plant: Plant) -> Iterator[None]:
    yield
    delete_pods(plant.api)
    wait_until(lambda: not plant.api.request("GET", PODS)["items"] and plant.free())


def pod(name: str, wcet: str = "20ms") -> dict[str, Any]:
    tasks = json.dumps([make_task(wcet, "100ms")])
    annotations = {CRITICALITY_KEY: "HI", TASKS_KEY: tasks}
    return make_spec(name, scheduler=SCHEDULER, annotations=annotations)


def place_of(plant: Plant, name: str) -> tuple[str, int] | None:
    """Node and core of a pod that was bound."""
    found = get_pod(plant.api, name)
    if not found["spec"].get("nodeName"):
        return None
    text = found["metadata"]["annotations"][ALLOCATION_KEY]
    (held,) = parse_allocation(text, pod_uid=found["metadata"]["uid"])
    assert held.server.period == 400_000_000  # four task periods, as no other test would choose
    return found["spec"]["nodeName"], held.core


def test_nodes_publish_the_test_that_their_operator_installed(plant: Plant) -> None:
    states = [parse_cpu_state(plant.node(name)["annotations"][CPU_STATE_KEY]) for name in NODES]

    assert [state.test for state in states] == [NAME, NAME]


def test_the_scheduler_places_pods_by_a_test_that_it_does_not_know(plant: Plant) -> None:
    before = plant.judged("asked")
    create_pods(plant.api, [pod(f"p{number}") for number in range(4)])

    wait_until(lambda: all(place_of(plant, f"p{number}") for number in range(4)))
    places = {place_of(plant, f"p{number}") for number in range(4)}

    assert places == {(name, core) for name in NODES for core in (1, 2)}
    assert plant.judged("asked") > before
    assert (plant.judged("exact"), plant.judged("rough")) == (0, 0)


def test_a_pod_beyond_the_nodes_own_rule_waits_and_is_told_why(plant: Plant) -> None:
    create_pods(plant.api, [pod("half"), pod("more-than-half", "51ms")])

    # A node that another test silenced rests for a while, and the pod is told that meanwhile.
    wait_until(
        lambda: (
            place_of(plant, "half")
            and "cpu.not-schedulable" in refusal_of(plant.api, "more-than-half")
        )
    )

    assert place_of(plant, "more-than-half") is None


def test_an_extender_that_has_the_test_installed_need_not_ask(plant: Plant) -> None:
    path = f"{ROOT}{os.pathsep}{plant.packages}"
    knowing = start_extender(
        plant.plane, plant.certificates, name="knowing", settings={"PYTHONPATH": path}
    )
    body = make_args(make_pod(criticality="HI", tasks=[make_task("20ms", "100ms")]), NODES)

    with scheduler_calls(plant.certificates) as pool:
        answer = json.loads(pool.request("POST", f"{knowing.url}/filter", body=body).data)

    assert answer["NodeNames"] == list(NODES)
    assert (plant.judged("exact", knowing), plant.judged("asked", knowing)) == (2, 0)


def test_a_silent_node_is_left_out_and_the_other_one_asked(plant: Plant) -> None:
    plant.plane.supervisor.stop("rubicante-line-1")
    try:
        create_pods(plant.api, [pod("first", "19ms"), pod("second", "18ms")])
        wait_until(lambda: place_of(plant, "first") and place_of(plant, "second"))
        places = {place_of(plant, name) for name in ("first", "second")}
    finally:
        start_rubicante(plant.plane, "line-1", plant.certificates, plant.packages)

    assert places == {("line-2", 1), ("line-2", 2)}
    assert plant.judged("unanswered") > 0

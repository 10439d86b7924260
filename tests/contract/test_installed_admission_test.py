"""A schedulability test that a node operator installs, all the way from the scheduler to the book.

etcd, API server, kube-scheduler, extender and the nodes' rubicantes are real and speak mutual TLS;
the kernel below rubicante is in memory. The example of the documentation is installed for the
nodes' daemons alone, so the extender has to ask.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from k40s.annotations import ALLOCATION_KEY, REAL_TIME_LABEL, parse_cpu_state
from k40s.node_api.messages import parse_allocation
from localcluster.images.binaries import Binaries
from tests.fakes.extender.process import (
    ROOT,
    RunningExtender,
    count,
    scheduler_calls,
    scheduler_configuration,
    start_extender,
)
from tests.fakes.extender.world import make_args, make_pod, make_task
from tests.fakes.installed_example import NAME, install_example
from tests.fakes.registered_nodes import (
    create_pods,
    delete_pods,
    get_pod,
    refusal_of,
    wait_until,
)
from tests.fakes.rubicante.plant import (
    NODES,
    RegisteredPlant,
    make_real_time_spec,
    register_plant,
    start_rubicante,
)

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plant(RegisteredPlant):
    """Everything that runs."""

    extender: RunningExtender
    packages: Path

    def judged(self, how: str, extender: RunningExtender | None = None) -> int:
        probes = (extender or self.extender).probes
        return count(probes, f'k40s_extender_judged_nodes_total{{how="{how}"}}')

    def free(self) -> bool:
        """Whether no node holds a reservation any more."""
        states = [parse_cpu_state(self.published(name)) for name in NODES]
        return not any(state.node.reservations for state in states)


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory, binaries: Binaries) -> Iterator[Plant]:
    packages = tmp_path_factory.mktemp("packages")
    install_example(packages)
    with register_plant(tmp_path_factory.mktemp("plant"), binaries) as registered:
        plane, certificates = registered.plane, registered.certificates
        for name in NODES:
            start_rubicante(plane, name, certificates, installed(packages))
        running = Plant(
            api=registered.api,
            plane=plane,
            extender=start_extender(plane, certificates),
            certificates=certificates,
            packages=packages,
        )
        wait_until(lambda: all(REAL_TIME_LABEL in running.node(name)["labels"] for name in NODES))
        configuration = scheduler_configuration(running.extender)
        plane.start_scheduler(configuration, name="k40s-scheduler")
        yield running


def installed(packages: Path) -> dict[str, str]:
    """The settings of a daemon that has the operator's own test."""
    return {
        "PYTHONPATH": f"{ROOT}{os.pathsep}{packages}",
        "K40S_ADMISSION_TEST": NAME,
    }


@pytest.fixture(autouse=True)
def clean(plant: Plant) -> Iterator[None]:
    yield
    delete_pods(plant.api)
    wait_until(lambda: not plant.pods() and plant.free())


def pod(name: str, wcet: str = "20ms") -> dict[str, Any]:
    return make_real_time_spec(name, criticality="HI", wcet=wcet)


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
    states = [parse_cpu_state(plant.published(name)) for name in NODES]

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
        start_rubicante(plant.plane, "line-1", plant.certificates, installed(plant.packages))

    assert places == {("line-2", 1), ("line-2", 2)}
    assert plant.judged("unanswered") > 0

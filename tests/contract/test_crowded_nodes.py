"""Many pods at once, on nodes whose answers are late now and then: nobody stands in its own way.

etcd, API server, kube-scheduler, extender and the nodes' rubicantes are real and speak mutual TLS;
the kernel below rubicante is in memory, and its disk takes 0.3 s now and then: longer than the
extender waits, so that what was reserved is not heard of.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from k40s.annotations import ALLOCATION_KEY, parse_cpu_state
from k40s.http.client import HttpClient
from k40s.units import NS_PER_S, Nanoseconds
from localcluster.images.binaries import Binaries
from tests.fakes.extender.process import (
    RunningExtender,
    count,
    scheduler_configuration,
    start_extender,
)
from tests.fakes.registered_nodes import create_pods, delete_pods, refusal_of, wait_until
from tests.fakes.rubicante.plant import (
    NODES,
    RegisteredPlant,
    make_real_time_spec,
    register_plant,
    start_rubicante,
)

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

CROWD = 40
HESITANT = {"SLOW_WRITES": "5"}
NO_ROOM = (
    *("cpu.no-bandwidth", "cpu.node-bandwidth", "cpu.not-schedulable", "cpu.no-priority"),
    *("cpu.reserved-for-hi", "cpu.too-many-tasks"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plant(RegisteredPlant):
    """Everything that runs."""

    extender: RunningExtender
    client: HttpClient

    def held(self) -> list[tuple[str, str]]:
        """The uids of the pods that hold a reservation, each with its node, in order.

        A pod may be there twice for a moment: the nodes are asked one after the other, and one
        whose answer was late may not yet know that the pod went elsewhere.
        """
        found: list[tuple[str, str]] = []
        for name in NODES:
            url = parse_cpu_state(self.published(name)).endpoint
            _, body = self.client.request("GET", f"{url}/v1/state")
            found += [(pod["uid"], name) for pod in json.loads(body)["pods"]]
        return sorted(found)

    def failed(self, reason: str) -> int:
        sample = f'k40s_extender_bind_refusals_total{{reason="{reason}"}}'
        return count(self.extender.probes, sample)


@pytest.fixture
def plant(tmp_path_factory: pytest.TempPathFactory, binaries: Binaries) -> Iterator[Plant]:
    with register_plant(tmp_path_factory.mktemp("crowd"), binaries) as registered:
        plane, certificates = registered.plane, registered.certificates
        client = HttpClient(
            tls=certificates["k40s-extender-client-tls"],
            server_name="rubicante.k40s-system.svc",
            timeout=Nanoseconds(60 * NS_PER_S),
        )
        patience = {"K40S_RESERVE_TIMEOUT": "250ms"}
        extender = start_extender(plane, certificates, settings=patience)
        plant = Plant(
            api=registered.api,
            plane=plane,
            certificates=certificates,
            extender=extender,
            client=client,
        )
        start_rubicante(plane, NODES[0], certificates, HESITANT)
        wait_until(lambda: plant.published(NODES[0]))  # a port that is chosen is not yet taken
        start_rubicante(plane, NODES[1], certificates, HESITANT)
        wait_until(lambda: plant.published(NODES[1]))
        plane.start_scheduler(scheduler_configuration(extender), name="k40s-scheduler")
        yield plant
        client.close()


def is_settled(plant: Plant) -> bool:
    """Every pod is bound, or has been told that there is no room.

    Nobody holds and waits, and nobody holds on two nodes.
    """
    pods = plant.pods()
    bound = [
        (p["metadata"]["uid"], p["spec"]["nodeName"]) for p in pods if p["spec"].get("nodeName")
    ]
    waiting = [p["metadata"]["name"] for p in pods if not p["spec"].get("nodeName")]
    full = all(any(no in refusal_of(plant.api, name) for no in NO_ROOM) for name in waiting)
    return bool(bound) and full and plant.held() == sorted(bound)


def test_a_crowd_is_bound_as_far_as_there_is_room_and_nobody_waits_for_what_it_holds(
    plant: Plant,
) -> None:
    create_pods(
        plant.api,
        [
            make_real_time_spec(f"crowd-{number}", criticality="LOW", wcet="300us")
            for number in range(CROWD)
        ],
    )

    wait_until(lambda: is_settled(plant))
    bound = [p for p in plant.pods() if p["spec"].get("nodeName")]
    states = [parse_cpu_state(plant.published(name)) for name in NODES]
    lost = plant.failed("cpu.daemon-busy")
    delete_pods(plant.api)
    wait_until(lambda: not plant.held())

    print(  # noqa: T201  # the figures belong into the test's report
        f"{len(bound)} of {CROWD} bound, {lost} answers late, "
        f"complete states: {[state.complete for state in states]}"
    )
    assert lost > 0
    assert all(ALLOCATION_KEY in p["metadata"]["annotations"] for p in bound)

"""A pod that a node takes once it has exchanged servers of its pods, placed by the real scheduler.

etcd, API server, kube-scheduler, extender and the node's rubicante are real and speak mutual TLS;
the kernel below rubicante is in memory.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from k40s.annotations import ALLOCATION_KEY, parse_cpu_state
from k40s.http.client import HttpClient
from k40s.units import NS_PER_S, Nanoseconds
from localcluster.images.binaries import Binaries
from tests.fakes.extender.process import scheduler_configuration, start_extender
from tests.fakes.registered_nodes import create_pods, refusal_of, wait_until
from tests.fakes.rubicante.plant import (
    NODES,
    RegisteredPlant,
    make_real_time_spec,
    register_plant,
    start_rubicante,
)

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

NODE = NODES[0]
ONE_CORE = {"K40S_CPUS": "1", "K40S_HI_RESERVE": "none"}
BY_EXCHANGE, BY_NONE = {**ONE_CORE}, {**ONE_CORE, "K40S_EXCHANGE": "false"}
LONG = (("long-1", "60ms", "600ms"), ("long-2", "30ms", "200ms"))
"""They come first, and take server periods that leave little room for shorter ones."""
SHORT = ("short", "14ms", "40ms")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plant(RegisteredPlant):
    """Everything that runs."""

    client: HttpClient

    def place(self, name: str, wcet: str, period: str) -> None:
        pod = make_real_time_spec(name, criticality="LOW", wcet=wcet, period=period)
        create_pods(self.api, [pod])

    def pod(self, name: str) -> dict[str, Any]:
        return next(one for one in self.pods() if one["metadata"]["name"] == name)

    def is_bound(self, name: str) -> bool:
        return self.pod(name)["spec"].get("nodeName") == NODE

    def state(self) -> dict[str, Any]:
        """What the node's daemon says of itself."""
        url = parse_cpu_state(self.published(NODE)).endpoint
        _, body = self.client.request("GET", f"{url}/v1/state")
        found: dict[str, Any] = json.loads(body)
        return found

    def servers(self) -> dict[str, tuple[str, str]]:
        """Budget and period by pod."""
        return {
            pod["name"]: (one["budget"], one["period"])
            for pod in self.state()["pods"]
            for one in pod["servers"]
        }


Start = Callable[[dict[str, str]], Plant]


@pytest.fixture
def start(tmp_path_factory: pytest.TempPathFactory, binaries: Binaries) -> Iterator[Start]:
    """A plant whose first node alone has a daemon, with these settings, and holds two pods."""
    with register_plant(tmp_path_factory.mktemp("exchanges"), binaries) as registered:
        client = HttpClient(
            tls=registered.certificates["k40s-extender-client-tls"],
            server_name="rubicante.k40s-system.svc",
            timeout=Nanoseconds(60 * NS_PER_S),
        )

        def start(settings: dict[str, str]) -> Plant:
            plant = Plant(
                api=registered.api,
                plane=registered.plane,
                certificates=registered.certificates,
                client=client,
            )
            extender = start_extender(plant.plane, plant.certificates)
            start_rubicante(plant.plane, NODE, plant.certificates, settings)
            wait_until(lambda: plant.published(NODE))
            configuration = scheduler_configuration(extender)
            plant.plane.start_scheduler(configuration, name="k40s-scheduler")
            for name, wcet, period in LONG:
                plant.place(name, wcet, period)
                wait_until(lambda name=name: plant.is_bound(name))  # type: ignore[misc]  # bound now
            return plant

        yield start
        client.close()


def test_a_pod_that_fits_after_an_exchange_is_bound_and_the_others_keep_running(
    start: Start,
) -> None:
    plant = start(BY_EXCHANGE)
    before = plant.servers()

    plant.place(*SHORT)
    wait_until(lambda: plant.is_bound("short"))
    wait_until(lambda: plant.state()["exchanges"] == [])
    after = plant.servers()

    assert {name for name, server in before.items() if after[name] != server}
    assert set(after) == {"long-1", "long-2", "short"}
    assert ALLOCATION_KEY in plant.pod("short")["metadata"]["annotations"]


def test_where_the_node_exchanges_none_it_waits_with_its_reason_and_nothing_changes(
    start: Start,
) -> None:
    plant = start(BY_NONE)
    before = plant.servers()

    plant.place(*SHORT)
    wait_until(lambda: refusal_of(plant.api, "short"))

    assert "cpu." in refusal_of(plant.api, "short")
    assert not plant.is_bound("short")
    assert plant.servers() == before

"""Networks with their status as the controller reads it, and the patch that it writes."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from k40s.errors import UnavailableError
from k40s.http.client import HttpClient
from k40s.kube.objects.network_status import status_patch, watched_network
from k40s.kube.transport import ApiTransport, ConflictError
from k40s.kube.writing.network_statuses import NetworkStatuses, network_source
from k40s.ledger.conditions import Condition, Truth
from k40s.ledger.entry import Owner
from k40s.network.model import NetworkReservation, NetworkState
from k40s.network.status import NetworkSummary
from k40s.units import NS_PER_S, Nanoseconds
from tests.fakes.kube.api_server import Answer, serving

PATH = "/apis/k40s.io/v1alpha1/networks"
HELD = NetworkReservation(owner=Owner(uid="u1", namespace="default", name="pump"), node="edge-1")
SUMMARY = NetworkSummary(
    observed_generation=4,
    kind="TDMA",
    members=2,
    slots=1,
    utilization="12.5%",
    slot_table=("100us to 150us",),
    free=("150us to 1ms",),
    conditions={
        "Valid": Condition(
            kind="Valid",
            status=Truth.TRUE,
            reason="Accepted",
            message="pods may require this network",
            generation=4,
            since=datetime(2026, 3, 1, 12, tzinfo=UTC),
        )
    },
)


def network(status: dict[str, Any] | None = None, **spec: object) -> dict[str, Any]:
    return {
        "metadata": {"name": "plant", "resourceVersion": "7", "generation": 4},
        "spec": {
            "members": [{"node": "edge-1", "interface": "rteth0"}],
            "tdma": {"cycle": "1ms", "guard": "10us", "bitRate": "100Mbit", "master": "edge-1"},
            **spec,
        },
        "status": status or {},
    }


def test_what_was_written_is_read_back() -> None:
    state = NetworkState(network=watched_network(network()).state.network, resource_version="7")

    body = status_patch(state, SUMMARY, (HELD,))
    read = watched_network(network(body["status"]))  # type: ignore[arg-type]  # JSON

    assert body["metadata"] == {"resourceVersion": "7"}
    assert read.summary == SUMMARY
    assert read.reservations == (HELD,)
    assert read.state.fault is None
    assert (read.key, read.generation) == ("plant", 4)


def test_reservations_are_not_in_a_patch_that_leaves_them() -> None:
    state = watched_network(network()).state

    body = status_patch(state, SUMMARY, None)

    assert "reservations" not in body["status"]  # type: ignore[operator]  # JSON


def test_nothing_is_written_without_a_version() -> None:
    state = replace(watched_network(network()).state, resource_version="")

    with pytest.raises(ValueError, match="condition of a version"):
        status_patch(state, SUMMARY, None)


def test_reservations_are_read_although_the_declaration_is_wrong() -> None:
    held = {"pod": {"uid": "u1", "namespace": "default", "name": "pump"}, "node": "edge-1"}

    read = watched_network(network({"reservations": [held]}, members=[]))

    assert read.state.fault is not None
    assert read.reservations == (HELD,)
    assert read.generation == 4


@pytest.mark.parametrize(
    "status",
    [
        {"reservations": "none", "conditions": "none", "slots": "one", "slotTable": 3},
        {"reservations": [{"node": 3}], "conditions": [3, {"type": "Valid", "status": "Perhaps"}]},
        {"reservations": {}, "conditions": [{"status": "True"}], "utilization": []},
    ],
)
def test_an_unreadable_status_is_as_if_it_were_absent(status: dict[str, Any]) -> None:
    read = watched_network(network(status))

    assert read.reservations is None
    assert read.summary.conditions == {}
    assert read.summary.slot_table == ()
    assert read.summary != NetworkSummary()  # so it is written anew


@pytest.mark.parametrize("time", ["yesterday", "2026-03-01T12:00:00", 3])
def test_a_condition_with_an_unreadable_time_is_read_without_it(time: object) -> None:
    condition = {"type": "Valid", "status": "True", "lastTransitionTime": time}

    read = watched_network(network({"conditions": [condition]}))

    assert read.summary.conditions["Valid"].since is None


def test_a_write_is_one_patch_of_the_status_and_a_conflict_is_told() -> None:
    with serving() as server:
        server.answer("PATCH", f"{PATH}/plant/status", Answer(200, network()), Answer(409, {}))
        url = f"http://127.0.0.1:{server.port}"
        api = ApiTransport(HttpClient(base_url=url, timeout=Nanoseconds(20 * NS_PER_S)))
        state = watched_network(network()).state

        NetworkStatuses(api).write(state, SUMMARY, None)
        with pytest.raises(ConflictError):
            NetworkStatuses(api).write(state, SUMMARY, None)

    assert server.received[0].headers["Content-Type"] == "application/merge-patch+json"
    assert server.received[0].body["metadata"]["resourceVersion"] == "7"


def test_without_a_definition_of_networks_they_are_unavailable() -> None:
    with serving() as server:
        url = f"http://127.0.0.1:{server.port}"
        api = ApiTransport(HttpClient(base_url=url, timeout=Nanoseconds(20 * NS_PER_S)))

        with pytest.raises(UnavailableError):
            network_source(api).list()

"""Networks as the gateway reads them and writes their status, over loopback."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime

import pytest

from k40s.errors import UnavailableError, UnreadableError
from k40s.http.client import HttpClient
from k40s.kube.gateway import KubeGateway
from k40s.kube.transport import ApiTransport, ConflictError, NotFoundError
from k40s.ledger.entry import Owner
from k40s.network.model import NetworkReservation
from k40s.tdma.model import SlotGrant, Window
from k40s.units import NS_PER_S, NS_PER_US, Nanoseconds
from tests.fakes.kube.api_server import Answer, FakeApiServer, serving
from tests.fakes.kube.networks import TDMA, FakeNetworks, network_object

NETWORKS = "/apis/k40s.io/v1alpha1/networks"
SINCE = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
HELD = NetworkReservation(
    owner=Owner(uid="u", namespace="default", name="p"),
    node="n2",
    slots=(
        SlotGrant(
            windows=(
                Window(
                    offset=Nanoseconds(100 * NS_PER_US),
                    phase=1,
                    every=4,
                    length=Nanoseconds(34 * NS_PER_US),
                    payload=256,
                ),
            )
        ),
    ),
    attempt="a",
    until=SINCE,
)


@pytest.fixture
def api() -> Iterator[FakeApiServer]:
    with serving() as server:
        yield server


@pytest.fixture
def gateway(api: FakeApiServer) -> Iterator[KubeGateway]:
    client = HttpClient(base_url=f"http://127.0.0.1:{api.port}", timeout=Nanoseconds(20 * NS_PER_S))
    with closing(client):
        yield KubeGateway(ApiTransport(client))


def listed(*items: object) -> Answer:
    return Answer(200, {"metadata": {"resourceVersion": "9"}, "items": list(items)})


def test_networks_are_listed_and_one_without_a_name_is_not(
    api: FakeApiServer, gateway: KubeGateway
) -> None:
    good, bad = network_object("plant", TDMA), network_object("lan", {"members": 3})
    api.answer("GET", NETWORKS, listed(good, bad, {"spec": TDMA}))

    listing = gateway.networks().list()

    assert [record.key for record in listing.records] == ["plant", "lan"]
    assert listing.records[0].state.fault is None
    assert [one.name for one in listing.unreadable] == ["lan", ""]
    assert listing.unreadable[0].cause == (
        "spec: found neither, expected either tdma, or links and delays"
    )


def test_a_cluster_without_the_custom_resource_is_asked_again(
    api: FakeApiServer, gateway: KubeGateway
) -> None:
    del api

    with pytest.raises(UnavailableError):
        gateway.networks().list()


def test_a_network_is_read_by_its_name(api: FakeApiServer, gateway: KubeGateway) -> None:
    api.answer("GET", f"{NETWORKS}/plant", Answer(200, network_object("plant", TDMA)))

    record = gateway.get_network("plant")

    assert record is not None
    assert (record.key, record.uid, record.faults) == ("plant", "uid-plant", ())


def test_no_network_of_that_name_is_none(api: FakeApiServer, gateway: KubeGateway) -> None:
    del api

    assert gateway.get_network("gone") is None


def test_an_answer_without_a_name_is_unreadable(api: FakeApiServer, gateway: KubeGateway) -> None:
    api.answer("GET", f"{NETWORKS}/plant", Answer(200, {"spec": TDMA}))

    with pytest.raises(UnreadableError, match="without its name"):
        gateway.get_network("plant")


def test_reservations_are_written_at_one_version_and_read_back(
    api: FakeApiServer, gateway: KubeGateway
) -> None:
    path = f"{NETWORKS}/plant/status"
    api.answer("PATCH", path, Answer(200, network_object("plant", TDMA, version="8")))

    record = gateway.update_network_reservations("plant", [HELD], version="7")

    body = api.received[0].body
    assert body["metadata"] == {"resourceVersion": "7"}
    assert body["status"]["slots"] == 1
    assert record.state.resource_version == "8"
    api.answer("GET", NETWORKS, listed(network_object("plant", TDMA, status=body["status"])))
    assert gateway.networks().list().records[0].state.reservations == (HELD,)


@pytest.mark.parametrize(("status", "error"), [(409, ConflictError), (404, NotFoundError)])
def test_a_write_that_comes_too_late_says_so(
    api: FakeApiServer, gateway: KubeGateway, status: int, error: type[Exception]
) -> None:
    api.answer("PATCH", f"{NETWORKS}/plant/status", Answer(status, {"message": "late"}))

    with pytest.raises(error, match="late"):
        gateway.update_network_reservations("plant", [], version="7")


def test_reservations_are_never_written_without_a_version(gateway: KubeGateway) -> None:
    with pytest.raises(ValueError, match="undo those of others"):
        gateway.update_network_reservations("plant", [], version="")


def test_the_fake_keeps_versions_as_the_api_server_does() -> None:
    networks = FakeNetworks(plant=TDMA)

    networks.update_network_reservations("plant", [HELD], version="1")

    with pytest.raises(ConflictError):
        networks.update_network_reservations("plant", [], version="1")
    with pytest.raises(NotFoundError):
        networks.update_network_reservations("gone", [], version="1")
    found = networks.get_network("plant")
    assert found is not None
    assert found.state.reservations == (HELD,)

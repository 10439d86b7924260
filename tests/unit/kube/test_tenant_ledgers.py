"""Tenants at the API server: patches on condition of a version, and a missing definition."""

import threading
import time
from collections.abc import Iterator
from fractions import Fraction

import pytest

from controller.cluster.tenants import WatchedTenants
from k40s.criticality import Criticality
from k40s.errors import UnavailableError
from k40s.http.client import HttpClient
from k40s.kube.objects.tenants import (
    DEFINITION,
    TENANTS,
    declared_tenant,
    entries_patch,
    tenant_record,
    tenant_status_patch,
    watched_tenant,
)
from k40s.kube.transport import ApiTransport, ConflictError
from k40s.kube.watching.informer import Informer
from k40s.kube.writing.tenant_ledgers import TenantLedgers
from k40s.ledger.entry import Owner
from k40s.tenants.ledger import TenantReservation
from k40s.tenants.summary import TenantSummary
from k40s.units import NS_PER_S, Nanoseconds
from tests.fakes.kube.api_server import Answer, FakeApiServer, serving

HELD = TenantReservation(
    owner=Owner(uid="u", namespace="paint", name="arm"),
    node="n",
    criticality=Criticality.HI,
    bandwidth=Fraction(1, 4),
)


def tenant(status: object = None, **spec: object) -> dict[str, object]:
    return {
        "metadata": {"name": "line", "resourceVersion": "7", "generation": 2},
        "spec": {"namespaces": ["paint"], **spec},
        "status": status,
    }


@pytest.fixture
def server() -> Iterator[FakeApiServer]:
    with serving() as fake:
        yield fake


@pytest.fixture
def ledgers(server: FakeApiServer) -> Iterator[TenantLedgers]:
    client = HttpClient(
        base_url=f"http://127.0.0.1:{server.port}", timeout=Nanoseconds(20 * NS_PER_S)
    )
    yield TenantLedgers(ApiTransport(client))
    client.close()


def test_what_was_written_is_read_back() -> None:
    summary = TenantSummary(observed_generation=2, bandwidth="0.25", hi_pods=1, usage=("x",))
    body = tenant_status_patch(summary, [HELD], version="7")

    read = watched_tenant(tenant(body["status"]))

    assert (read.summary, read.reservations) == (summary, (HELD,))
    assert body["metadata"] == {"resourceVersion": "7"}


def test_entries_are_read_where_the_bounds_cannot_be() -> None:
    status = entries_patch([HELD], version="7")["status"]

    read = watched_tenant(tenant(status, bandwidth="much"))

    assert read.reservations == (HELD,)
    assert read.state.fault is not None
    assert tenant_record(tenant(bandwidth="much")).faults[0].field == "state"


def test_what_is_declared_is_read_without_the_ledger() -> None:
    record = declared_tenant(tenant({"reservations": "what is no list"}, hiPods=3))

    assert (record.state.fault, record.state.reservations) == (None, ())
    assert record.state.bounds.hi_pods == 3


def test_a_write_names_its_version() -> None:
    with pytest.raises(ValueError, match="version"):
        entries_patch([], version="")


def test_a_write_of_another_version_is_a_conflict(
    server: FakeApiServer, ledgers: TenantLedgers
) -> None:
    server.answer("PATCH", f"{TENANTS}/line/status", Answer(409), Answer(200, tenant()))

    with pytest.raises(ConflictError):
        ledgers.update_tenant_reservations("line", [HELD], version="6")
    assert ledgers.update_tenant_reservations("line", [HELD], version="6").key == "line"


def test_without_the_definition_there_are_no_tenants(
    server: FakeApiServer, ledgers: TenantLedgers
) -> None:
    assert ledgers.tenants().list().records == ()
    assert ledgers.get_tenant("line") is None
    assert DEFINITION in [one.path for one in server.received]


def test_a_definition_that_is_installed_later_is_no_error_until_then(
    server: FakeApiServer, ledgers: TenantLedgers
) -> None:
    stop, table = threading.Event(), WatchedTenants()
    errors: list[str] = []
    for _ in range(2):  # lists; the watch between them is not served
        server.answer("GET", TENANTS, Answer(404, {}))
    listing = {"metadata": {"resourceVersion": "1"}, "items": [tenant()]}
    server.answer("GET", TENANTS, Answer(200, listing))
    informer = Informer(
        name="tenants",
        source=ledgers.watched(),
        handler=table,
        stop=stop,
        on_error=lambda: errors.append("error"),
    )
    thread = informer.start()
    pause, end = threading.Event(), time.monotonic() + 60
    while not table.tenants():
        assert time.monotonic() < end
        pause.wait(0.01)
    counted = list(errors)
    stop.set()
    thread.join()

    assert counted == []


def test_tenants_that_are_not_served_yet_are_not_absent(
    server: FakeApiServer, ledgers: TenantLedgers
) -> None:
    server.answer("GET", DEFINITION, Answer(200, {"kind": "CustomResourceDefinition"}))

    with pytest.raises(UnavailableError):
        ledgers.tenants().list()

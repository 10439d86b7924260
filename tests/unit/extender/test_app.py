"""The application: routes, readiness, faults as 200 with Error."""

import json
import logging
from dataclasses import replace
from fractions import Fraction

import pytest
from flask.testing import FlaskClient

from extender.app import create_app
from extender.cache.workloads import ObservedPod, WorkloadCache
from extender.settings import ExtenderSettings
from k40s.cpu.workload import Workload
from k40s.criticality import Criticality
from k40s.errors import UnavailableError
from k40s.node_api.client import RubicanteClient
from k40s.node_api.messages import (
    AdmissionAnswer,
    PodRef,
    ReservationRequest,
    format_admission_answer,
)
from k40s.reasons import Reason
from k40s.runtime.settings import SettingsError, read_settings
from k40s.units import NS_PER_MS, Nanoseconds
from tests.fakes.extender.world import World, make_args, make_node, make_pod


class Readiness:
    """What the cache would say."""

    def __init__(self) -> None:
        self.trouble: str | None = None

    def __call__(self) -> str | None:
        return self.trouble


@pytest.fixture
def ready() -> Readiness:
    return Readiness()


@pytest.fixture
def client(ready: Readiness) -> FlaskClient:
    world = World()
    world.add(make_node("a", level=20))
    return create_app(verbs=world.verbs, metrics=world.metrics, ready=ready).test_client()


ARGS = make_args(make_pod(criticality="HI"), ["a"])


def test_the_verbs_answer_under_their_paths(client: FlaskClient) -> None:
    filtered = client.post("/scheduler/filter", data=ARGS)
    scored = client.post("/scheduler/prioritize", data=ARGS)
    bound = client.post(
        "/scheduler/bind",
        json={"PodName": "pod", "PodNamespace": "default", "PodUID": "uid-pod", "Node": "a"},
    )

    assert filtered.get_json()["NodeNames"] == ["a"]
    assert scored.get_json() == [{"Host": "a", "Score": 10}]
    assert bound.get_json() == {"Error": ""}
    assert filtered.content_type == "application/json"


@pytest.mark.parametrize("path", ["/", "/scheduler/reprieve", "/scheduler/filter/"])
def test_other_paths_are_not_found(client: FlaskClient, path: str) -> None:
    assert client.post(path, data=ARGS).status_code == 404


def test_other_methods_are_not_allowed(client: FlaskClient) -> None:
    assert client.get("/scheduler/filter").status_code == 405


@pytest.mark.parametrize("verb", ["filter", "bind"])
def test_a_bad_body_is_200_with_an_error(client: FlaskClient, verb: str) -> None:
    answer = client.post(f"/scheduler/{verb}", data=b"{")

    assert answer.status_code == 200
    assert "request body" in answer.get_json()["Error"]


def test_a_bad_body_to_prioritize_is_400_for_want_of_an_error_field(client: FlaskClient) -> None:
    assert client.post("/scheduler/prioritize", data=b"{").status_code == 400


@pytest.mark.parametrize("verb", ["filter", "bind"])
def test_before_the_cache_is_filled_every_call_is_an_error(
    client: FlaskClient, ready: Readiness, verb: str
) -> None:
    ready.trouble = "not synchronized: nodes"

    early = client.post(f"/scheduler/{verb}", data=ARGS).get_json()
    ready.trouble = None
    later = client.post(f"/scheduler/{verb}", data=ARGS).get_json()

    assert early["Error"] == "not synchronized: nodes"
    assert later["Error"] != "not synchronized: nodes"


def test_before_the_cache_is_filled_prioritize_is_unavailable(
    client: FlaskClient, ready: Readiness
) -> None:
    ready.trouble = "not synchronized: nodes"

    assert client.post("/scheduler/prioritize", data=ARGS).status_code == 503


def test_a_cache_that_was_filled_once_stays_answerable(
    client: FlaskClient, ready: Readiness
) -> None:
    client.post("/scheduler/filter", data=ARGS)
    ready.trouble = "not synchronized: nodes"

    assert client.post("/scheduler/filter", data=ARGS).get_json()["Error"] == ""


def test_an_internal_error_says_so_constantly_and_is_logged(
    ready: Readiness, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(on_clock=lambda: 1 // 0)
    client = create_app(verbs=world.verbs, metrics=world.metrics, ready=ready).test_client()

    with caplog.at_level(logging.ERROR):
        answer = client.post("/scheduler/filter", data=ARGS)

    assert answer.status_code == 200
    assert answer.get_json()["Error"] == "internal error of the k40s extender; its log says more"
    assert "ZeroDivisionError" in caplog.text
    assert world.registry.get_sample_value("k40s_extender_faults_total", {"verb": "filter"}) == 1


def test_flask_itself_would_answer_the_same(ready: Readiness) -> None:
    world = World()
    app = create_app(verbs=world.verbs, metrics=world.metrics, ready=ready)
    with app.test_request_context("/scheduler/filter", method="POST", data=ARGS):
        answer = app.full_dispatch_request()

    assert json.loads(answer.data) == world.filter(make_pod(criticality="HI"), ["a"])


def test_durations_are_counted_by_verb(client: FlaskClient, ready: Readiness) -> None:
    world = World()
    client = create_app(verbs=world.verbs, metrics=world.metrics, ready=ready).test_client()

    client.post("/scheduler/filter", data=ARGS)

    assert (
        world.registry.get_sample_value("k40s_extender_call_seconds_count", {"verb": "filter"}) == 1
    )


class FakeRequests:
    """Answers every request the same, and records them."""

    def __init__(self, status: int, body: bytes) -> None:
        self.answer = (status, body)
        self.calls: list[tuple[str, str, bytes | None]] = []

    def request(
        self, method: str, url: str, body: bytes | None = None, *, timeout: object = None
    ) -> tuple[int, bytes]:
        assert timeout is None or method == "DELETE"
        self.calls.append((method, url, body))
        return self.answer


TIMEOUT = Nanoseconds(NS_PER_MS)
REQUEST = ReservationRequest(
    pod=PodRef(uid="u-1", namespace="n", name="p"),
    workload=Workload(criticality=Criticality.HI),
)
REFUSED = AdmissionAnswer(
    schedulable=False,
    reason=Reason.CPU_NO_BANDWIDTH,
    utilization={1: Fraction(1, 2)},
    generation=7,
)


@pytest.mark.parametrize("status", [200, 201, 409])
def test_rubicantes_answer_is_read_whatever_it_says(status: int) -> None:
    requests = FakeRequests(status, format_admission_answer(REFUSED))

    answer = RubicanteClient(requests).reserve("https://h:1", REQUEST, attempt="a1")

    assert answer == REFUSED
    assert requests.calls[0][:2] == ("PUT", "https://h:1/v1/reservations/u-1?attempt=a1")


@pytest.mark.parametrize(
    ("status", "body"), [(503, b"{}"), (422, b"{}"), (500, b""), (200, b"{}"), (409, b"?")]
)
def test_any_other_answer_counts_as_none(status: int, body: bytes) -> None:
    with pytest.raises(UnavailableError, match="PUT https://h:1"):
        RubicanteClient(FakeRequests(status, body)).reserve("https://h:1", REQUEST, attempt="a1")


@pytest.mark.parametrize("status", [200, 204, 404, 409])
def test_a_withdrawal_is_done_when_nothing_of_the_attempt_is_left(status: int) -> None:
    requests = FakeRequests(status, b"")

    RubicanteClient(requests).withdraw("https://h:1", "u/1", attempt="a1", timeout=TIMEOUT)

    assert requests.calls == [("DELETE", "https://h:1/v1/reservations/u%2F1?attempt=a1", None)]


def test_a_withdrawal_that_fails_is_unavailable() -> None:
    with pytest.raises(UnavailableError, match="503"):
        RubicanteClient(FakeRequests(503, b"")).withdraw(
            "https://h:1", "u", attempt="a1", timeout=TIMEOUT
        )


def test_settings_have_units_and_defaults() -> None:
    settings = read_settings(ExtenderSettings, {"K40S_FILTER_PATIENCE": "250ms"})

    assert settings.filter_patience == 250 * NS_PER_MS
    assert settings.port == 8443
    assert settings.thresholds.required(Criticality.HI) == 14


def test_bad_settings_are_reported_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings(ExtenderSettings, {"K40S_PORT": "https", "K40S_BIND_TIMEOUT": "800"})

    assert len(caught.value.problems) == 2


def test_thresholds_out_of_order_are_refused() -> None:
    with pytest.raises(SettingsError):
        read_settings(ExtenderSettings, {"K40S_HIGH_THRESHOLD": "3"})


def test_contracts_of_the_oldest_pods_are_evicted() -> None:
    workloads = WorkloadCache(pods=2)
    contract = workloads.read(labels={}, annotations={}, containers=())

    pods = [
        ObservedPod(uid=uid, namespace="n", name=uid, resource_version="1", contract=contract)
        for uid in ("a", "b", "c")
    ]

    assert all(map(workloads.put, pods))
    assert not workloads.put(replace(pods[2], resource_version="2"))
    assert workloads.get("a") is None
    assert workloads.get("b") is pods[1]

"""What critical pods' own metrics say, and what an endpoint cannot do to malacoda."""

import json
import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from prometheus_client import CollectorRegistry, Counter

from daemons.malacoda.culprit.events import CulpritEvents, EventReason
from daemons.malacoda.culprit.metrics import CulpritMetrics
from daemons.malacoda.culprit.pods import NodePods
from daemons.malacoda.metrics import PodReportMetrics
from daemons.malacoda.pod_reports import MAX_PAGE, MOST_PODS, PodReports
from k40s.errors import UnavailableError
from k40s.http.client import HttpClient
from k40s.kube.records import PodRecord
from k40s.node_agent.backoff import Backoff
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds
from tests.fakes.malacoda.culprit import FakeEvents, pod_record
from tests.fakes.malacoda.world import FakeClock

METRIC = {"port": 9100, "metric": "latency_seconds", "above": 0.005, "samples": 2}


class FakeHttp:
    """Pods' pages by address; a call takes ``seconds``."""

    def __init__(self, clock: FakeClock) -> None:
        self.pages: dict[str, bytes | int | UnavailableError] = {}
        self.seconds = 0.001
        self.calls: list[str] = []
        self._clock = clock

    def request(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        assert method == "GET"
        assert headers is not None
        assert headers["Connection"] == "close"
        self.calls.append(url)
        self._clock.pass_seconds(self.seconds)
        page = self.pages[url.split("/")[2].rpartition(":")[0]]
        if isinstance(page, UnavailableError):
            raise page
        return (page, b"") if isinstance(page, int) else (200, page)


def critical(
    uid: str, address: str = "10.0.0.5", criticality: str | None = "HI", **changes: object
) -> PodRecord:
    metric = changes.pop("metric", METRIC)
    annotations = {"k40s.io/metric": metric if isinstance(metric, str) else json.dumps(metric)}
    if criticality is not None:
        annotations["k40s.io/criticality"] = criticality
    return pod_record(uid, annotations=annotations, address=address, **changes)


class World:
    def __init__(self, *records: PodRecord) -> None:
        self.clock = FakeClock()
        self.http = FakeHttp(self.clock)
        self.api = FakeEvents()
        self.registry = CollectorRegistry()
        self.pods = NodePods(namespaces=("k40s-system",))
        self.pods.replace(records)
        faults = Counter("k40s_malacoda_source_faults", "", ["source"], registry=self.registry)
        self.events = CulpritEvents(
            writer=self.api,
            metrics=CulpritMetrics(self.registry, EventReason, faults=faults),
            backoff=Backoff(pause=Nanoseconds(0), clock=self.clock),
            clock=self.clock,
        )
        self.reports = PodReports(
            pods=self.pods,
            http=self.http,
            events=self.events,
            metrics=PodReportMetrics(self.registry),
            clock=self.clock,
        )

    def run(self, seconds: float) -> None:
        for _ in range(round(2 * seconds)):
            self.reports.tick()
            self.events.send()
            self.clock.pass_seconds(0.5)

    def show(self, value: float, address: str = "10.0.0.5") -> None:
        self.http.pages[address] = f"latency_seconds {value}\n".encode()

    def metric(self, name: str) -> float | None:
        return self.registry.get_sample_value(f"k40s_malacoda_{name}")

    @property
    def told(self) -> list[tuple[str, str, str]]:
        return [(about.name, reason, text) for about, reason, text in self.api.written]


def test_values_outside_the_bound_in_a_row_are_the_pods_report_of_harm(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World(critical("a"))
    world.show(0.004)
    world.run(3)
    assert world.reports.late == {"a": False}

    with caplog.at_level(logging.INFO):
        world.show(0.006)
        world.run(4)
        assert world.reports.late == {"a": True}
        assert world.metric("pods_reporting_harm") == 1
        world.show(0.001)
        world.run(2)

    assert world.reports.late == {"a": False}
    assert [record.message for record in caplog.records] == [
        "pod reports harm",
        "pod reports no more harm",
    ]
    ((name, reason, text),) = world.told
    assert (name, reason) == ("a", "HarmReported")
    assert text.startswith("metric latency_seconds is above 0.005 in 2 samples in a row: 0.006;")
    assert (world.metric("harm_reports_total"), world.metric("pods_reporting_harm")) == (1, 0)


def test_a_single_value_outside_is_none() -> None:
    world = World(critical("a"))
    for value in (0.006, 0.001, 0.006, 0.001):
        world.show(value)
        world.run(1)
        assert not any(world.reports.late.values())


def test_it_is_read_once_a_second_at_the_pods_own_address() -> None:
    world = World(critical("a", "10.0.0.5"), critical("b", "fd00::5"))
    world.show(0.001)
    world.show(0.001, "[fd00::5]")

    world.run(5)

    urls = set(world.http.calls)
    assert urls == {"http://10.0.0.5:9100/metrics", "http://[fd00::5]:9100/metrics"}
    assert len(world.http.calls) <= 10


@pytest.mark.parametrize(
    "record",
    [
        pod_record("a", "HI", address="10.0.0.5"),
        critical("a", criticality=None),
        critical("a", criticality="NO"),
        critical("a", criticality="high"),
        critical("a", address=""),
    ],
    ids=["no metric", "no criticality", "NO", "invalid", "no address"],
)
def test_only_low_and_hi_pods_that_name_a_metric_and_have_an_address_are_read(
    record: PodRecord,
) -> None:
    world = World(record)

    world.run(5)

    assert (world.http.calls, world.told, world.reports.late) == ([], [], {})


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"metric": "{}"}, "k40s.io/metric at $.port: found nothing"),
        ({"host_network": True}, "the pod is on the host's network"),
        ({"address": "127.0.0.1"}, "127.0.0.1 is no address of a pod"),
        ({"address": "169.254.169.254"}, "169.254.169.254 is no address of a pod"),
        ({"address": "::1"}, "::1 is no address of a pod"),
        ({"address": "evil.example"}, "the pod has no valid address"),
    ],
)
def test_what_may_not_be_read_is_said_on_the_pod_and_nothing_is_called(
    changes: dict[str, str], cause: str
) -> None:
    world = World(critical("a", **changes))

    world.run(30)

    assert world.http.calls == []
    ((name, reason, text),) = world.told
    assert (name, reason) == ("a", "MetricUnreadable")
    assert cause in text
    assert world.reports.late == {}


@pytest.mark.parametrize(
    ("page", "cause"),
    [
        (b"other 1\n", "http://10.0.0.5:9100/metrics has no metric latency_seconds"),
        (b"latency_seconds five\n", "has a value that is no number (latency_seconds)"),
        (302, "GET http://10.0.0.5:9100/metrics: status 302"),
        (503, "status 503"),
        (UnavailableError("GET http://10.0.0.5:9100/metrics: refused"), "refused"),
    ],
    ids=str,
)
def test_what_cannot_be_read_is_said_on_the_pod_and_tried_ever_more_rarely(
    page: bytes | int | UnavailableError, cause: str
) -> None:
    world = World(critical("a"))
    world.http.pages["10.0.0.5"] = page

    world.run(300)

    ((_, reason, text),) = world.told
    assert reason == "MetricUnreadable"
    assert cause in text
    assert len(world.http.calls) < 13
    assert world.metric("unreadable_pod_metrics_total") == len(world.http.calls)


def test_a_report_of_harm_lapses_when_the_metric_cannot_be_read_any_more() -> None:
    world = World(critical("a"))
    world.show(0.006)
    world.run(4)
    assert world.reports.late == {"a": True}

    world.http.pages["10.0.0.5"] = 500
    world.run(3)
    assert world.reports.late == {"a": True}
    world.run(5)

    assert world.reports.late == {}


def test_an_endpoint_that_is_slow_is_read_so_rarely_that_it_takes_its_part_of_the_time() -> None:
    world = World(critical("a"))
    world.show(0.006)
    world.http.seconds = 0.29

    world.run(60)

    assert len(world.http.calls) * 0.29 < 60 / MOST_PODS * 1.5
    assert world.reports.late == {"a": True}


def test_an_endpoint_that_fails_slowly_now_and_then_takes_its_part_of_the_time_as_well() -> None:
    world = World(critical("a"))
    spent, calls = 0.0, 0
    for turn in range(240):
        late = calls % 2 == 0
        world.http.seconds = 0.29 if late else 0.001
        world.http.pages["10.0.0.5"] = UnavailableError("late") if late else b"latency_seconds 1\n"
        world.reports.tick()
        spent += world.http.seconds * (len(world.http.calls) - calls)
        calls = len(world.http.calls)
        world.clock.pass_seconds(0.5)
        assert spent <= 0.3 + turn * 0.5 / MOST_PODS * 1.5
    assert calls > 10


def test_of_too_many_pods_the_rest_is_told_so() -> None:
    world = World(*(critical(f"p{n}", f"10.0.0.{n}") for n in range(MOST_PODS + 1)))
    for number in range(MOST_PODS + 1):
        world.show(0.001, f"10.0.0.{number}")

    world.run(3)

    assert len(world.reports.late) == MOST_PODS
    ((_, reason, text),) = world.told
    assert reason == "MetricUnreadable"
    assert text == "k40s.io/metric is not read: 32 pods of this node have one already"


def test_of_too_many_pods_the_most_critical_are_read() -> None:
    low = [critical(f"p{n}", f"10.0.0.{n}", "LOW") for n in range(MOST_PODS)]
    world = World(*low, critical("hi", "10.0.1.1"))
    for number in range(MOST_PODS):
        world.show(0.001, f"10.0.0.{number}")
    world.show(0.001, "10.0.1.1")

    world.run(1)

    assert len(world.reports.late) == MOST_PODS
    assert "hi" in world.reports.late


def test_slow_endpoints_of_less_critical_pods_keep_no_report_from_being_fresh() -> None:
    low = [critical(f"p{n}", f"10.0.0.{n}", "LOW") for n in range(MOST_PODS - 1)]
    world = World(*low, critical("hi", "10.0.1.1"))
    for number in range(MOST_PODS - 1):
        world.show(0.001, f"10.0.0.{number}")
    world.show(0.001, "10.0.1.1")
    world.run(2)
    heard: list[bool] = []
    request = world.http.request

    def slow(
        method: str, url: str, *, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        world.http.seconds = 0.001 if "//10.0.1.1:" in url else 0.29
        heard.append("hi" in world.reports.late)
        return request(method, url, headers=headers)

    world.http.request = slow  # type: ignore[method-assign]  # slow but for one
    world.run(60)

    assert all(heard)
    assert all(any(f"//10.0.0.{n}:" in url for url in world.http.calls[64:]) for n in range(31))


def test_a_pod_that_is_gone_or_has_another_metric_begins_anew() -> None:
    world = World(critical("a"))
    world.show(0.006)
    world.run(4)

    world.pods.upsert(critical("a", metric=METRIC | {"samples": 9}))
    world.run(2)
    assert world.reports.late == {"a": False}
    world.pods.delete("a")
    world.run(1)

    assert world.reports.late == {}


@contextmanager
def serving(answer: bytes, *, trickle: bytes = b"") -> Iterator[int]:
    """A server that sends these bytes, and then others one by one."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the name that http.server calls
            self.wfile.write(answer)
            try:
                while trickle and not over.wait(0.02):
                    self.wfile.write(trickle)
            except OSError:
                pass

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server.server_port
    over.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("answer", "trickle"),
    [
        (b"HTTP/1.0 200 OK\r\n\r\n", b"x"),
        (b"HTTP/1.0 200 ", b"x"),
        (b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * (MAX_PAGE + 1), b""),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 99\r\n\r\nx", b""),
        (b"nonsense\r\n\r\n", b""),
        (b"", b""),
    ],
    ids=["slow body", "slow head", "too long", "cut off", "no HTTP", "nothing"],
)
def test_a_hostile_server_is_an_unavailable_one_in_bounded_time(
    answer: bytes, trickle: bytes
) -> None:
    http = HttpClient(timeout=Nanoseconds(300 * NS_PER_MS), max_answer=MAX_PAGE)

    with serving(answer, trickle=trickle) as port, pytest.raises(UnavailableError):
        http.request("GET", f"http://127.0.0.1:{port}/metrics", headers={"Connection": "close"})


def test_a_redirect_is_not_followed_and_no_connection_is_kept() -> None:
    http = HttpClient(timeout=Nanoseconds(60 * NS_PER_S), max_answer=MAX_PAGE)
    answer = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"

    with serving(answer) as port:
        url = f"http://127.0.0.1:{port}/metrics"
        assert http.request("GET", url, headers={"Connection": "close"}) == (302, b"")

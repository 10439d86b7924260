"""Lists and watches in which some objects cannot be read: the others arrive all the same."""

import json
import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from k40s.errors import UnavailableError, UnreadableError
from k40s.http.client import AnswerTooLongError, HttpClient
from k40s.kube.gateway import KubeGateway
from k40s.kube.list_watch import Change, Listing, Unreadable, WatchEvent
from k40s.kube.records import PodRecord
from k40s.kube.transport import ApiTransport
from k40s.kube.watching.informer import Informer
from k40s.units import NS_PER_S, Nanoseconds
from tests.fakes.kube.api_server import Answer, FakeApiServer, serving

PODS = "/api/v1/pods"
LONGEST = 10_000


def pod(uid: str, cpu: object = "250m", **metadata: object) -> dict[str, Any]:
    return {
        "metadata": {
            "uid": uid,
            "namespace": "default",
            "name": f"pod-{uid}",
            "resourceVersion": "8",
            **metadata,
        },
        "spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}]},
    }


def page(*items: object, version: str = "7", **metadata: object) -> Answer:
    return Answer(body={"metadata": {"resourceVersion": version, **metadata}, "items": [*items]})


def line(kind: object, item: object) -> bytes:
    return json.dumps({"type": kind, "object": item}).encode() + b"\n"


@pytest.fixture
def api() -> Iterator[FakeApiServer]:
    with serving() as server:
        yield server


@pytest.fixture
def gateway(api: FakeApiServer) -> Iterator[KubeGateway]:
    client = HttpClient(
        base_url=f"http://127.0.0.1:{api.port}",
        timeout=Nanoseconds(20 * NS_PER_S),
        max_answer=LONGEST,
    )
    yield KubeGateway(ApiTransport(client))
    client.close()


def uids(listing: Listing[PodRecord]) -> list[str]:
    return [record.uid for record in listing.records]


def test_a_list_has_every_object_with_a_name_and_says_what_it_could_not_read(
    api: FakeApiServer, gateway: KubeGateway
) -> None:
    api.answer("GET", PODS, page(pod("a"), pod("b", "lots"), pod("c", "128Mi"), pod("d")))

    listing = gateway.pods().list()

    assert uids(listing) == ["a", "b", "c", "d"]
    (one,) = listing.unreadable
    assert (one.name, one.fields, one.identified) == ("b", ("cpu_request_millis",), True)
    assert "lots" in one.cause
    assert listing.is_complete


@pytest.mark.parametrize("item", [None, 5, "x", [], {}, {"metadata": {}}, pod("")])
def test_what_has_no_name_is_left_out_and_the_list_is_known_to_be_incomplete(
    api: FakeApiServer, gateway: KubeGateway, item: object
) -> None:
    api.answer("GET", PODS, page(item, pod("a")))

    listing = gateway.pods().list()

    assert uids(listing) == ["a"]
    assert [one.identified for one in listing.unreadable] == [False]
    assert not listing.is_complete


@pytest.mark.parametrize(
    "body",
    [
        {"metadata": {"resourceVersion": "7"}, "items": 5},
        {"metadata": {"resourceVersion": "7"}, "items": {}},
        {"metadata": {"resourceVersion": 7}, "items": []},
        {"metadata": None, "items": []},
        {"metadata": {"resourceVersion": "7", "continue": 5}, "items": []},
        {},
    ],
)
def test_an_answer_that_is_no_list_is_unavailable(
    api: FakeApiServer, gateway: KubeGateway, body: object
) -> None:
    api.answer("GET", PODS, Answer(body=body))

    with pytest.raises(UnavailableError, match="unexpected list"):
        gateway.pods().list()


def test_numbers_without_end_hide_no_other_object(api: FakeApiServer, gateway: KubeGateway) -> None:
    body = json.dumps(page(pod("a", "HERE"), pod("b")).body).encode()
    api.answer("GET", PODS, Answer(body=body.replace(b'"HERE"', b"9" * 5000)))

    listing = gateway.pods().list()

    assert uids(listing) == ["a", "b"]


def test_an_object_of_endless_depth_is_an_answer_that_cannot_be_used(
    api: FakeApiServer, gateway: KubeGateway
) -> None:
    api.answer("GET", PODS, Answer(body=b'{"items":' + b"[" * 3000))

    with pytest.raises(UnavailableError, match="not JSON"):
        gateway.pods().list()


def test_large_objects_are_fetched_in_shorter_pages(
    api: FakeApiServer, gateway: KubeGateway
) -> None:
    large = pod("a", annotations={"x": "y" * LONGEST})
    api.answer(
        "GET",
        PODS,
        page(pod("a"), **{"continue": "here"}),
        page(large),
        page(pod("b"), **{"continue": "there"}),
        page(pod("c")),
    )

    assert uids(gateway.pods().list()) == ["a", "b", "c"]
    assert [request.path.partition("?")[2] for request in api.received] == [
        "limit=500",
        "limit=500&continue=here",
        "limit=62&continue=here",
        "limit=62&continue=there",
    ]


def test_one_object_above_every_bound_is_unavailable_and_not_asked_for_again_and_again(
    api: FakeApiServer, gateway: KubeGateway
) -> None:
    api.answer("GET", PODS, *[page(pod("a", annotations={"x": "y" * LONGEST}))] * 9)

    with pytest.raises(AnswerTooLongError):
        gateway.pods().list()
    assert [r.path.partition("=")[2] for r in api.received] == ["500", "62", "7", "1"]


def test_a_watch_goes_on_past_what_it_cannot_read(api: FakeApiServer, gateway: KubeGateway) -> None:
    lines = [
        line("ADDED", pod("a", "lots")),
        line("MODIFIED", None),
        line("MODIFIED", {"metadata": {"resourceVersion": "9"}}),
        line("DELETED", pod("a", "lots")),
        line("SOMETHING", pod("b")),
        line(5, pod("b")),
        b"{}\n",
        line("ADDED", pod("b")),
    ]
    api.answer("GET", PODS, Answer(lines=lines))

    events = list(gateway.pods().watch("7"))

    assert [event.record.uid if event.record else None for event in events] == [
        *["a", None, None, "a", None, None, None, "b"]
    ]
    assert [event.unreadable is not None for event in events] == [*[True] * 7, False]
    assert [event.resource_version for event in events[:3]] == ["8", "", "9"]
    assert events[3].change is Change.DELETE


def test_who_asks_for_one_pod_gets_it_whole_or_an_error_of_that_pod_alone(
    api: FakeApiServer, gateway: KubeGateway
) -> None:
    path = "/api/v1/namespaces/default/pods/p"
    odd = [pod("a", "lots"), pod("a", labels=5), pod("")]
    api.answer("GET", path, *[Answer(body=item) for item in odd])

    found = gateway.get_pod("default", "p")
    assert found is not None
    assert found.uid == "a"
    for _ in range(2):
        with pytest.raises(UnreadableError):
            gateway.get_pod("default", "p")


@dataclass(frozen=True, slots=True)
class Thing:
    key: str


@dataclass
class Cache:
    things: set[str] = field(default_factory=set)

    def replace(self, records: Sequence[Thing]) -> None:
        self.things = {record.key for record in records}

    def merge(self, records: Sequence[Thing]) -> None:
        self.things |= {record.key for record in records}

    def upsert(self, record: Thing) -> None:
        self.things.add(record.key)

    def delete(self, key: str) -> None:
        self.things.discard(key)


class Script:
    """A list, then a watch that ends with the process."""

    def __init__(self, stop: threading.Event, *steps: object) -> None:
        self._stop = stop
        self._steps = list(steps)
        self.versions: list[str] = []

    def list(self) -> Listing[Thing]:
        step = self._steps.pop(0)
        assert isinstance(step, Listing)
        return step

    def watch(self, resource_version: str) -> Iterator[WatchEvent[Thing]]:
        self.versions.append(resource_version)
        if not self._steps:
            self._stop.set()
            return
        events = self._steps.pop(0)
        assert isinstance(events, list)
        yield from events


def follow(cache: Cache, *steps: object) -> tuple[Script, int]:
    stop = threading.Event()
    source, counted = Script(stop, *steps), []
    informer = Informer(
        name="things",
        source=source,
        handler=cache,
        stop=stop,
        on_unreadable=lambda: counted.append(None),
        pause=Nanoseconds(1),
    )
    informer.run()
    assert informer.synchronized.is_set()
    return source, len(counted)


def odd(name: str, *, identified: bool = True) -> Unreadable:
    return Unreadable(name=name, fields=("phase",), cause="why", identified=identified)


def listing(*keys: str, unreadable: Sequence[Unreadable] = ()) -> Listing[Thing]:
    things = tuple(map(Thing, keys))
    return Listing(records=things, resource_version="5", unreadable=tuple(unreadable))


def event(key: str | None, version: str, unreadable: Unreadable | None = None) -> WatchEvent[Thing]:
    record = None if key is None else Thing(key)
    return WatchEvent(
        change=Change.UPSERT, record=record, resource_version=version, unreadable=unreadable
    )


def test_an_object_that_cannot_be_read_is_counted_each_time_and_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    bad = odd("a")

    _, counted = follow(
        Cache(), listing("a", unreadable=[bad]), [event("a", "6", bad), event("a", "7", bad)]
    )

    assert counted == 3
    (record,) = [r for r in caplog.records if r.message == "object not understood"]
    assert (record.object, record.cause) == ("a", "why")  # type: ignore[attr-defined]  # fields


def test_what_is_remembered_as_logged_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    many = [odd(str(number)) for number in range(1025)]

    follow(Cache(), listing(unreadable=many), [event(None, "6", many[0])])

    told = [r for r in caplog.records if r.message == "object not understood"]
    assert len(told) == 1026


def test_an_incomplete_list_deletes_nothing() -> None:
    cache = Cache({"a"})

    follow(cache, listing("b", unreadable=[odd("", identified=False)]))

    assert cache.things == {"a", "b"}


def test_a_complete_list_with_odd_objects_deletes_what_is_missing() -> None:
    cache = Cache({"a"})

    follow(cache, listing("b", unreadable=[odd("b")]))

    assert cache.things == {"b"}


def test_a_change_without_its_version_keeps_the_one_before() -> None:
    source, _ = follow(Cache(), listing("a"), [event("a", "6"), event(None, "", odd(""))])

    assert source.versions == ["5", "6"]
